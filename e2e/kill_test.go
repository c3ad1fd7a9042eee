package e2e

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
)

// kills is how often the demo is killed in one run.
const kills = 20

func TestKilledDemoOnSQLite(t *testing.T) {
	killedDemo(t, func() []string { return nil })
}

func TestKilledDemoOnPostgreSQL(t *testing.T) {
	killedDemo(t, func() []string { return []string{"--dsn", house.Template(house.Databases(t))} })
}

// killedDemo kills the demo with SIGKILL at random moments, starts it again, lets it end, and then compares what the
// departments have: every handoff arrived once, and made one thing. A demo that ends before it is killed is compared, too,
// and another begins on empty storage.
func killedDemo(t *testing.T, storage func() []string) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SEED=%q is no number", s)
		}
		seed = n
	}
	t.Logf("moments of the kills come from SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	d := newDemo(t, storage())
	for midway := 0; midway < kills; {
		p := house.Start(t, d.program, d.args...)
		// From before the databases are open to well into the relay.
		select {
		case <-time.After(time.Duration(rnd.Int64N(int64(1200 * time.Millisecond)))):
			midway++
			p.Kill()
		case <-p.Done():
			d.compare(t, p)
			d = newDemo(t, storage())
		}
	}
	last := house.Start(t, d.program, d.args...)
	select {
	case <-last.Done():
	case <-time.After(3 * time.Minute):
		t.Fatal("the demo does not end")
	}
	d.compare(t, last)
}

// demo is one demo on storage of its own.
type demo struct {
	program, data, address string
	args, storage          []string
}

func newDemo(t *testing.T, storage []string) *demo {
	t.Helper()
	d := &demo{program: filepath.Join(house.BinDir(t), "tasuki"), data: t.TempDir(), address: house.FreeAddress(t), storage: storage}
	d.args = append([]string{"demo", "--data", d.data, "--listen", d.address, "--leads", "testdata/leads.csv", "--exit"}, storage...)
	return d
}

// compare looks at everything after a demo that has ended.
func (d *demo) compare(t *testing.T, ended *house.Process) {
	t.Helper()
	if ended.Err() != nil {
		t.Fatalf("the demo ended with %v", ended.Err())
	}
	if !strings.Contains(ended.Output(), "From lead to onboarded customer") {
		t.Error("the demo printed no funnel")
	}
	up := house.Start(t, d.program, append([]string{"up", "--data", d.data, "--listen", d.address}, d.storage...)...)
	h := house.Running(t, "http://"+d.address, d.data)
	house.AwaitReady(t, h.URL)
	everyHandoffOnce(t, newRelay(t, h))
	up.Stop()
}

// everyHandoffOnce compares the ledgers of senders and receivers, and the things that the handoffs made.
func everyHandoffOnce(t *testing.T, r *relay) {
	t.Helper()
	var items []*insidesalesv1.WorkItem
	all(t, r.inside, "/v1/work-items", func(page *insidesalesv1.ListWorkItemsResponse) { items = append(items, page.GetWorkItems()...) })
	var opportunities []*fieldsalesv1.Opportunity
	all(t, r.field, "/v1/opportunities", func(page *fieldsalesv1.ListOpportunitiesResponse) {
		opportunities = append(opportunities, page.GetOpportunities()...)
	})
	var customers []*customersuccessv1.Customer
	all(t, r.success, "/v1/customers", func(page *customersuccessv1.ListCustomersResponse) {
		customers = append(customers, page.GetCustomers()...)
	})
	itemOf, opportunityOf := map[string]int{}, map[string]int{}
	for _, w := range items {
		itemOf[w.GetMqlHandoffId()]++
	}
	for _, o := range opportunities {
		opportunityOf[o.GetSourceHandoffId()]++
	}

	for _, leg := range []struct {
		kind     handoffv1.Kind
		from, to rest.Client
		made     map[string]int
		always   bool // the receiver makes it on arrival, not on acceptance
	}{
		{handoffv1.Kind_KIND_MQL, r.marketing, r.inside, itemOf, true},
		{handoffv1.Kind_KIND_MEETING, r.inside, r.field, opportunityOf, false},
		{handoffv1.Kind_KIND_CLOSED_WON, r.field, r.success, nil, false},
	} {
		sent, received := ledger(t, leg.from, "BOX_OUTBOX", leg.kind), ledger(t, leg.to, "BOX_INBOX", leg.kind)
		if len(sent) == 0 || len(sent) != len(received) {
			t.Errorf("%s: %d sent, %d received", leg.kind, len(sent), len(received))
		}
		for id, s := range sent {
			got, ok := received[id]
			if !ok {
				t.Errorf("%s %s was lost", leg.kind, id)
				continue
			}
			if got.GetState() != s.GetState() {
				t.Errorf("%s %s: the sender has %s, the receiver %s", leg.kind, id, s.GetState(), got.GetState())
			}
			taken := got.GetState() == handoffv1.State_STATE_ACCEPTED || got.GetState() == handoffv1.State_STATE_FULFILLED
			if leg.made != nil && (leg.always || taken) && leg.made[id] != 1 {
				t.Errorf("%s %s (%s) made %d things, want 1", leg.kind, id, got.GetState(), leg.made[id])
			}
		}
		t.Logf("%s: %d handoffs, ledgers compared", leg.kind, len(sent))
	}
	journeys := map[string]int{}
	for _, c := range customers {
		journeys[c.GetJourneyId()]++
	}
	for journey, n := range journeys {
		if n != 1 {
			t.Errorf("journey %s has %d customers", journey, n)
		}
	}
	var plans []*customersuccessv1.OnboardingPlan
	all(t, r.success, "/v1/onboarding-plans", func(page *customersuccessv1.ListOnboardingPlansResponse) { plans = append(plans, page.GetPlans()...) })
	if won := len(ledger(t, r.field, "BOX_OUTBOX", handoffv1.Kind_KIND_CLOSED_WON)); len(plans) != won {
		t.Errorf("%d won handovers made %d onboarding plans", won, len(plans))
	}
}

// ledger is one side of all handoffs of a kind, by id.
func ledger(t *testing.T, desk rest.Client, box string, kind handoffv1.Kind) map[string]*handoffv1.Handoff {
	t.Helper()
	found := map[string]*handoffv1.Handoff{}
	query := url.Values{"box": {box}, "kind": {kind.String()}}
	all(t, desk, "/v1/handoffs?"+query.Encode(), func(page *handoffv1.ListHandoffsResponse) {
		for _, h := range page.GetHandoffs() {
			if found[h.GetId()] != nil {
				t.Errorf("%s lists %s twice", desk.URL, h.GetId())
			}
			found[h.GetId()] = h
		}
	})
	return found
}

// all reads every page of a list.
func all[P interface {
	proto.Message
	GetNextPageToken() string
	*M
}, M any](t *testing.T, c rest.Client, path string, take func(P),
) {
	t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for token := ""; ; {
		page := P(new(M))
		c.Must(t, http.MethodGet, path+separator+"pageSize=500&pageToken="+url.QueryEscape(token), nil, page)
		take(page)
		if token = page.GetNextPageToken(); token == "" {
			return
		}
	}
}
