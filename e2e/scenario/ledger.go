package scenario

import (
	"net/url"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
)

// EveryHandoffOnce compares the ledgers of senders and receivers, and the things that the handoffs made.
func EveryHandoffOnce(t *testing.T, r *Relay) {
	t.Helper()
	var items []*insidesalesv1.WorkItem
	All(t, r.Inside, "/v1/work-items", func(page *insidesalesv1.ListWorkItemsResponse) { items = append(items, page.GetWorkItems()...) })
	var opportunities []*fieldsalesv1.Opportunity
	All(t, r.Field, "/v1/opportunities", func(page *fieldsalesv1.ListOpportunitiesResponse) {
		opportunities = append(opportunities, page.GetOpportunities()...)
	})
	var customers []*customersuccessv1.Customer
	All(t, r.Success, "/v1/customers", func(page *customersuccessv1.ListCustomersResponse) {
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
		none     bool // there may be none
	}{
		{handoffv1.Kind_KIND_MQL, r.Marketing, r.Inside, itemOf, true, false},
		{handoffv1.Kind_KIND_MEETING, r.Inside, r.Field, opportunityOf, false, false},
		{handoffv1.Kind_KIND_CLOSED_WON, r.Field, r.Success, nil, false, false},
		{handoffv1.Kind_KIND_CSQL, r.Success, r.Field, opportunityOf, false, true},
	} {
		sent, received := Ledger(t, leg.from, "BOX_OUTBOX", leg.kind), Ledger(t, leg.to, "BOX_INBOX", leg.kind)
		if len(sent) == 0 && !leg.none || len(sent) != len(received) {
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
	All(t, r.Success, "/v1/onboarding-plans", func(page *customersuccessv1.ListOnboardingPlansResponse) { plans = append(plans, page.GetPlans()...) })
	fresh := 0 // an expansion goes to a customer that is on board
	for _, h := range Ledger(t, r.Field, "BOX_OUTBOX", handoffv1.Kind_KIND_CLOSED_WON) {
		if h.GetPayload().GetClosedWon().GetCustomerId() == "" {
			fresh++
		}
	}
	if len(plans) != fresh {
		t.Errorf("%d won handovers of new customers made %d onboarding plans", fresh, len(plans))
	}
}

// Ledger is one side of all handoffs of a kind, by id.
func Ledger(t testing.TB, desk rest.Client, box string, kind handoffv1.Kind) map[string]*handoffv1.Handoff {
	t.Helper()
	found := map[string]*handoffv1.Handoff{}
	query := url.Values{"box": {box}, "kind": {kind.String()}}
	All(t, desk, "/v1/handoffs?"+query.Encode(), func(page *handoffv1.ListHandoffsResponse) {
		for _, h := range page.GetHandoffs() {
			if found[h.GetId()] != nil {
				t.Errorf("%s lists %s twice", desk.URL, h.GetId())
			}
			found[h.GetId()] = h
		}
	})
	return found
}

// All reads every page of a list, which must work.
func All[P interface {
	proto.Message
	GetNextPageToken() string
	*M
}, M any](t testing.TB, c rest.Client, path string, take func(P),
) {
	t.Helper()
	if err := rest.Pages(t.Context(), c, path, take); err != nil {
		t.Fatalf("%s%s: %s", c.URL, path, rest.Explain(err))
	}
}
