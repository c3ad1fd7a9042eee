package telemetry

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// observed is a house of five processes that report metrics to Prometheus and write their spans to their logs.
type observed struct {
	*house.House
	// metrics are the addresses to scrape, by program.
	metrics map[string]string
}

func observe(t *testing.T) *observed {
	t.Helper()
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTEL_TRACES_EXPORTER", "console")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	h := &observed{House: house.Split(t), metrics: map[string]string{}}
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	for name, p := range h.Programs { // each with a port of its own
		h.metrics[name] = house.LastingAddress(t)
		host, port, _ := strings.Cut(h.metrics[name], ":")
		t.Setenv("OTEL_EXPORTER_PROMETHEUS_HOST", host)
		t.Setenv("OTEL_EXPORTER_PROMETHEUS_PORT", port)
		p.Kill()
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	house.AwaitReady(t, h.URL)
	return h
}

func (h *observed) await(t *testing.T, what string, check func() error) {
	t.Helper()
	house.Await(t, what, check)
}

// departments are the programs that are one.
var departments = map[string]string{
	"marketing": "marketing", "insidesales": "inside-sales", "fieldsales": "field-sales", "customersuccess": "customer-success",
}

// everywhere is what each department reports, from its start.
var everywhere = []string{
	"tasuki_handoff_open", "tasuki_handoff_undelivered", "tasuki_handoff_undelivered_age_seconds", "tasuki_handoff_transitions_total",
	"tasuki_feed_lag_seconds", "tasuki_feed_parked_events", "tasuki_feed_parked_subjects", "tasuki_feed_held_back_seconds",
	"tasuki_jobs_depth", "tasuki_jobs_waiting_seconds", "tasuki_jobs_dead", "tasuki_jobs_failures_total",
	"tasuki_store_connections", "tasuki_store_connections_max", "tasuki_store_connection_waits_total",
	"tasuki_access_denied_total", "rpc_server_call_duration_seconds_bucket", "target_info",
}

// further is what some programs report besides: receivers have clocks, and who has offered something has run a job and called
// somebody. A stream is a call that has not ended yet.
var further = map[string][]string{
	"marketing":       {"tasuki_jobs_delay_seconds_bucket", "rpc_client_call_duration_seconds_bucket"},
	"insidesales":     {"tasuki_handoff_breaches_total"},
	"fieldsales":      {"tasuki_handoff_breaches_total"},
	"customersuccess": {"tasuki_handoff_breaches_total"},
	"gateway":         {"http_server_request_duration_seconds_bucket", "rpc_client_call_duration_seconds_bucket", "tasuki_access_denied_total", "target_info"},
}

// TestOperatorsSee plays one lead up to its acceptance, and then looks at what the programs have reported meanwhile.
func TestOperatorsSee(t *testing.T) {
	h := observe(t)
	r := scenario.NewRelay(t, h.House)
	lead := r.Capture("telemetry")
	offer := r.Arrival(r.Inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	r.Accept(r.Inside, offer)
	r.AwaitLead(lead.GetId(), marketingv1.Lead_STATE_ACCEPTED)
	h.strangers(t)

	reported := map[string]signals{}
	for program := range h.Programs {
		want := further[program]
		if departments[program] != "" {
			want = append(slices.Clone(everywhere), want...)
		}
		reported[program] = h.scraped(t, program, want)
	}
	t.Run("signals", func(t *testing.T) { testSignals(t, reported) })
	t.Run("files", func(t *testing.T) { testFiles(t, reported) })
	h.testTrace(t, lead.GetId(), offer.GetId())
}

// strangers knock at every door, so that there is something to count.
func (h *observed) strangers(t *testing.T) {
	t.Helper()
	for program, prefix := range departments {
		conn, err := grpc.NewClient(h.GRPC[prefix], grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		_, err = feedv1.NewFeedServiceClient(conn).ListEvents(t.Context(), &feedv1.ListEventsRequest{})
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s answers a stranger with %v", program, err)
		}
		_ = conn.Close() // nothing depends on it
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/"+prefix+"/v1/events?"+url.Values{"subject": {"lead/secret"}}.Encode(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // only the status counts
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s by REST answers a stranger with %s", prefix, resp.Status)
		}
	}
}

// testSignals looks at what is reported by name: all has a help text, is bounded, and holds nobody's data.
func testSignals(t *testing.T, reported map[string]signals) {
	for program, found := range reported {
		for name, s := range found {
			if strings.HasPrefix(name, "tasuki_") && len(s.help) < 20 {
				t.Errorf("%s: %s has the help text %q", program, name, s.help)
			}
			if n := len(s.values); strings.HasPrefix(name, "tasuki_") && n > 1500 {
				t.Errorf("%s: %s has %d series", program, name, n)
			}
			for labels := range s.values {
				for _, private := range []string{"佐藤", "花子", "@", "secret", "telemetry-"} {
					if strings.Contains(labels, private) {
						t.Errorf("%s: %s{%s} holds %q", program, name, labels, private)
					}
				}
			}
			if department := departments[program]; department != "" && strings.HasPrefix(name, "tasuki_") {
				for labels := range s.values {
					if !strings.Contains(labels, `department="`+department+`"`) {
						t.Errorf("%s: %s{%s} is of another department", program, name, labels)
					}
				}
			}
		}
	}
	for series, want := range map[string]string{
		`tasuki_handoff_transitions_total|department="inside-sales",kind="MQL"|side="IN",state="ACCEPTED"`: "1",
		`tasuki_handoff_open|age="1h",department="marketing",kind="MQL"|side="OUT",state="ACCEPTED"`:       "1",
		`tasuki_handoff_undelivered|department="marketing",kind="MQL"|`:                                    "0",
	} {
		parts := strings.Split(series, "|")
		found := false
		for _, s := range reported {
			if s[parts[0]] == nil {
				continue
			}
			for labels, value := range s[parts[0]].values {
				if strings.Contains(labels, parts[1]) && strings.Contains(labels, parts[2]) {
					if found = true; value != want {
						t.Errorf("%s is %s, want %s", series, value, want)
					}
				}
			}
		}
		if !found {
			t.Errorf("%s is not there", series)
		}
	}
}

// testTrace follows the lead: from the form to the other department's desk in one trace, and from the decision back to the
// sender in the trace of who decided, which is linked to the first.
func (h *observed) testTrace(t *testing.T, lead, offer string) {
	t.Helper()
	var all []span
	has := func(trace, program, name string) error {
		if _, ok := find(all, func(s span) bool {
			return s.SpanContext.TraceID == trace && s.program == program && strings.Contains(s.Name, name)
		}); !ok {
			return fmt.Errorf("no span %q of %s in trace %s", name, program, trace)
		}
		return nil
	}
	h.await(t, "the lead is one trace", func() error {
		all = h.spans(t)
		form, ok := find(all, func(s span) bool {
			return s.program == "marketing" && strings.HasSuffix(s.Name, "LeadService/CaptureLead")
		})
		if !ok {
			return fmt.Errorf("nobody has captured the lead %s", lead)
		}
		there := form.SpanContext.TraceID
		decision, ok := find(all, func(s span) bool {
			return s.program == "insidesales" && strings.HasSuffix(s.Name, "HandoffDeskService/AcceptHandoff")
		})
		if !ok {
			return fmt.Errorf("nobody has accepted the handoff %s", offer)
		}
		back := decision.SpanContext.TraceID
		for _, step := range [][3]string{
			{there, "gateway", ""},
			{there, "marketing", "job handoff.deliver"},
			{there, "insidesales", "HandoffReceiverService/Offer"},
			{back, "gateway", ""},
			{back, "marketing", "event tasuki.handoff.v1.HandoffAccepted"},
		} {
			if err := has(step[0], step[1], step[2]); err != nil {
				return err
			}
		}
		if back != there && !linked(decision, there) {
			return fmt.Errorf("the decision is in trace %s and not linked to %s", back, there)
		}
		return nil
	})
	for _, s := range all {
		for _, a := range s.Attributes {
			if v := fmt.Sprint(a.Value.Value); strings.Contains(v, "佐藤") || strings.Contains(v, "@telemetry") {
				t.Errorf("the span %s has %s=%s", s.Name, a.Key, v)
			}
		}
	}
}
