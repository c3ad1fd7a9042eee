package chart

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestLint(t *testing.T) {
	for _, values := range examples(t) {
		if out, errs, err := helm(t, "lint", "--strict", "--quiet", chartDir, "--values", values); err != nil {
			t.Errorf("%s: %v\n%s%s", values, err, out, errs)
		}
	}
}

// TestKubernetesTakesIt checks every example against the schemas of Kubernetes. Without KUBECONFORM_SCHEMAS kubeconform
// asks for them over the network.
func TestKubernetesTakesIt(t *testing.T) {
	for _, values := range examples(t) {
		text, stderr, err := helm(t, "template", release, chartDir, "--namespace", namespace, "--values", values)
		if err != nil {
			t.Fatalf("%s: %v\n%s", values, err, stderr)
		}
		args := []string{"-strict", "-summary", "-ignore-missing-schemas"}
		if schemas := os.Getenv("KUBECONFORM_SCHEMAS"); schemas != "" {
			args = append(args, "-schema-location", schemas)
		}
		cmd := exec.CommandContext(t.Context(), "kubeconform", append(args, "-")...)
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", values, err, out)
		}
		t.Logf("%s: %s", filepath.Base(values), strings.TrimSpace(string(out)))
	}
}

// TestEveryValueIsDocumented walks through values.yaml beside its schema.
func TestEveryValueIsDocumented(t *testing.T) {
	text, err := os.ReadFile(chartDir + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	readYAML(t, chartDir+"/values.yaml", &values)
	n := documented(t, "", values, schema)
	if n < 100 {
		t.Errorf("only %d values were looked at", n)
	}
}

func documented(t *testing.T, path string, value any, schema map[string]any) int {
	t.Helper()
	if path != "" {
		if d, _ := schema["description"].(string); len(d) < 8 {
			t.Errorf("%s has no description", path)
		}
	}
	n := 1
	properties, fixed := schema["properties"].(map[string]any)
	if open, ok := schema["additionalProperties"].(bool); fixed && (!ok || open) {
		t.Errorf("%s takes values that nobody knows", path)
	}
	for name, p := range properties { // also what values.yaml leaves out
		sub, _ := value.(map[string]any)
		n += documented(t, path+"."+name, sub[name], p.(map[string]any))
	}
	if fields, ok := value.(map[string]any); ok && fixed {
		for name := range fields {
			if properties[name] == nil {
				t.Errorf("%s.%s is not in the schema", path, name)
			}
		}
	}
	return n
}

func TestWrongValuesAreRefused(t *testing.T) {
	for set, says := range map[string]string{
		"production=perhaps":                              "production",
		"auth.issuer=id.example.com":                      "auth",
		"auth.roleMap.leads={boss}":                       "roleMap",
		"services.marketing.replica=2":                    "replica",
		"services.sales.replicas=2":                       "sales",
		"image.pullPolicy=Sometimes":                      "pullPolicy",
		"shutdown.preStopSeconds=0":                       "preStopSeconds",
		"gateway.service.type=External":                   "type",
		"defaults.replicas=-1":                            "replicas",
		"keepEventsDays=-1":                               "keepEventsDays",
		"databaseWaitSeconds=-1":                          "databaseWaitSeconds",
		"databases.marketing.secret=":                     "databases.marketing.secret is needed",
		"apiKeys.dsnSecret.name=":                         "apiKeys.dsnSecret.name is needed",
		"auth.issuer=":                                    "auth.issuer is needed",
		"ingress.host=":                                   "ingress.host is needed",
		"telemetry.metrics=false":                         "needs telemetry.metrics",
		"networkPolicy.postgresql.port=x":                 "port",
		"defaults.autoscaling.cpuPercent=0":               "cpuPercent",
		"telemetry.serviceMonitor.labels.a=1,unknown=yes": "unknown",
	} {
		out, stderr, err := helm(t, "template", release, chartDir, "--values", chartDir+"/ci/production-values.yaml", "--set", set)
		if err == nil {
			t.Errorf("%s was taken:\n%.200s", set, out)
		} else if !strings.Contains(stderr, says) {
			t.Errorf("%s: %q does not name %q", set, stderr, says)
		}
	}
}

// TestCopies: the chart cannot reach beyond its folder, so it has copies.
func TestCopies(t *testing.T) {
	for copied, from := range map[string]string{
		"files/rules.yaml":        "../../../deploy/observability/rules.yaml",
		"files/10-departments.sh": "../../../deploy/compose/postgres/10-departments.sh",
	} {
		a, errA := os.ReadFile(filepath.Join(chartDir, copied))
		b, errB := os.ReadFile(from)
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s is not the same as %s (%v %v): copy it again", copied, from, errA, errB)
		}
	}
}

func TestAlertsAreThere(t *testing.T) {
	rules := ofKind(render(t, chartDir+"/ci/production-values.yaml"), "PrometheusRule")[release]
	var want struct {
		Groups []struct {
			Rules []struct{ Alert string }
		}
	}
	readYAML(t, chartDir+"/files/rules.yaml", &want)
	text, err := yaml.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range want.Groups {
		for _, r := range g.Rules {
			if n++; !strings.Contains(string(text), "alert: "+r.Alert+"\n") {
				t.Errorf("no alert %s", r.Alert)
			}
		}
	}
	if n < 10 || strings.Contains(string(text), "runbook_url: docs/") {
		t.Errorf("%d alerts; their runbooks must be addresses", n)
	}
}

// TestNotesSayTheNextCommand renders them in a copy of the chart where they are an object: helm shows notes only after it has
// talked to a cluster.
func TestNotesSayTheNextCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tasuki")
	if err := os.CopyFS(dir, os.DirFS(chartDir)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(chartDir + "/templates/NOTES.txt")
	if err != nil {
		t.Fatal(err)
	}
	asObject := `{{ define "notes" }}` + string(text) + "{{ end }}\nnotes: {{ include \"notes\" . | toJson }}\n"
	if err := os.WriteFile(dir+"/templates/notes.yaml", []byte(asObject), 0o600); err != nil {
		t.Fatal(err)
	}
	for values, says := range map[string][]string{
		"trial":      {"kubectl -n shop wait", "port-forward service/tasuki-gateway", "tasuki token", "uninstalling deletes its data"},
		"production": {"https://tasuki.example.com/docs"},
		"tls":        {"httpRoute.parentRefs"},
	} {
		out, stderr, err := helm(t, "template", release, dir, "--namespace", namespace, "--show-only", "templates/notes.yaml", "--values", chartDir+"/ci/"+values+"-values.yaml")
		if err != nil {
			t.Fatalf("%s: %v\n%s", values, err, stderr)
		}
		var rendered struct{ Notes string }
		if err := yaml.Unmarshal([]byte(out), &rendered); err != nil {
			t.Fatal(err)
		}
		for _, s := range says {
			if !strings.Contains(rendered.Notes, s) {
				t.Errorf("%s: the notes do not say %q:\n%s", values, s, rendered.Notes)
			}
		}
	}
}
