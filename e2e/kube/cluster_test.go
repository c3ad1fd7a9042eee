package kube

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
)

const (
	chartDir = "../../deploy/helm/tasuki"
	release  = "tasuki"
)

var programs = []string{"marketing", "insidesales", "fieldsales", "customersuccess", "gateway"}

// setting is an environment variable with a default.
func setting(name, without string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return without
}

func postgresImage() string { return setting("TASUKI_POSTGRES_IMAGE", "postgres:17") }

// cluster is a namespace of the test's own, with a release in it.
type cluster struct {
	t         *testing.T
	namespace string
	house     *house.House
}

// newCluster brings the images to the nodes and makes a namespace, which goes with the test.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("needs a cluster: set KUBECONFIG, and TASUKI_KUBE_LOAD to a command that brings images to its nodes")
	}
	c := &cluster{t: t, namespace: "tasuki-e2e-" + uuid.NewString()[:8]}
	c.bring(postgresImage())
	c.bring(now.images()...)
	c.must("kubectl", "create", "namespace", c.namespace)
	t.Cleanup(func() {
		if t.Failed() {
			c.explain()
		}
		if out, err := c.try("kubectl", "delete", "namespace", c.namespace, "--timeout=3m"); err != nil {
			t.Errorf("the namespace stays: %v\n%s", err, out)
		}
	})
	return c
}

// bring copies images to the nodes, where there is a command for it.
func (c *cluster) bring(images ...string) {
	c.t.Helper()
	if load := os.Getenv("TASUKI_KUBE_LOAD"); load != "" {
		c.must(load, images...)
	}
}

// try runs a command and returns what it printed. It works in cleanups, too.
func (c *cluster) try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), 6*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

func (c *cluster) must(name string, args ...string) string {
	c.t.Helper()
	out, err := c.try(name, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// kubectl runs in the namespace.
func (c *cluster) kubectl(args ...string) string {
	c.t.Helper()
	return c.must("kubectl", append([]string{"--namespace", c.namespace}, args...)...)
}

// apply makes what a manifest says.
func (c *cluster) apply(manifest string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.kubectl("apply", "--filename="+file)
}

// explain logs what is there when a test has failed.
func (c *cluster) explain() {
	for _, args := range [][]string{
		{"get", "pods", "--output=wide"},
		{"get", "events", "--field-selector=type!=Normal", "--sort-by=.lastTimestamp"},
		{"logs", "--selector=app.kubernetes.io/instance=" + release, "--all-containers", "--tail=15", "--prefix", "--max-log-requests=30"},
	} {
		out, err := c.try("kubectl", append([]string{"--namespace", c.namespace}, args...)...)
		c.t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out[max(0, len(out)-12000):])
	}
}

// helm installs or upgrades the release as people do who try it, and waits until all of it is ready.
func (c *cluster) helm(command string, v version, set ...string) time.Duration {
	c.t.Helper()
	args := []string{
		command, release, v.chart, "--namespace", c.namespace, "--wait", "--timeout=5m",
		"--values", v.values,
		"--set", "image.prefix=" + setting("TASUKI_IMAGE_PREFIX", "tasuki/"), "--set", "image.tag=" + v.tag,
		"--set", "postgresql.image=" + postgresImage(), "--set", "gateway.service.type=NodePort",
	}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	began := time.Now()
	c.must("helm", args...)
	return time.Since(began)
}

// enter finds the door and the key of the release.
func (c *cluster) enter() {
	c.t.Helper()
	port := c.kubectl("get", "service", release+"-gateway", "--output=jsonpath={.spec.ports[0].nodePort}")
	key, err := base64.StdEncoding.DecodeString(c.kubectl("get", "secret", release+"-issuer", `--output=jsonpath={.data.issuer\.key}`))
	data := c.t.TempDir()
	if err == nil {
		err = os.WriteFile(filepath.Join(data, "issuer.key"), key, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.house = house.Running(c.t, "http://"+setting("TASUKI_KUBE_HOST", "127.0.0.1")+":"+port, data)
	house.AwaitReady(c.t, c.house.URL)
}

// rolledOut waits until every Deployment has the pods that it should have, and no others.
func (c *cluster) rolledOut() {
	c.t.Helper()
	for _, p := range programs {
		c.kubectl("rollout", "status", "deployment/"+release+"-"+p, "--timeout=5m")
	}
	house.AwaitReady(c.t, c.house.URL)
}

// pod is what tests want to know of one.
type pod struct {
	Metadata struct {
		Name              string
		DeletionTimestamp *string
	}
}

// pods are those of the release that are not ending.
func (c *cluster) pods(of ...string) []pod {
	c.t.Helper()
	var all struct{ Items []pod }
	selector := "app.kubernetes.io/instance=" + release
	if len(of) > 0 {
		selector += ",app.kubernetes.io/component in (" + strings.Join(of, ",") + ")"
	}
	if err := json.Unmarshal([]byte(c.kubectl("get", "pods", "--output=json", "--selector="+selector)), &all); err != nil {
		c.t.Fatal(err)
	}
	var found []pod
	for _, p := range all.Items {
		if p.Metadata.DeletionTimestamp == nil {
			found = append(found, p)
		}
	}
	return found
}
