package scenario

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// Load are people who work on while the house is worked on: two leave leads, one reads all desks. Every lead is hot, so that
// each is a handoff. Like a browser's form, every command has a key.
type Load struct {
	t       testing.TB
	relay   *Relay
	patient bool
	stop    context.CancelFunc
	done    sync.WaitGroup
	told    chan struct{} // a lead was acknowledged

	mu       sync.Mutex
	leads    map[string]*marketingv1.Lead // by mail address
	requests int
	slowest  time.Duration
	failed   []string
}

// StartLoad sends them to work. Patient ones repeat what failed, with the same key; else it counts as failed.
func StartLoad(t testing.TB, h *house.House, patient bool) *Load {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &Load{
		t: t, relay: NewRelay(t, h), patient: patient, stop: stop,
		told: make(chan struct{}, 1), leads: map[string]*marketingv1.Lead{},
	}
	t.Cleanup(func() { stop(); l.done.Wait() })
	for worker := range 2 {
		l.done.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.capture(fmt.Sprintf("visitor%d-%d", worker, n))
			}
		})
	}
	l.done.Go(func() {
		for ctx.Err() == nil {
			for _, desk := range []rest.Client{l.relay.Marketing, l.relay.Inside, l.relay.Field, l.relay.Success} {
				l.request("read "+desk.URL, func(ctx context.Context) error {
					return desk.Call(ctx, http.MethodGet, "/v1/handoffs?box=BOX_INBOX&pageSize=5", nil, &handoffv1.ListHandoffsResponse{})
				})
			}
		}
	})
	return l
}

// request makes one request at most every 100 ms: people, not a benchmark.
func (l *Load) request(what string, call func(context.Context) error) {
	between := time.NewTicker(100 * time.Millisecond)
	defer between.Stop()
	last := time.Now().Add(3 * time.Minute)
	for {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.t.Context()), 30*time.Second)
		began := time.Now()
		err := call(ctx)
		took := time.Since(began)
		cancel()
		<-between.C
		l.mu.Lock()
		l.requests++
		l.slowest = max(l.slowest, took)
		if err == nil || !l.patient || time.Now().After(last) {
			if err != nil {
				l.failed = append(l.failed, fmt.Sprintf("%s %s after %v: %s", time.Now().Format("15:04:05.000"), what, took, rest.Explain(err)))
			}
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
	}
}

func (l *Load) capture(name string) {
	request := l.relay.CaptureRequest(name, "demo_request")
	key := rest.Header{Name: "Idempotency-Key", Value: uuid.NewString()}
	l.request("capture "+name, func(ctx context.Context) error {
		var lead marketingv1.Lead
		if err := l.relay.Marketing.Call(ctx, http.MethodPost, "/v1/leads", request, &lead, key); err != nil {
			return err
		}
		l.mu.Lock()
		l.leads[request.GetPerson().GetMail()] = &lead
		l.mu.Unlock()
		select {
		case l.told <- struct{}{}:
		default:
		}
		return nil
	})
}

// More waits a moment, at most until another lead is acknowledged.
func (l *Load) More() {
	select {
	case <-l.told:
	default:
	}
	select {
	case <-l.told:
	case <-time.After(3 * time.Second):
	}
}

// End stops the load. No request may have failed, and every lead must be there once, with one handoff on both sides.
func (l *Load) End(during string) {
	l.t.Helper()
	l.stop()
	l.done.Wait()
	l.t.Logf("%s: %d requests, %d failed, %d leads, slowest answer %v", during, l.requests, len(l.failed), len(l.leads), l.slowest.Round(time.Millisecond))
	for _, f := range l.failed[:min(len(l.failed), 20)] {
		l.t.Errorf("%s: %s", during, f)
	}
	if len(l.leads) == 0 {
		l.t.Fatalf("%s: nobody left a lead", during)
	}
	Settled(l.t, l.relay)
	kept := map[string]*marketingv1.Lead{}
	All(l.t, l.relay.Marketing, "/v1/leads", func(page *marketingv1.ListLeadsResponse) {
		for _, lead := range page.GetLeads() {
			if mail := lead.GetPerson().GetMail(); l.leads[mail] != nil {
				if kept[mail] != nil {
					l.t.Errorf("%s: %s is there twice", during, mail)
				}
				kept[mail] = lead
			}
		}
	})
	arrived := map[string]int{}
	for _, h := range Ledger(l.t, l.relay.Inside, "BOX_INBOX", handoffv1.Kind_KIND_MQL) {
		arrived[h.GetJourneyId()]++
	}
	for mail, lead := range l.leads {
		if got := kept[mail]; got.GetId() != lead.GetId() || got.GetTouchCount() != 1 {
			l.t.Errorf("%s: %s was told lead %s, and is %v", during, mail, lead.GetId(), got)
		}
		if n := arrived[lead.GetJourneyId()]; n != 1 {
			l.t.Errorf("%s: the handoff of %s arrived %d times", during, mail, n)
		}
	}
}

// Settled waits until the sides of all handoffs agree. A connection to a pod that went without a word is given up after 40 s, and
// what was asked over it is asked again then; so there may be more than a minute to wait.
func Settled(t testing.TB, r *Relay) {
	t.Helper()
	agree := func() error {
		for _, leg := range []struct {
			kind     handoffv1.Kind
			from, to rest.Client
		}{
			{handoffv1.Kind_KIND_MQL, r.Marketing, r.Inside},
			{handoffv1.Kind_KIND_MEETING, r.Inside, r.Field},
			{handoffv1.Kind_KIND_CLOSED_WON, r.Field, r.Success},
			{handoffv1.Kind_KIND_CSQL, r.Success, r.Field},
		} {
			received := Ledger(t, leg.to, "BOX_INBOX", leg.kind)
			for id, sent := range Ledger(t, leg.from, "BOX_OUTBOX", leg.kind) {
				if received[id].GetState() != sent.GetState() {
					return fmt.Errorf("%s %s is %s at the sender, %s at the receiver", leg.kind, id, sent.GetState(), received[id].GetState())
				}
			}
		}
		return nil
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		if agree() == nil {
			return
		}
		<-time.After(200 * time.Millisecond)
	}
	if err := agree(); err != nil {
		t.Fatalf("waited two minutes until the ledgers agree: %v", err)
	}
}
