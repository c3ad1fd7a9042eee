package faults

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	jobsv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/jobs/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// books are what all departments have, by the ids that make things one.
type books struct {
	leads     map[string][]*marketingv1.Lead                 // by mail address
	items     map[string][]*insidesalesv1.WorkItem           // by MQL handoff
	deals     map[string][]*fieldsalesv1.Opportunity         // by MEETING or CSQL handoff
	customers map[string][]*customersuccessv1.Customer       // by journey
	plans     map[string][]*customersuccessv1.OnboardingPlan // by customer
	csqls     map[string][]*customersuccessv1.Csql           // by customer
	lines     map[string][]*customersuccessv1.MrrMovement    // by customer
	legs      []leg
	// wins are the handovers that customer success has received, by the sender's subject; checkEffects fills it.
	wins map[string]*handoffv1.Handoff
	// unwell says which subscriptions and jobs have trouble.
	unwell []string
}

// leg is a kind of handoff with the ledgers of both sides, by id.
type leg struct {
	kind           handoffv1.Kind
	sent, received map[string]*handoffv1.Handoff
}

// readBooks reads everything over REST. It reads receivers after senders: what is on its way may be missing, not more.
func readBooks(ctx context.Context, r *scenario.Relay) (*books, error) {
	b := &books{
		leads: map[string][]*marketingv1.Lead{}, items: map[string][]*insidesalesv1.WorkItem{}, deals: map[string][]*fieldsalesv1.Opportunity{},
		customers: map[string][]*customersuccessv1.Customer{}, plans: map[string][]*customersuccessv1.OnboardingPlan{},
		csqls: map[string][]*customersuccessv1.Csql{}, lines: map[string][]*customersuccessv1.MrrMovement{},
	}
	var failed error
	try := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	try(group(ctx, r.Marketing, "/v1/leads", (*marketingv1.ListLeadsResponse).GetLeads, b.leads,
		func(l *marketingv1.Lead) string { return l.GetPerson().GetMail() }))
	try(group(ctx, r.Inside, "/v1/work-items", (*insidesalesv1.ListWorkItemsResponse).GetWorkItems, b.items, (*insidesalesv1.WorkItem).GetMqlHandoffId))
	try(group(ctx, r.Field, "/v1/opportunities", (*fieldsalesv1.ListOpportunitiesResponse).GetOpportunities, b.deals, (*fieldsalesv1.Opportunity).GetSourceHandoffId))
	try(group(ctx, r.Success, "/v1/customers", (*customersuccessv1.ListCustomersResponse).GetCustomers, b.customers, (*customersuccessv1.Customer).GetJourneyId))
	try(group(ctx, r.Success, "/v1/onboarding-plans", (*customersuccessv1.ListOnboardingPlansResponse).GetPlans, b.plans, (*customersuccessv1.OnboardingPlan).GetCustomerId))
	try(group(ctx, r.Success, "/v1/csqls", (*customersuccessv1.ListCsqlsResponse).GetCsqls, b.csqls, (*customersuccessv1.Csql).GetCustomerId))
	try(group(ctx, r.Success, "/v1/mrr-movements", (*customersuccessv1.ListMrrMovementsResponse).GetMovements, b.lines, (*customersuccessv1.MrrMovement).GetCustomerId))
	for _, l := range []struct {
		kind     handoffv1.Kind
		from, to rest.Client
	}{
		{handoffv1.Kind_KIND_MQL, r.Marketing, r.Inside},
		{handoffv1.Kind_KIND_MEETING, r.Inside, r.Field},
		{handoffv1.Kind_KIND_CLOSED_WON, r.Field, r.Success},
		{handoffv1.Kind_KIND_CSQL, r.Success, r.Field},
	} {
		both := leg{kind: l.kind}
		var err error
		both.sent, err = ledger(ctx, l.from, "BOX_OUTBOX", l.kind)
		try(err)
		both.received, err = ledger(ctx, l.to, "BOX_INBOX", l.kind)
		try(err)
		b.legs = append(b.legs, both)
	}
	for _, c := range []rest.Client{r.Marketing, r.Inside, r.Field, r.Success} {
		try(b.look(ctx, c))
	}
	return b, failed
}

// group reads a list and groups it by a key.
func group[P interface {
	proto.Message
	GetNextPageToken() string
	*M
}, M any, T any](ctx context.Context, c rest.Client, path string, items func(P) []T, into map[string][]T, key func(T) string,
) error {
	return rest.Pages(ctx, c, path, func(page P) {
		for _, item := range items(page) {
			into[key(item)] = append(into[key(item)], item)
		}
	})
}

func ledger(ctx context.Context, c rest.Client, box string, kind handoffv1.Kind) (map[string]*handoffv1.Handoff, error) {
	found := map[string][]*handoffv1.Handoff{}
	err := group(ctx, c, "/v1/handoffs?box="+box+"&kind="+kind.String(), (*handoffv1.ListHandoffsResponse).GetHandoffs, found, (*handoffv1.Handoff).GetId)
	once := map[string]*handoffv1.Handoff{}
	for id, list := range found {
		if len(list) != 1 && err == nil {
			err = fmt.Errorf("%s lists %s %d times", c.URL, id, len(list))
		}
		once[id] = list[0]
	}
	return once, err
}

// look asks a department whether anything of it is stuck.
func (b *books) look(ctx context.Context, c rest.Client) error {
	err := rest.Pages(ctx, c, "/v1/subscriptions", func(page *feedv1.ListSubscriptionsResponse) {
		for _, s := range page.GetSubscriptions() {
			if s.GetParkedCount() > 0 || s.GetLastError() != "" {
				b.unwell = append(b.unwell, fmt.Sprintf("subscription %s: %d parked, last error %q", s.GetName(), s.GetParkedCount(), s.GetLastError()))
			}
		}
	})
	if err != nil {
		return err
	}
	return rest.Pages(ctx, c, "/v1/dead-letters", func(page *jobsv1.ListDeadLettersResponse) {
		for _, d := range page.GetDeadLetters() {
			b.unwell = append(b.unwell, fmt.Sprintf("dead letter %s of %s: %s", d.GetKind(), c.URL, d.GetError()))
		}
	})
}

// problems are the contradictions of the books with one another and with the journal, and what is not finished.
func (b *books) problems(j *journal) *findings {
	found := &findings{}
	for _, text := range b.unwell {
		found.add("%s", text)
	}
	b.checkCaptures(found, j)
	for _, l := range b.legs {
		l.check(found)
	}
	b.checkEffects(found, j)
	return found
}

// findings are at most so many texts, and how many there were.
type findings struct {
	texts []string
	count int
}

func (f *findings) add(format string, args ...any) {
	f.count++
	if len(f.texts) < mostWrongs {
		f.texts = append(f.texts, fmt.Sprintf(format, args...))
	}
}

// checkCaptures: what was acknowledged is there once, what was not is there once at the most, and nothing else is there.
func (b *books) checkCaptures(found *findings, j *journal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for mail, told := range j.captures {
		leads := b.leads[mail]
		switch {
		case len(leads) > 1:
			found.add("%s is %d leads", mail, len(leads))
		case told != nil && len(leads) == 0:
			found.add("the acknowledged lead of %s is lost", mail)
		case told != nil && leads[0].GetId() != told.GetId():
			found.add("%s was told lead %s, and is lead %s", mail, told.GetId(), leads[0].GetId())
		case len(leads) == 1 && leads[0].GetTouchCount() != 1:
			found.add("one capture of %s counts as %d touches", mail, leads[0].GetTouchCount())
		}
	}
	for mail := range b.leads {
		if _, ok := j.captures[mail]; !ok {
			found.add("nobody left a lead for %s", mail)
		}
	}
}

// check compares the two sides of a kind, and wants each handoff at its end.
func (l leg) check(found *findings) {
	ends := map[handoffv1.State]bool{
		handoffv1.State_STATE_FULFILLED: true, handoffv1.State_STATE_REJECTED: true, handoffv1.State_STATE_RECALLED: true,
	}
	for id, s := range l.sent {
		r, ok := l.received[id]
		switch {
		case !ok:
			found.add("%s %s (%s) has not arrived", l.kind, id, s.GetState())
		case r.GetState() != s.GetState() || r.GetAttempt() != s.GetAttempt():
			found.add("%s %s: the sender has attempt %d %s, the receiver %d %s", l.kind, id, s.GetAttempt(), s.GetState(), r.GetAttempt(), r.GetState())
		case s.GetDelivery() != handoffv1.Delivery_DELIVERY_DELIVERED:
			found.add("%s %s: the sender has %s", l.kind, id, s.GetDelivery())
		case r.GetReceiverSubject() != s.GetReceiverSubject():
			found.add("%s %s: the sender knows of %q, the receiver of %q", l.kind, id, s.GetReceiverSubject(), r.GetReceiverSubject())
		case s.GetDecision().GetBy().GetId() != r.GetDecision().GetBy().GetId() || s.GetDecision().GetReason() != r.GetDecision().GetReason():
			found.add("%s %s: the sides know different decisions: %v and %v", l.kind, id, s.GetDecision(), r.GetDecision())
		case !ends[s.GetState()]:
			found.add("%s %s is still %s", l.kind, id, s.GetState())
		}
	}
	for id := range l.received {
		if l.sent[id] == nil {
			found.add("%s %s was received and never sent", l.kind, id)
		}
	}
}

// taken tells whether a handoff has effects at its receiver.
func taken(h *handoffv1.Handoff) bool {
	return h.GetState() == handoffv1.State_STATE_ACCEPTED || h.GetState() == handoffv1.State_STATE_FULFILLED
}

// by is a ledger by a key of which each has one handoff at the most.
func by(found *findings, ledger map[string]*handoffv1.Handoff, key func(*handoffv1.Handoff) string) map[string]*handoffv1.Handoff {
	one := map[string]*handoffv1.Handoff{}
	for _, h := range ledger {
		if one[key(h)] != nil {
			found.add("%s has two handoffs of %s", key(h), h.GetKind())
		}
		one[key(h)] = h
	}
	return one
}

// checkEffects follows every lead as far as it came, and wants everything that came of it once.
func (b *books) checkEffects(found *findings, j *journal) {
	journey := (*handoffv1.Handoff).GetJourneyId
	mqls, meetings := by(found, b.legs[0].received, journey), by(found, b.legs[1].received, journey)
	b.wins = by(found, b.legs[2].received, (*handoffv1.Handoff).GetSenderSubject)
	seen := &seen{}
	for mail, leads := range b.leads {
		l := leads[0]
		want := b.fate(found, seen, mqls[l.GetJourneyId()], meetings[l.GetJourneyId()])
		if want != l.GetState() {
			found.add("the lead of %s is %s, what became of it elsewhere is %s", mail, l.GetState(), want)
		}
	}
	b.checkExpansions(found, seen)
	for _, n := range []struct {
		what       string
		all, known int
	}{
		{"work items", size(b.items), seen.items},
		{"opportunities", size(b.deals), seen.deals},
		{"customers", size(b.customers), seen.customers},
		{"onboarding plans", size(b.plans), seen.plans},
		{"handovers", len(b.wins), seen.handovers},
		{"lines of the ledger", size(b.lines), seen.lines},
	} {
		if n.all != n.known {
			found.add("%d %s came of leads, there are %d", n.known, n.what, n.all)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, deals := range b.deals {
		for _, o := range deals {
			if j.won[o.GetId()] && o.GetState() != fieldsalesv1.Opportunity_STATE_CLOSED_WON {
				found.add("the win of opportunity %s was acknowledged, it is %s", o.GetId(), o.GetState())
			}
		}
	}
}

// seen counts what was reached from leads.
type seen struct{ items, deals, customers, plans, handovers, lines int }

func size[T any](m map[string][]T) (n int) {
	for _, list := range m {
		n += len(list)
	}
	return n
}

// only is the one thing that there must be.
func only[T any](found *findings, list []T, what string, h *handoffv1.Handoff) (one T, ok bool) {
	if len(list) != 1 {
		found.add("%s %s (%s) made %d %s, want 1", h.GetKind(), h.GetId(), h.GetState(), len(list), what)
		return one, false
	}
	return list[0], true
}

// fate is the state that a lead must have, by what became of it. It reports what is not as it has to be on the way.
func (b *books) fate(found *findings, s *seen, mql, meeting *handoffv1.Handoff) marketingv1.Lead_State {
	const unknown = marketingv1.Lead_STATE_UNSPECIFIED
	if mql == nil {
		return unknown
	}
	item, ok := only(found, b.items[mql.GetId()], "work items", mql)
	if !ok {
		return unknown
	}
	s.items++
	switch mql.GetState() {
	case handoffv1.State_STATE_REJECTED:
		return marketingv1.Lead_STATE_RECYCLED
	case handoffv1.State_STATE_RECALLED:
		return marketingv1.Lead_STATE_MQL
	}
	if item.GetState() == insidesalesv1.WorkItem_STATE_RECYCLED {
		return marketingv1.Lead_STATE_RECYCLED
	}
	if item.GetState() != insidesalesv1.WorkItem_STATE_HANDED_OVER || meeting == nil || !taken(meeting) {
		found.add("work item %s is %s, its meeting %s", item.GetId(), item.GetState(), meeting.GetState())
		return unknown
	}
	deal, ok := only(found, b.deals[meeting.GetId()], "opportunities", meeting)
	if !ok {
		return unknown
	}
	s.deals++
	if item.GetOpportunityId() != deal.GetId() {
		found.add("work item %s knows of opportunity %q, it is %s", item.GetId(), item.GetOpportunityId(), deal.GetId())
	}
	if deal.GetState() == fieldsalesv1.Opportunity_STATE_CLOSED_LOST {
		return marketingv1.Lead_STATE_RECYCLED
	}
	won := b.wins["opportunity/"+deal.GetId()]
	if deal.GetState() != fieldsalesv1.Opportunity_STATE_CLOSED_WON || won == nil {
		found.add("opportunity %s is %s, handed over: %s", deal.GetId(), deal.GetState(), won.GetState())
		return marketingv1.Lead_STATE_SQL
	}
	b.checkCustomer(found, s, deal, won)
	return marketingv1.Lead_STATE_CUSTOMER
}

// checkCustomer: one customer with its contract, one more when it was expanded, and one finished plan.
func (b *books) checkCustomer(found *findings, s *seen, deal *fieldsalesv1.Opportunity, won *handoffv1.Handoff) {
	s.handovers++
	if deal.GetHandoverState() != won.GetState() {
		found.add("opportunity %s shows its handover as %s, it is %s", deal.GetId(), deal.GetHandoverState(), won.GetState())
	}
	if !taken(won) {
		return
	}
	customer, ok := only(found, b.customers[won.GetJourneyId()], "customers", won)
	if !ok {
		return
	}
	s.customers++
	b.checkLedger(found, s, customer)
	plan, ok := only(found, b.plans[customer.GetId()], "onboarding plans", won)
	if !ok {
		return
	}
	s.plans++
	if plan.GetState() != customersuccessv1.OnboardingPlan_STATE_COMPLETED {
		found.add("onboarding plan %s is %s", plan.GetId(), plan.GetState())
	}
}

// states counts a ledger by state, for people.
func states(ledger map[string]*handoffv1.Handoff) string {
	counts := map[handoffv1.State]int{}
	again := 0
	for _, h := range ledger {
		counts[h.GetState()]++
		if h.GetAttempt() > 1 {
			again++
		}
	}
	var parts []string
	for s := range handoffv1.State_name {
		if n := counts[handoffv1.State(s)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", strings.TrimPrefix(handoffv1.State(s).String(), "STATE_"), n))
		}
	}
	return fmt.Sprintf("%s, offered again %d", strings.Join(parts, ", "), again)
}
