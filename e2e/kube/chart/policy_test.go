package chart

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// edges of a graph, as `from -> to:port`.
type edges map[string]bool

func (e edges) String() string { return strings.Join(slices.Sorted(maps.Keys(e)), "\n  ") }

// declared is who may reach whom by contracts and configuration: the calls, and departments their database.
func declared(t *testing.T, bundled bool) edges {
	t.Helper()
	graph := edges{}
	for from, all := range calls(t) {
		for _, to := range all {
			graph[fmt.Sprintf("%s -> %s:%v", from, to, ports[to])] = true
		}
		if bundled && from != "gateway" {
			graph[from+" -> postgresql:5432"] = true
		}
	}
	return graph
}

// component is the service that a selector of pods means; the release must be this one.
func component(t *testing.T, selector map[string]any) string {
	t.Helper()
	labels, _ := dig(selector, "matchLabels").(map[string]any)
	if labels["app.kubernetes.io/instance"] != release || labels["app.kubernetes.io/name"] != "tasuki" || len(labels) != 3 {
		t.Errorf("a policy selects %v", selector)
	}
	s, _ := labels["app.kubernetes.io/component"].(string)
	return s
}

// TestPoliciesAreTheCallGraph: what policies let in, and what they let out, are both the graph, no more and no less.
func TestPoliciesAreTheCallGraph(t *testing.T) {
	for _, values := range examples(t) {
		objects := render(t, values)
		policies := ofKind(objects, "NetworkPolicy")
		_, bundled := ofKind(objects, "StatefulSet")[release+"-postgresql"]
		want := declared(t, bundled)
		in, out := edges{}, edges{}
		for name, policy := range policies {
			self := component(t, policy.at("spec", "podSelector").(map[string]any))
			if name != release+"-"+self {
				t.Errorf("policy %s is for %s", name, self)
			}
			if types := fmt.Sprint(policy.at("spec", "policyTypes")); types != "[Ingress Egress]" {
				t.Errorf("%s restricts only %s", name, types)
			}
			for direction, found := range map[string]edges{"ingress": in, "egress": out} {
				peersOf := map[string]string{"ingress": "from", "egress": "to"}[direction]
				for _, rule := range list(policy.at("spec"), direction) {
					for _, peer := range list(rule, peersOf) {
						selector, ok := peer["podSelector"].(map[string]any)
						if !ok {
							continue // outside: TestOutside
						}
						for _, port := range list(rule, "ports") {
							from, to := component(t, selector), self
							if direction == "egress" {
								from, to = to, from
							}
							found[fmt.Sprintf("%s -> %s:%v", from, to, port["port"])] = true
						}
					}
				}
			}
		}
		if !maps.Equal(in, want) {
			t.Errorf("%s lets in\n  %s\nand the graph is\n  %s", values, in, want)
		}
		if !maps.Equal(out, want) {
			t.Errorf("%s lets out\n  %s\nand the graph is\n  %s", values, out, want)
		}
	}
}

// TestOutside lists what policies allow beyond the release.
func TestOutside(t *testing.T) {
	outside := func(values string) map[string][]string {
		found := map[string][]string{}
		for _, policy := range ofKind(render(t, chartDir+"/ci/"+values+"-values.yaml"), "NetworkPolicy") {
			for _, direction := range []string{"ingress", "egress"} {
				for _, rule := range list(policy.at("spec"), direction) {
					peers := append(list(rule, "from"), list(rule, "to")...)
					if len(peers) > 0 && peers[0]["podSelector"] != nil {
						continue
					}
					where := "anywhere"
					if len(peers) > 0 {
						where = fmt.Sprint(peers)
					}
					for _, port := range list(rule, "ports") {
						found[policy.program()] = append(found[policy.program()], fmt.Sprintf("%s %v %s", direction, port["port"], where))
					}
				}
			}
			slices.Sort(found[policy.program()])
		}
		return found
	}
	const (
		all    = "[map[ipBlock:map[cidr:0.0.0.0/0]]]"
		dns    = "egress 53 [map[namespaceSelector:map[matchLabels:map[kubernetes.io/metadata.name:kube-system]]]]"
		scrape = "ingress 9464 [map[namespaceSelector:map[matchLabels:map[kubernetes.io/metadata.name:monitoring]]]]"
		sql    = "egress 5432 [map[ipBlock:map[cidr:10.20.0.0/24]]]"
	)
	keys := []string{"egress 443 " + all, "egress 6443 " + all}
	trial := outside("trial")
	for _, department := range []string{"marketing", "insidesales", "fieldsales", "customersuccess"} {
		if got, want := trial[department], append(slices.Clone(keys), dns, dns); !slices.Equal(got, sorted(want)) {
			t.Errorf("trial: %s may %q, want %q", department, got, want)
		}
	}
	if got, want := trial["gateway"], []string{dns, dns, "ingress 8080 anywhere"}; !slices.Equal(got, want) {
		t.Errorf("trial: the gateway may %q, want %q", got, want)
	}
	if got := trial["postgresql"]; got != nil {
		t.Errorf("trial: PostgreSQL may %q", got)
	}
	production := outside("production")
	for _, department := range []string{"marketing", "insidesales", "fieldsales", "customersuccess"} {
		want := sorted(append(slices.Clone(keys), keys[0], dns, dns, scrape, sql)) // the issuer's port is 443, too
		if got := production[department]; !slices.Equal(got, want) {
			t.Errorf("production: %s may %q, want %q", department, got, want)
		}
	}
	door := "ingress 8080 [map[namespaceSelector:map[matchLabels:map[kubernetes.io/metadata.name:ingress-nginx]]]]"
	if got, want := production["gateway"], sorted([]string{keys[0], dns, dns, scrape, sql, door}); !slices.Equal(got, want) {
		t.Errorf("production: the gateway may %q, want %q", got, want)
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }

// TestPeersAreTheCallGraph: programs know the addresses of those whom they call, and of nobody else.
func TestPeersAreTheCallGraph(t *testing.T) {
	departments := map[string]string{
		"TASUKI_PEER_MARKETING": "marketing", "TASUKI_PEER_INSIDE_SALES": "insidesales",
		"TASUKI_PEER_FIELD_SALES": "fieldsales", "TASUKI_PEER_CUSTOMER_SUCCESS": "customersuccess",
	}
	objects := render(t, chartDir+"/ci/production-values.yaml")
	services := ofKind(objects, "Service")
	got := edges{}
	for _, d := range ofKind(objects, "Deployment") {
		for _, e := range environment(d) {
			name, _ := e["name"].(string)
			if !strings.HasPrefix(name, "TASUKI_PEER_") {
				continue
			}
			to := departments[name]
			got[fmt.Sprintf("%s -> %s:%v", d.program(), to, ports[to])] = true
			if want := fmt.Sprintf("dns:///%s-%s:%v", release, to, ports[to]); e["value"] != want {
				t.Errorf("%s of %s is %v, want %s", name, d.program(), e["value"], want)
			}
			if ip := services[release+"-"+to].at("spec", "clusterIP"); ip != "None" {
				t.Errorf("the service of %s is not headless: %v", to, ip)
			}
		}
	}
	if want := declared(t, false); !maps.Equal(got, want) {
		t.Errorf("peers are\n  %s\nand the graph is\n  %s", got, want)
	}
}
