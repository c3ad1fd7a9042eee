package containers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/scenario"
)

// TestObservability starts the layer with the collector and Prometheus beside the stack, hands leads over, and asks Prometheus
// what the alerts and the dashboard ask it.
func TestObservability(t *testing.T) {
	for _, name := range []string{"TASUKI_COLLECTOR_IMAGE", "TASUKI_PROMETHEUS_IMAGE"} {
		if os.Getenv(name) == "" {
			const why = " names no image; make stand-ins builds some"
			if os.Getenv("CI") == "true" {
				t.Fatal(name + why)
			}
			t.Skip(name + why)
		}
	}
	c, r := observed(t, "prometheus")
	r.ToMeeting(r.Capture("observed"))
	p := prometheus("http://" + strings.TrimSpace(c.must("port", "prometheus", "9090")))

	// The signals that every department reports, from each of them: programs send every 15 s, and Prometheus collects every 15 s.
	for _, metric := range []string{
		"tasuki_handoff_undelivered", "tasuki_feed_lag_seconds", "tasuki_jobs_depth", "tasuki_store_connections_max",
	} {
		house.Await(t, metric+" comes from all departments", func() error {
			return p.departments(t.Context(), "count by (department) ("+metric+")", "marketing", "inside-sales", "field-sales", "customer-success")
		})
	}
	house.Await(t, "the open handoff is seen at its receiver", func() error {
		return p.departments(t.Context(), `count by (department) (tasuki_handoff_open{side="IN"})`, "inside-sales", "field-sales")
	})
	for _, metric := range []string{"rpc_server_call_duration_seconds_count", "http_server_request_duration_seconds_count", "tasuki_handoff_transitions_total"} {
		house.Await(t, metric+" is counted", func() error {
			found, err := p.query(t.Context(), metric)
			if err == nil && len(found) == 0 {
				err = errors.New("no series")
			}
			return err
		})
	}

	raw, err := os.ReadFile("../../deploy/observability/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			asked++
			if _, err := p.query(t.Context(), strings.ReplaceAll(target.Expr, "$department", ".*")); err != nil {
				t.Errorf("panel %q: %v", panel.Title, err)
			}
		}
	}
	if asked < 20 {
		t.Errorf("the dashboard asks only %d questions", asked)
	}
	house.Await(t, "all rules are evaluated", func() error { return p.rules(t.Context()) })
}

// observed is the stack with the layer's collector and another program of it.
func observed(t *testing.T, by string) (*compose, *scenario.Relay) {
	t.Helper()
	address := house.LastingAddress(t)
	c := newCompose(t, address, "compose.yaml", "compose.observability.yaml", "../../e2e/containers/testdata/observability.yaml")
	c.must("up", "--detach", "--wait", "--wait-timeout", "180", "--pull", "never", "gateway", "collector", by)
	data := t.TempDir()
	c.must("cp", "gateway:/data/issuer.key", filepath.Join(data, "issuer.key"))
	return c, scenario.NewRelay(t, house.Running(t, "http://"+address, data))
}

// prometheus is the address of one.
type prometheus string

type series struct{ Metric map[string]string }

// get reads the data of an answer of the HTTP API.
func (p prometheus) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, string(p)+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return err
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(body.Bytes(), &answer); err != nil {
		return fmt.Errorf("HTTP %d: %s", resp.StatusCode, body.String())
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

func (p prometheus) query(ctx context.Context, expr string) ([]series, error) {
	var found struct{ Result []series }
	err := p.get(ctx, "/api/v1/query?query="+url.QueryEscape(expr), &found)
	return found.Result, err
}

// departments fails unless an expression has a series for each of the departments.
func (p prometheus) departments(ctx context.Context, expr string, want ...string) error {
	found, err := p.query(ctx, expr)
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, s := range found {
		has[s.Metric["department"]] = true
	}
	for _, d := range want {
		if !has[d] {
			return fmt.Errorf("none of %s, but of %v", d, has)
		}
	}
	return nil
}

// rules fails unless every rule was evaluated without an error.
func (p prometheus) rules(ctx context.Context) error {
	var loaded struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get(ctx, "/api/v1/rules", &loaded); err != nil {
		return err
	}
	n := 0
	for _, g := range loaded.Groups {
		for _, rule := range g.Rules {
			n++
			if rule.Health != "ok" {
				return fmt.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
		}
	}
	if n < 10 {
		return fmt.Errorf("only %d rules are loaded", n)
	}
	return nil
}
