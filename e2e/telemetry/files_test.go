package telemetry

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v3"
)

// folder of the files that operators load into their tools, and the runbooks beside them.
const folder = "../../deploy/observability"

type rules struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) []rule {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var r rules
	if err := yaml.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range r.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// expressions are those of the dashboard, by panel.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all[p.Title+" "+target.RefID] = target.Expr
		}
	}
	return all
}

var (
	quoted    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	selector  = regexp.MustCompile(`\{[^}]*\}`)
	duration  = regexp.MustCompile(`\[[^\]]*\]|\b[0-9.]+[a-z0-9]*\b`)
	grouping  = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right) *\(([^)]*)\)`)
	matcher   = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*) *(?:=~|!~|!=|=)`)
	name      = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	functions = []string{"sum", "max", "min", "count", "rate", "increase", "histogram_quantile", "absent", "clamp_min", "topk", "and", "or", "unless"}
	// given are the labels that whoever collects adds.
	given = []string{"job", "instance", "le"}
)

// split takes an expression of PromQL apart: the metrics that it reads, and the labels that it names.
func split(expr string) (metrics, labels []string) {
	expr = quoted.ReplaceAllString(expr, `""`)
	for _, s := range selector.FindAllString(expr, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s, -1) {
			labels = append(labels, m[1])
		}
	}
	expr = selector.ReplaceAllString(expr, "")
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		labels = append(labels, name.FindAllString(m[1], -1)...)
	}
	expr = duration.ReplaceAllString(grouping.ReplaceAllString(expr, ""), "")
	for _, n := range name.FindAllString(expr, -1) {
		if !slices.Contains(functions, n) {
			metrics = append(metrics, n)
		}
	}
	return metrics, labels
}

func TestSplit(t *testing.T) {
	metrics, labels := split(`histogram_quantile(0.99, sum by (job, le) (rate(a_bucket{x=~"5..", y!="b{c}"}[5m]))) / max(d:e{}) > 1e3 unless on (z) f`)
	if got := strings.Join(metrics, " ") + "|" + strings.Join(labels, " "); got != "a_bucket d:e f|x y job le z" {
		t.Errorf("%s", got)
	}
}

// testFiles: the alerts and the dashboard read only what the programs report, by labels that it has.
func testFiles(t *testing.T, reported map[string]signals) {
	known := map[string]map[string]bool{}
	for _, found := range reported {
		for n, s := range found {
			if known[n] == nil {
				known[n] = map[string]bool{}
			}
			maps.Copy(known[n], s.labels)
		}
	}
	all := expressions(t)
	for _, r := range alerts(t) {
		all["alert "+r.Alert] = r.Expr
	}
	read := map[string]bool{}
	for where, expr := range all {
		metrics, labels := split(expr)
		if len(metrics) == 0 {
			t.Errorf("%s reads no metric: %s", where, expr)
		}
		for _, l := range labels {
			if !slices.Contains(given, l) && !slices.ContainsFunc(metrics, func(m string) bool { return known[m][l] }) {
				t.Errorf("%s: nothing that it reads has the label %s: %s", where, l, expr)
			}
		}
		for _, m := range metrics {
			read[m] = true
			if known[m] == nil {
				t.Errorf("%s reads %s, which no program reports", where, m)
			}
		}
	}
	runbooks := operations(t)
	for n := range known {
		if strings.HasPrefix(n, "tasuki_") {
			base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(n, "_bucket"), "_count"), "_sum")
			if !strings.Contains(runbooks, "`"+base+"`") {
				t.Errorf("docs/operations.md does not list %s", base)
			}
		}
	}
	for _, n := range []string{"tasuki_handoff_open", "tasuki_handoff_undelivered_age_seconds", "tasuki_handoff_breaches_total", "tasuki_feed_lag_seconds", "tasuki_jobs_depth", "tasuki_jobs_dead"} {
		if !read[n] {
			t.Errorf("neither an alert nor the dashboard reads %s", n)
		}
	}
}

func operations(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestEveryAlertHasItsRunbook needs no program.
func TestEveryAlertHasItsRunbook(t *testing.T) {
	anchors := map[string]bool{}
	for _, line := range strings.Split(operations(t), "\n") {
		if title, ok := strings.CutPrefix(line, "### "); ok {
			anchors[strings.ToLower(strings.ReplaceAll(strings.TrimSpace(title), " ", "-"))] = true
		}
	}
	seen := map[string]bool{}
	for _, r := range alerts(t) {
		link := r.Annotations["runbook_url"]
		if anchor := strings.ToLower(r.Alert); link != "docs/operations.md#"+anchor || !anchors[anchor] {
			t.Errorf("%s has no runbook at %q", r.Alert, link)
		}
		if severity := r.Labels["severity"]; severity != "page" && severity != "ticket" {
			t.Errorf("%s has the severity %q", r.Alert, severity)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || seen[r.Alert] {
			t.Errorf("%s says nothing, or is there twice", r.Alert)
		}
		seen[r.Alert] = true
	}
	if len(seen) < 10 {
		t.Errorf("only %d alerts", len(seen))
	}
}
