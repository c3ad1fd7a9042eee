package kube

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/scenario"
)

// TestKube is the life of a release, in order. Every part takes over what the one before has left.
func TestKube(t *testing.T) {
	c := newCluster(t)
	before := c.previous()
	c.bring(before.images()...)
	c.helm("install", before, "telemetry.metrics=true")
	c.enter()
	for _, part := range []struct {
		name string
		run  func(*cluster)
	}{
		{"departments of two versions", (*cluster).mixDepartments},
		{"replicas of two versions", (*cluster).mixReplicas},
		{"upgrade from the version before", (*cluster).upgrade},
		{"back to the version before, and here again", (*cluster).rollback},
		{"rolling restart of everything", (*cluster).restart},
		{"three replicas and back", (*cluster).scale},
		{"pods are deleted at random", (*cluster).deletePods},
		{"a lead goes all the way", (*cluster).relay},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(c.in(t)) }) {
			return // what comes after would say the same
		}
	}
	t.Run("scenarios", func(t *testing.T) { scenario.Run(t, c.in(t).house) })
	t.Run("uninstall leaves nothing", func(t *testing.T) { c.in(t).uninstall() })
}

// in is the cluster for a part of the test.
func (c *cluster) in(t *testing.T) *cluster {
	return &cluster{t: t, namespace: c.namespace, house: house.Running(t, c.house.URL, c.house.Data)}
}

// idle reads what the kubelet says of memory and CPU when nothing has been asked for a while.
func (c *cluster) idle() {
	const most = 64 << 20
	rested := time.Now().Add(20 * time.Second)
	house.Await(c.t, "the kubelet has numbers of all pods", func() error {
		seen := map[string]string{}
		for node := range strings.FieldsSeq(c.must("kubectl", "get", "nodes", "--output=jsonpath={.items[*].metadata.name}")) {
			var stats struct {
				Pods []struct {
					PodRef struct{ Name, Namespace string }
					CPU    struct {
						Time           time.Time
						UsageNanoCores int
					}
					Memory struct{ WorkingSetBytes int }
				}
			}
			if err := json.Unmarshal([]byte(c.must("kubectl", "get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary")), &stats); err != nil {
				return err
			}
			for _, p := range stats.Pods {
				if p.PodRef.Namespace != c.namespace || p.Memory.WorkingSetBytes == 0 || p.CPU.Time.Before(rested) {
					continue
				}
				seen[p.PodRef.Name] = fmt.Sprintf("%.1f MiB, %.1f thousandths of a core", float64(p.Memory.WorkingSetBytes)/(1<<20), float64(p.CPU.UsageNanoCores)/1e6)
				if p.Memory.WorkingSetBytes > most && !strings.Contains(p.PodRef.Name, "postgresql") {
					return fmt.Errorf("%s takes %d bytes", p.PodRef.Name, p.Memory.WorkingSetBytes)
				}
			}
		}
		if len(seen) < len(programs)+1 {
			return fmt.Errorf("it has those of %d", len(seen))
		}
		for name, numbers := range seen {
			c.t.Logf("%s: %s", name, numbers)
		}
		return nil
	})
}

// restart replaces the pods of all services at the same time.
func (c *cluster) restart() {
	before := c.pods(programs...)
	l := scenario.StartLoad(c.t, c.house, false)
	l.More()
	began := time.Now()
	c.kubectl("rollout", "restart", "deployment", "--selector=app.kubernetes.io/instance="+release)
	c.rolledOut()
	c.t.Logf("everything restarted in %v", time.Since(began).Round(100*time.Millisecond))
	c.gone(before)
	c.t.Logf("the last pod of before was gone after %v", time.Since(began).Round(100*time.Millisecond))
	l.More()
	l.End("rolling restart")
}

// scale gives inside sales three replicas, looks whether callers use all of them, and takes them back.
func (c *cluster) scale() {
	l := scenario.StartLoad(c.t, c.house, false)
	l.More()
	c.kubectl("scale", "deployment/"+release+"-insidesales", "--replicas=3")
	c.kubectl("rollout", "status", "deployment/"+release+"-insidesales", "--timeout=3m")
	// Callers find new replicas when they connect anew: by themselves within half an hour, here by a restart of the gateway.
	c.kubectl("rollout", "restart", "deployment/"+release+"-gateway")
	c.rolledOut()
	c.allAsked("insidesales", 3)
	c.kubectl("scale", "deployment/"+release+"-insidesales", "--replicas=1")
	house.Await(c.t, "one replica is left", func() error {
		if n := strings.Count(c.kubectl("get", "pods", "--output=name"), "insidesales"); n != 1 {
			return fmt.Errorf("%d are there", n)
		}
		return nil
	})
	l.More()
	l.End("three replicas and back")
}

// deletePods takes pods away, half of them without a word, the database's too. Services have one replica here, so answers may be
// late; with the same key, nothing may be lost or doubled.
func (c *cluster) deletePods() {
	l := scenario.StartLoad(c.t, c.house, true)
	for n := range 8 {
		pods := c.pods()
		p := pods[rand.IntN(len(pods))]
		args := []string{"delete", "pod", p.Metadata.Name, "--wait=false"}
		if n%2 == 0 {
			args = append(args, "--grace-period=0", "--force")
		}
		c.t.Logf("kubectl %s", strings.Join(args, " "))
		c.kubectl(args...)
		l.More()
	}
	c.kubectl("rollout", "status", "statefulset/"+release+"-postgresql", "--timeout=3m")
	c.rolledOut()
	l.More()
	l.End("random deletion")
}

// relay takes one lead to an onboarded customer, and compares the books of everything so far.
func (c *cluster) relay() {
	r := scenario.NewRelay(c.t, c.house)
	r.Begin("kube").To(scenario.StationOnboarded)
	scenario.Settled(c.t, r)
	scenario.EveryHandoffOnce(c.t, r)
}

func (c *cluster) uninstall() {
	c.must("helm", "uninstall", release, "--namespace", c.namespace, "--wait", "--timeout=3m")
	// What every namespace has of its own.
	own := map[string]bool{"configmap/kube-root-ca.crt": true, "serviceaccount/default": true, "": true}
	kinds := "deployments,statefulsets,replicasets,pods,services,endpointslices,persistentvolumeclaims,secrets,configmaps,serviceaccounts," +
		"networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,ingresses,jobs,roles,rolebindings"
	house.Await(c.t, "nothing is left", func() error {
		for name := range strings.SplitSeq(c.kubectl("get", kinds, "--output=name"), "\n") {
			if !own[name] {
				return fmt.Errorf("%s is there", name)
			}
		}
		if out := c.must("kubectl", "get", "persistentvolumes,clusterroles,clusterrolebindings", "--output=yaml"); strings.Contains(out, c.namespace) {
			return fmt.Errorf("something of the cluster names %s", c.namespace)
		}
		return nil
	})
}
