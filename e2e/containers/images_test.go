package containers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/testcontainers/testcontainers-go"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

func TestImages(t *testing.T) {
	s := start(t)
	scenario.Run(t, s.house)
	s.healthy()
}

// TestImagesAreHardened looks at what every image says of itself.
func TestImagesAreHardened(t *testing.T) {
	engine, err := testcontainers.NewDockerClientWithOpts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close() }() // the test is over
	for _, program := range []string{"marketing", "insidesales", "fieldsales", "customersuccess", "gateway", "tasuki"} {
		got, err := engine.ImageInspect(t.Context(), image(program))
		if err != nil {
			t.Errorf("%s: %v (make images builds it)", program, err)
			continue
		}
		if got.Config.User != "65532:65532" {
			t.Errorf("%s runs as %q", program, got.Config.User)
		}
		if got.Config.Healthcheck == nil || strings.Join(got.Config.Healthcheck.Test, " ") != "CMD /program healthcheck" {
			t.Errorf("%s: health check %v", program, got.Config.Healthcheck)
		}
		for _, label := range []string{"title", "version", "revision", "created", "licenses", "source"} {
			if got.Config.Labels["org.opencontainers.image."+label] == "" {
				t.Errorf("%s has no label %s", program, label)
			}
		}
		if created, err := time.Parse(time.RFC3339, got.Config.Labels["org.opencontainers.image.created"]); err != nil || created.Year() < 2020 {
			t.Errorf("%s was created at %v: %v", program, created, err)
		}
	}
}

// TestKilledContainers takes a lead through all departments while visitors leave leads, and kills a container with SIGKILL
// in the middle of every handoff: who has just offered, who is about to receive, and the database of all of them.
func TestKilledContainers(t *testing.T) {
	s := start(t)
	r := scenario.NewRelay(t, s.house)
	v := visit(t, r)
	over := func(names ...string) {
		for _, name := range names {
			s.kill(name)
		}
		v.more() // something is asked of those who are away
		s.restart(names...)
	}

	lead := r.Capture("killed")
	over("insidesales", "marketing")
	r.ToMeeting(lead)
	over("fieldsales", "insidesales")
	opportunity := r.ToOpportunity(lead.GetJourneyId())
	over("marketing")
	r.ToVerbal(opportunity)
	r.Field.Must(t, http.MethodPost, "/v1/opportunities/"+opportunity+":closeWon", scenario.WinRequest(), &fieldsalesv1.Opportunity{})
	over("customersuccess", "gateway")
	over("postgres")
	settled(t, r)
	handover := r.Accept(r.Success, r.Arrival(r.Success, lead.GetJourneyId(), handoffv1.Kind_KIND_CLOSED_WON))
	over("fieldsales")
	r.Onboard(scenario.Subject(t, handover.GetReceiverSubject(), "customer"))
	r.AwaitLead(lead.GetId(), marketingv1.Lead_STATE_CUSTOMER)

	for mail, id := range v.leave() {
		var leads marketingv1.ListLeadsResponse
		r.Marketing.Must(t, http.MethodGet, "/v1/leads?mail="+url.QueryEscape(mail), nil, &leads)
		if n := len(leads.GetLeads()); n != 1 || leads.GetLeads()[0].GetId() != id || leads.GetLeads()[0].GetTouchCount() != 1 {
			t.Errorf("%s was told lead %s, and is %v", mail, id, leads.GetLeads())
			continue
		}
		r.Arrival(r.Inside, leads.GetLeads()[0].GetJourneyId(), handoffv1.Kind_KIND_MQL)
	}
	settled(t, r)
	scenario.EveryHandoffOnce(t, r)
}

// settled waits until all departments answer and the sides of all handoffs agree; EveryHandoffOnce says what does not.
func settled(t *testing.T, r *scenario.Relay) {
	t.Helper()
	house.Await(t, "the ledgers agree", func() error {
		for _, leg := range []struct {
			kind     handoffv1.Kind
			from, to rest.Client
		}{
			{handoffv1.Kind_KIND_MQL, r.Marketing, r.Inside},
			{handoffv1.Kind_KIND_MEETING, r.Inside, r.Field},
			{handoffv1.Kind_KIND_CLOSED_WON, r.Field, r.Success},
		} {
			sent, err := states(t.Context(), leg.from, "BOX_OUTBOX", leg.kind)
			if err != nil {
				return err
			}
			received, err := states(t.Context(), leg.to, "BOX_INBOX", leg.kind)
			if err != nil {
				return err
			}
			for id, state := range sent {
				if received[id] != state {
					return fmt.Errorf("%s %s is %s at the sender, %s at the receiver", leg.kind, id, state, received[id])
				}
			}
		}
		return nil
	})
}

func states(ctx context.Context, c rest.Client, box string, kind handoffv1.Kind) (map[string]handoffv1.State, error) {
	found := map[string]handoffv1.State{}
	err := rest.Pages(ctx, c, "/v1/handoffs?box="+box+"&kind="+kind.String(), func(page *handoffv1.ListHandoffsResponse) {
		for _, h := range page.GetHandoffs() {
			found[h.GetId()] = h.GetState()
		}
	})
	return found, err
}

// visitors leave leads one after the other, and repeat what got no answer with the same key, as a browser's form does.
type visitors struct {
	t    *testing.T
	told chan struct{} // a lead was acknowledged
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	leads map[string]string // lead by mail address
}

func visit(t *testing.T, r *scenario.Relay) *visitors {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	v := &visitors{t: t, told: make(chan struct{}, 1), stop: stop, leads: map[string]string{}}
	t.Cleanup(func() { stop(); v.done.Wait() })
	for worker := range 2 {
		v.done.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				v.capture(ctx, r, fmt.Sprintf("visitor%d-%d", worker, n))
			}
		})
	}
	return v
}

// capture ends only with an answer: a form that was sent is not taken back.
func (v *visitors) capture(ctx context.Context, r *scenario.Relay, name string) {
	request := r.CaptureRequest(name, "demo_request")
	key := rest.Header{Name: "Idempotency-Key", Value: uuid.NewString()}
	between := time.NewTicker(150 * time.Millisecond) // a person, not a load test
	defer between.Stop()
	last := time.Now().Add(2 * time.Minute)
	for {
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		var lead marketingv1.Lead
		err := r.Marketing.Call(one, http.MethodPost, "/v1/leads", request, &lead, key)
		cancel()
		<-between.C
		if err == nil {
			v.mu.Lock()
			v.leads[request.GetPerson().GetMail()] = lead.GetId()
			v.mu.Unlock()
			select {
			case v.told <- struct{}{}:
			default:
			}
			return
		}
		if time.Now().After(last) {
			v.t.Errorf("%s got no answer for two minutes: %s", name, rest.Explain(err))
			return
		}
	}
}

// more waits a moment, at most until another lead is acknowledged: with marketing or the gateway away none is.
func (v *visitors) more() {
	select {
	case <-v.told:
	default:
	}
	select {
	case <-v.told:
	case <-time.After(time.Second):
	}
}

// leave ends the visits, and tells which leads were acknowledged.
func (v *visitors) leave() map[string]string {
	v.stop()
	v.done.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.leads) == 0 {
		v.t.Error("no visitor got an answer")
	}
	return v.leads
}
