package kube

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/scenario"
)

// version is a chart with the images that go with it.
type version struct{ chart, values, tag string }

var now = version{chartDir, chartDir + "/ci/trial-values.yaml", setting("TASUKI_IMAGE_TAG", "dev")}

func (v version) image(program string) string {
	return setting("TASUKI_IMAGE_PREFIX", "tasuki/") + program + ":" + v.tag
}

func (v version) images() []string {
	var all []string
	for _, p := range programs {
		all = append(all, v.image(p))
	}
	return all
}

// before is what labels of the version before say, whichever it is.
const before = "0.0.9"

// previous is the version before, as tools/previous.sh finds it and `make previous-images` builds it. Versions from before there was a
// chart go with that of today.
func (c *cluster) previous() version {
	c.t.Helper()
	dir := filepath.Join(house.PreviousSources(c.t), "deploy/helm/tasuki")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		c.t.Log("the version before has no chart: its programs go with that of today")
		dir = chartDir
	}
	to := c.t.TempDir()
	c.must("helm", "package", dir, "--version", before, "--app-version", before, "--destination", to)
	return version{filepath.Join(to, "tasuki-"+before+".tgz"), dir + "/ci/trial-values.yaml", setting("TASUKI_PREVIOUS_TAG", "previous")}
}

// put gives a Deployment the images of this version: its program, and the one that migrates.
func (c *cluster) put(program string) {
	c.t.Helper()
	c.kubectl("set", "image", "deployment/"+release+"-"+program, program+"="+now.image(program), "migrate="+now.image(program))
}

// play takes a lead all the way.
func (c *cluster) play(name string) {
	c.t.Helper()
	scenario.NewRelay(c.t, c.house).Begin(name).To(scenario.StationOnboarded)
}

// mixDepartments replaces one department by this version, which migrates its database while the version before serves on it, and plays
// a relay over departments of two versions. It stays so.
func (c *cluster) mixDepartments() {
	l := scenario.StartLoad(c.t, c.house, false)
	l.More()
	c.put("customersuccess")
	c.rolledOut()
	c.play("departments")
	l.More()
	l.End("one department of this version")
}

// mixReplicas adds a replica of this version to inside sales, so that both versions serve from one database, on its new schema. It is
// held there by asking for minutes of readiness before the old one may go.
func (c *cluster) mixReplicas() {
	const deployment = "deployment/" + release + "-insidesales"
	l := scenario.StartLoad(c.t, c.house, false)
	c.kubectl("patch", deployment, "--patch", `{"spec": {"minReadySeconds": 500}}`)
	c.put("insidesales")
	house.Await(c.t, "a replica of each version is ready", func() error {
		ready := strings.Fields(c.kubectl("get", "pods", "--selector=app.kubernetes.io/component=insidesales",
			`--output=jsonpath={range .items[?(@.status.containerStatuses[0].ready==true)]}{.spec.containers[0].image}{"\n"}{end}`))
		if len(ready) != 2 || ready[0] == ready[1] {
			return fmt.Errorf("ready are %v", ready)
		}
		return nil
	})
	// Callers find new replicas when they connect anew.
	c.kubectl("rollout", "restart", "deployment/"+release+"-gateway")
	c.kubectl("rollout", "status", "deployment/"+release+"-gateway", "--timeout=3m")
	c.allAsked("insidesales", 2)
	for n := range 3 {
		c.play(fmt.Sprintf("replicas%d", n))
	}
	c.kubectl("patch", deployment, "--patch", `{"spec": {"minReadySeconds": 0}}`)
	c.rolledOut()
	l.More()
	l.End("replicas of two versions")
}

// upgrade brings everything to this version.
func (c *cluster) upgrade() {
	old := c.pods(programs...)
	l := scenario.StartLoad(c.t, c.house, false)
	l.More()
	took := c.helm("upgrade", now, "telemetry.metrics=true")
	c.rolledOut()
	c.t.Logf("upgraded in %v", took.Round(100*time.Millisecond))
	c.gone(old)
	l.More()
	l.End("upgrade")
	if left := c.kubectl("get", "pods", "--selector=app.kubernetes.io/version="+before, "--output=name"); left != "" {
		c.t.Errorf("still of the version before: %s", left)
	}
	c.runs(now.tag)
}

// rollback takes the upgrade back: programs of the version before go on with the schema and the rows of this one. Then it is made again.
func (c *cluster) rollback() {
	l := scenario.StartLoad(c.t, c.house, false)
	half := scenario.NewRelay(c.t, c.house).Begin("rollback")
	half.To(scenario.StationOpportunity)
	for _, to := range []struct{ revision, tag string }{{"1", setting("TASUKI_PREVIOUS_TAG", "previous")}, {"2", now.tag}} {
		old := c.pods(programs...)
		began := time.Now()
		c.must("helm", "rollback", release, to.revision, "--namespace", c.namespace, "--wait", "--timeout=5m")
		c.rolledOut()
		c.t.Logf("rolled to %s in %v", to.tag, time.Since(began).Round(100*time.Millisecond))
		c.gone(old)
		c.runs(to.tag)
		half.To(scenario.StationOnboarded)
		half = scenario.NewRelay(c.t, c.house).Begin("again")
		half.To(scenario.StationWon)
	}
	half.To(scenario.StationOnboarded)
	l.More()
	l.End("rollback and upgrade")
}

// runs fails unless every pod has the images of a version.
func (c *cluster) runs(tag string) {
	c.t.Helper()
	images := c.kubectl("get", "pods", "--selector=app.kubernetes.io/component in ("+strings.Join(programs, ",")+")",
		`--output=jsonpath={range .items[*]}{.spec.containers[0].image}{"\n"}{end}`)
	for image := range strings.Lines(images) {
		if !strings.HasSuffix(strings.TrimSpace(image), ":"+tag) {
			c.t.Errorf("%s runs, and not %s", strings.TrimSpace(image), tag)
		}
	}
}

// gone waits until pods have ended.
func (c *cluster) gone(before []pod) {
	c.t.Helper()
	house.Await(c.t, "the pods of before are gone", func() error {
		now := strings.Fields(c.kubectl("get", "pods", "--output=name"))
		for _, old := range before {
			if slices.Contains(now, "pod/"+old.Metadata.Name) {
				return fmt.Errorf("%s is there", old.Metadata.Name)
			}
		}
		return nil
	})
}

var calls = regexp.MustCompile(`(?m)^rpc_server_call_duration_seconds_count\{[^}]*ListHandoffs[^}]*\} (\d+)`)

// allAsked waits until every replica of a department answers callers.
func (c *cluster) allAsked(program string, replicas int) {
	c.t.Helper()
	house.Await(c.t, "all replicas are asked", func() error {
		pods := c.pods(program)
		if len(pods) != replicas {
			return fmt.Errorf("%d pods", len(pods))
		}
		for _, p := range pods {
			text := c.must("kubectl", "get", "--raw", "/api/v1/namespaces/"+c.namespace+"/pods/"+p.Metadata.Name+":9464/proxy/metrics")
			m := calls.FindStringSubmatch(text)
			if m == nil {
				return fmt.Errorf("%s was not asked", p.Metadata.Name)
			}
			if n, err := strconv.Atoi(m[1]); err != nil || n < 5 {
				return fmt.Errorf("%s was asked %s times", p.Metadata.Name, m[1])
			}
		}
		return nil
	})
}
