//go:build traces

package containers

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
)

// jaeger is the address of one's query API.
type jaeger string

type trace struct {
	TraceID   string
	Spans     []span
	Processes map[string]struct{ ServiceName string }
}

type span struct {
	SpanID, OperationName, ProcessID string
	References                       []struct{ RefType, TraceID, SpanID string }
}

// traces are those since a moment with an operation of a service.
func (j jaeger) traces(ctx context.Context, service, operation string, since time.Time) ([]trace, error) {
	var found struct{ Data []trace }
	err := read(ctx, string(j)+"/api/traces?"+url.Values{
		"service": {service}, "operation": {operation}, "limit": {"20"},
		"start": {strconv.FormatInt(since.UnixMicro(), 10)}, "end": {strconv.FormatInt(time.Now().UnixMicro(), 10)},
	}.Encode(), &found)
	return found.Data, err
}

// up is the way from a span to the root of its trace, as services; each once, as long as it lasts.
func (tr trace) up(s span) ([]string, error) {
	var way []string
	for range tr.Spans {
		if service := tr.Processes[s.ProcessID].ServiceName; len(way) == 0 || way[len(way)-1] != service {
			way = append(way, service)
		}
		if len(s.References) == 0 {
			return way, nil
		}
		parent := slices.IndexFunc(tr.Spans, func(p span) bool { return p.SpanID == s.References[0].SpanID })
		if parent < 0 {
			return way, fmt.Errorf("the parent of %q (%v) is not there", s.OperationName, s.References)
		}
		s = tr.Spans[parent]
	}
	return way, fmt.Errorf("no root above %v", way)
}

// TestTraces starts the layer with the collector and Jaeger beside the stack: a lead that is left at the gateway is one trace as
// far as the desk of inside sales. It has a build tag of its own, because building Jaeger takes long: `make e2e-traces`.
func TestTraces(t *testing.T) {
	if os.Getenv("TASUKI_TRACES_IMAGE") == "" || os.Getenv("TASUKI_COLLECTOR_IMAGE") == "" {
		t.Fatal("TASUKI_TRACES_IMAGE or TASUKI_COLLECTOR_IMAGE names no image; make stand-ins TRACES=1 builds both")
	}
	c, r := observed(t, "traces")
	j := jaeger("http://" + strings.TrimSpace(c.must("port", "traces", "16686")))
	began := time.Now()
	r.ToMeeting(r.Capture("traced"))

	const form = "tasuki.marketing.v1.LeadService/CaptureLead"
	house.Await(t, "the lead is one trace", func() error {
		found, err := j.traces(t.Context(), "marketing", form, began)
		if err != nil {
			return err
		}
		if len(found) != 1 {
			return fmt.Errorf("%d traces have %s", len(found), form)
		}
		for _, s := range found[0].Spans {
			if found[0].Processes[s.ProcessID].ServiceName != "inside-sales" || !strings.HasSuffix(s.OperationName, "HandoffReceiverService/Offer") {
				continue
			}
			way, err := found[0].up(s)
			if err == nil && !slices.Equal(way, []string{"inside-sales", "marketing", "gateway"}) {
				err = fmt.Errorf("the offer came by %v", way)
			}
			return err
		}
		return fmt.Errorf("no offer at inside sales among %d spans of the trace %s", len(found[0].Spans), found[0].TraceID)
	})
}
