package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func podSpec(o object) map[string]any {
	spec, _ := o.at("spec", "template", "spec").(map[string]any)
	return spec
}

// environment is that of the program's container.
func environment(o object) []map[string]any { return list(list(podSpec(o), "containers")[0], "env") }

func variable(o object, name string) any {
	for _, e := range environment(o) {
		if e["name"] == name {
			return e["value"]
		}
	}
	return nil
}

// is tells whether a value is there and is this one.
func is(v any, want bool) bool { b, ok := v.(bool); return ok && b == want }

func workloads(objects []object) []object {
	return slices.DeleteFunc(slices.Clone(objects), func(o object) bool { return podSpec(o) == nil })
}

// TestEveryContainerIsHardened looks at all containers of all examples, PostgreSQL's and those that migrate included.
func TestEveryContainerIsHardened(t *testing.T) {
	for _, values := range examples(t) {
		n := 0
		for _, w := range workloads(render(t, values)) {
			spec := podSpec(w)
			if !is(spec["automountServiceAccountToken"], false) || spec["serviceAccountName"] != w.name() {
				t.Errorf("%s: automount %v, account %v", w.name(), spec["automountServiceAccountToken"], spec["serviceAccountName"])
			}
			if !is(dig(spec, "securityContext", "runAsNonRoot"), true) || dig(spec, "securityContext", "seccompProfile", "type") != "RuntimeDefault" {
				t.Errorf("%s: pod %v", w.name(), spec["securityContext"])
			}
			for _, c := range append(list(spec, "initContainers"), list(spec, "containers")...) {
				n++
				security := c["securityContext"]
				for field, want := range map[string]any{
					"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true, "privileged": nil,
				} {
					if got := dig(security, field); got != want {
						t.Errorf("%s/%s: %s is %v, want %v", w.name(), c["name"], field, got, want)
					}
				}
				if got := fmt.Sprint(dig(security, "capabilities")); got != "map[drop:[ALL]]" {
					t.Errorf("%s/%s: capabilities %s", w.name(), c["name"], got)
				}
				if dig(security, "seccompProfile", "type") != "RuntimeDefault" {
					t.Errorf("%s/%s: seccomp %v", w.name(), c["name"], dig(security, "seccompProfile"))
				}
				if dig(c, "resources", "requests", "memory") == nil || dig(c, "resources", "limits", "memory") == nil || dig(c, "resources", "requests", "cpu") == nil {
					t.Errorf("%s/%s: resources %v", w.name(), c["name"], c["resources"])
				}
			}
		}
		if n < 9 {
			t.Errorf("%s: only %d containers", values, n)
		}
	}
}

// TestEveryPodIsAsked: the three probes, of the kind that the program answers.
func TestEveryPodIsAsked(t *testing.T) {
	for values, departments := range map[string]string{"trial": "grpc", "production": "grpc", "tls": "exec"} {
		for _, d := range ofKind(render(t, chartDir+"/ci/"+values+"-values.yaml"), "Deployment") {
			container := list(podSpec(d), "containers")[0]
			want := departments
			if d.program() == "gateway" {
				want = "httpGet"
			}
			for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
				if dig(container, probe, want) == nil {
					t.Errorf("%s: %s of %s is %v, want %s", values, probe, d.program(), container[probe], want)
				}
			}
			if want == "grpc" && dig(container, "readinessProbe", "grpc", "port") != ports[d.program()] {
				t.Errorf("%s is asked at %v", d.program(), dig(container, "readinessProbe"))
			}
		}
	}
}

// TestPodsEndInTime: the kubelet must not kill a program that is within its own deadlines.
func TestPodsEndInTime(t *testing.T) {
	for _, d := range ofKind(render(t, chartDir+"/ci/trial-values.yaml", "shutdown.preStopSeconds=7", "shutdown.drainSeconds=3", "shutdown.partSeconds=20"), "Deployment") {
		parts := 9.0 // of department.Service.Parts, and telemetry
		if d.program() == "gateway" {
			parts = 3
		}
		if got, least := podSpec(d)["terminationGracePeriodSeconds"], 7+3+parts*20; got.(float64) < least {
			t.Errorf("%s has %v s to end and may take %v", d.name(), got, least)
		}
		container := list(podSpec(d), "containers")[0]
		if dig(container, "lifecycle", "preStop", "sleep", "seconds") != 7.0 {
			t.Errorf("%s: %v", d.name(), container["lifecycle"])
		}
		if variable(d, "TASUKI_SHUTDOWN_DRAIN") != "3s" || variable(d, "TASUKI_SHUTDOWN_TIMEOUT") != "20s" {
			t.Errorf("%s: drain %v, timeout %v", d.name(), variable(d, "TASUKI_SHUTDOWN_DRAIN"), variable(d, "TASUKI_SHUTDOWN_TIMEOUT"))
		}
		if fmt.Sprint(d.at("spec", "strategy", "rollingUpdate")) != "map[maxSurge:1 maxUnavailable:0]" {
			t.Errorf("%s: %v", d.name(), d.at("spec", "strategy"))
		}
	}
}

// TestMigrationsComeFirst: every program with a database migrates before it starts, with the same image and database.
func TestMigrationsComeFirst(t *testing.T) {
	for _, d := range ofKind(render(t, chartDir+"/ci/production-values.yaml"), "Deployment") {
		inits := list(podSpec(d), "initContainers")
		container := list(podSpec(d), "containers")[0]
		if len(inits) != 1 || fmt.Sprint(inits[0]["args"]) != "[migrate]" || inits[0]["image"] != container["image"] {
			t.Errorf("%s: init containers %v", d.name(), inits)
			continue
		}
		for _, e := range list(inits[0], "env") {
			if !slices.ContainsFunc(environment(d), func(o map[string]any) bool { return fmt.Sprint(o) == fmt.Sprint(e) }) {
				t.Errorf("%s migrates with %v, and does not serve with it", d.name(), e)
			}
		}
	}
}

// TestDatabasesAreWaitedFor: the program itself waits when it migrates and when it serves, nothing else does, and no probe ends
// it meanwhile.
func TestDatabasesAreWaitedFor(t *testing.T) {
	for _, values := range examples(t) {
		for _, d := range ofKind(render(t, values, "databaseWaitSeconds=400"), "Deployment") {
			container := list(podSpec(d), "containers")[0]
			inits := list(podSpec(d), "initContainers")
			want := any("400s")
			if len(inits) == 0 && d.program() == "gateway" {
				want = nil // it has no database
			} else if len(inits) != 1 || inits[0]["name"] != "migrate" {
				t.Errorf("%s: %s has the init containers %v", values, d.name(), inits)
				continue
			}
			if got := variable(d, "TASUKI_DATABASE_WAIT"); got != want {
				t.Errorf("%s: %s waits %v", values, d.name(), got)
			}
			for _, migrate := range inits {
				if !slices.ContainsFunc(list(migrate, "env"), func(e map[string]any) bool { return e["name"] == "TASUKI_DATABASE_WAIT" && e["value"] == want }) {
					t.Errorf("%s: %s migrates with %v", values, d.name(), migrate["env"])
				}
			}
			if got := dig(container, "startupProbe", "failureThreshold"); got != 520.0 || dig(container, "startupProbe", "periodSeconds") != 1.0 {
				t.Errorf("%s: %s may take %v to start", values, d.name(), container["startupProbe"])
			}
		}
	}
}

// TestIdentity: departments have a token for departments, the gateway has none, and accounts are named as they are.
func TestIdentity(t *testing.T) {
	objects := render(t, chartDir+"/ci/production-values.yaml")
	accounts := ofKind(objects, "ServiceAccount")
	for _, d := range ofKind(objects, "Deployment") {
		var tokens []string
		for _, volume := range list(podSpec(d), "volumes") {
			for _, source := range list(volume, "projected", "sources") {
				if token, ok := source["serviceAccountToken"].(map[string]any); ok {
					tokens = append(tokens, fmt.Sprintf("%v for %v", token["path"], token["audience"]))
				}
			}
		}
		want := "[token for tasuki api-token for <nil>]"
		if d.program() == "gateway" {
			want = "[]"
		}
		if got := fmt.Sprint(tokens); got != want {
			t.Errorf("%s has the tokens %s, want %s", d.name(), got, want)
		}
		if account := accounts[d.name()]; !is(account["automountServiceAccountToken"], false) {
			t.Errorf("account %s: %v", d.name(), account)
		}
		if d.program() == "gateway" {
			continue
		}
		trusted := strings.Split(variable(d, "TASUKI_AUTH_KUBERNETES_ACCOUNTS").(string), ";")
		if len(trusted) != 4 {
			t.Errorf("%s trusts %v", d.name(), trusted)
		}
		for _, pair := range trusted {
			account, department, _ := strings.Cut(pair, "=")
			name := strings.TrimPrefix(account, namespace+"/")
			if accounts[name] == nil || name != release+"-"+strings.ReplaceAll(department, "-", "") {
				t.Errorf("%s takes %s for %s", d.name(), account, department)
			}
		}
	}
}

// TestSecretsAreReferred: no password or key stands in the objects of production.
func TestSecretsAreReferred(t *testing.T) {
	objects := render(t, chartDir+"/ci/production-values.yaml")
	if secrets := ofKind(objects, "Secret"); len(secrets) > 0 {
		t.Errorf("production makes secrets: %v", secrets)
	}
	for _, d := range ofKind(objects, "Deployment") {
		name, want := "TASUKI_DSN", release+"-"+d.program()+"-database"
		if d.program() == "gateway" {
			name = "TASUKI_API_KEYS_DSN"
		}
		found := ""
		for _, e := range environment(d) {
			if e["name"] == name {
				found, _ = dig(e, "valueFrom", "secretKeyRef", "name").(string)
			}
		}
		if found != want {
			t.Errorf("%s has its DSN from %q, want %s", d.name(), found, want)
		}
		if variable(d, "TASUKI_PRODUCTION") != "true" || variable(d, "TASUKI_AUTH_KEY_FILE") != nil {
			t.Errorf("%s is not in production", d.name())
		}
	}
}

// TestAvailability: budgets and autoscalers for every service, that select and scale what is there.
func TestAvailability(t *testing.T) {
	objects := render(t, chartDir+"/ci/production-values.yaml")
	budgets, scalers := ofKind(objects, "PodDisruptionBudget"), ofKind(objects, "HorizontalPodAutoscaler")
	deployments := ofKind(objects, "Deployment")
	if len(deployments) != 5 {
		t.Fatalf("%d deployments", len(deployments))
	}
	for name, d := range deployments {
		labels, _ := d.at("spec", "template", "metadata", "labels").(map[string]any)
		selector, _ := budgets[name].at("spec", "selector", "matchLabels").(map[string]any)
		if len(selector) != 3 {
			t.Errorf("%s has no budget: %v", name, budgets[name])
		}
		for k, v := range selector {
			if labels[k] != v {
				t.Errorf("the budget %s selects %s=%v; pods have %v", name, k, v, labels[k])
			}
		}
		if scalers[name].at("spec", "scaleTargetRef", "name") != name {
			t.Errorf("%s has no autoscaler: %v", name, scalers[name])
		}
		if d.at("spec", "replicas") != nil {
			t.Errorf("%s fights its autoscaler: replicas %v", name, d.at("spec", "replicas"))
		}
		if spread := list(podSpec(d), "topologySpreadConstraints"); len(spread) != 2 {
			t.Errorf("%s is spread by %v", name, spread)
		}
	}
	if got := scalers[release+"-gateway"].at("spec", "maxReplicas"); got != 10.0 {
		t.Errorf("the gateway's own setting is not used: %v", got)
	}
	if got := scalers[release+"-marketing"].at("spec", "maxReplicas"); got != 6.0 {
		t.Errorf("the default is not used: %v", got)
	}
	for name, d := range ofKind(render(t, chartDir+"/ci/trial-values.yaml", "services.fieldsales.replicas=3"), "Deployment") {
		want := 1.0
		if d.program() == "fieldsales" {
			want = 3
		}
		if got := d.at("spec", "replicas"); got != want {
			t.Errorf("%s has %v replicas, want %v", name, got, want)
		}
	}
}

// TestVersionsAndTheDatabase: another version of the chart replaces the pods of services, and leaves PostgreSQL alone.
func TestVersionsAndTheDatabase(t *testing.T) {
	older := filepath.Join(t.TempDir(), "tasuki")
	if err := os.CopyFS(older, os.DirFS(chartDir)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(chartDir + "/Chart.yaml")
	if err == nil {
		text = regexp.MustCompile(`(?m)^(version|appVersion): .*$`).ReplaceAll(text, []byte("$1: 0.0.9"))
		err = os.WriteFile(older+"/Chart.yaml", text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	template := func(chart, kind, name string) string {
		o := ofKind(renderChart(t, chart, chartDir+"/ci/trial-values.yaml", "image.tag=dev"), kind)[name]
		if o == nil {
			t.Fatalf("no %s %s", kind, name)
		}
		return fmt.Sprint(o.at("spec", "template"))
	}
	if template(older, "StatefulSet", "tasuki-postgresql") != template(chartDir, "StatefulSet", "tasuki-postgresql") {
		t.Error("an upgrade restarts PostgreSQL")
	}
	if template(older, "Deployment", "tasuki-marketing") == template(chartDir, "Deployment", "tasuki-marketing") {
		t.Error("another version is the same pod")
	}
}
