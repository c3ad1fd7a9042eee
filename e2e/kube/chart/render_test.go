package chart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	chartDir  = "../../../deploy/helm/tasuki"
	release   = "tasuki"
	namespace = "shop"
)

// examples are all example files of the chart.
func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(chartDir + "/ci/*-values.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("examples of the chart: %v %v", files, err)
	}
	return files
}

func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "helm", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// object is one rendered object.
type object map[string]any

// at follows a path of keys; nil when something is not there.
func (o object) at(path ...string) any { return dig(map[string]any(o), path...) }

func dig(v any, path ...string) any {
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// list is a list of maps below v.
func list(v any, path ...string) []map[string]any {
	items, _ := dig(v, path...).([]any)
	var maps []map[string]any
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			maps = append(maps, m)
		}
	}
	return maps
}

func (o object) kind() string { s, _ := o["kind"].(string); return s }
func (o object) name() string { s, _ := o.at("metadata", "name").(string); return s }

// program is the service that the object belongs to.
func (o object) program() string {
	s, _ := o.at("metadata", "labels", "app.kubernetes.io/component").(string)
	return s
}

// render renders the chart and returns its objects; set are values as `--set` takes them.
func render(t *testing.T, values string, set ...string) []object {
	t.Helper()
	return renderChart(t, chartDir, values, set...)
}

func renderChart(t *testing.T, chart, values string, set ...string) []object {
	t.Helper()
	args := []string{"template", release, chart, "--namespace", namespace, "--values", values}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	text, stderr, err := helm(t, args...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	var objects []object
	for part := range strings.SplitSeq("\n"+text, "\n---") {
		var o object
		if err := yaml.UnmarshalStrict([]byte(part), &o); err != nil {
			t.Fatalf("%s renders no YAML: %v\n%s", values, err, part)
		}
		if o != nil {
			objects = append(objects, o)
		}
	}
	return objects
}

func ofKind(objects []object, kind string) map[string]object {
	found := map[string]object{}
	for _, o := range objects {
		if o.kind() == kind {
			found[o.name()] = o
		}
	}
	return found
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// calls is the call graph that the chart declares.
func calls(t *testing.T) map[string][]string {
	t.Helper()
	graph := map[string][]string{}
	readYAML(t, chartDir+"/files/calls.yaml", &graph)
	return graph
}

var ports = map[string]float64{"marketing": 9001, "insidesales": 9002, "fieldsales": 9003, "customersuccess": 9004, "gateway": 8080}
