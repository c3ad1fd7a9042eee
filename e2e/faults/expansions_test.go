package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tasuki-project/tasuki/e2e/scenario"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

// expand offers more to some of the customers that are on board, once each.
func (c *crowd) expand(ctx context.Context, p person) int {
	csqls, err := pages(ctx, p, "/v1/csqls", (*customersuccessv1.ListCsqlsResponse).GetCsqls)
	if err != nil {
		return 0 // next round
	}
	known := map[string]bool{}
	for _, x := range csqls {
		known[x.GetCustomerId()] = true
	}
	done := each(ctx, csqls, func(ctx context.Context, x *customersuccessv1.Csql) error {
		path := "/v1/csqls/" + x.GetId()
		switch x.GetState() {
		case customersuccessv1.Csql_STATE_DRAFT:
			return p.post(ctx, path+":qualify", "qualify-"+x.GetId(), &customersuccessv1.QualifyCsqlRequest{}, &customersuccessv1.Csql{})
		case customersuccessv1.Csql_STATE_QUALIFIED:
			return p.post(ctx, path+":offer", "offer-"+x.GetId(), &customersuccessv1.OfferCsqlRequest{}, &customersuccessv1.Csql{})
		}
		return errSettled
	})
	onBoard, _ := pages(ctx, p, "/v1/customers?states=STATE_ADOPTION", (*customersuccessv1.ListCustomersResponse).GetCustomers) // next round
	return done + each(ctx, onBoard, func(ctx context.Context, customer *customersuccessv1.Customer) error {
		id := customer.GetId()
		if known[id] || dice(id, "expand") >= 40 || c.managers[dice(id, "manager")%len(c.managers)].name != p.name {
			return errSettled
		}
		return p.post(ctx, "/v1/csqls", "csql-"+id, &customersuccessv1.CreateCsqlRequest{
			CustomerId: id, ExpansionType: customersuccessv1.ExpansionType_EXPANSION_TYPE_UPSELL, Product: "standard",
			ExpectedMrr: scenario.Yen(65_000), CustomerBenefit: "支店間の引き継ぎ漏れがなくなる",
			Health: &customersuccessv1.CsqlHealth{Score: 82, Evidence: "NPS 9"},
			Usage:  &customersuccessv1.CsqlUsage{Level: customersuccessv1.UsageLevel_USAGE_LEVEL_GOOD, Evidence: "週次利用率 92%"},
			Need: &customersuccessv1.StatedNeed{
				Statement: "大阪支店でも使いたい", StatedDate: today, Evidence: "定例会の議事録",
				StatedBy: &typev1.Person{Name: &typev1.PersonName{Full: "山本 次郎"}, Title: "支店長", Mail: "yamamoto@customer.example"},
			},
		}, &customersuccessv1.Csql{})
	})
}

// settleIn fulfils, by hand, the handovers of expansions: their customers are on board already.
func settleIn(ctx context.Context, p person) int {
	const accepted = "&states=STATE_ACCEPTED&kind=KIND_CLOSED_WON"
	return each(ctx, handoffs(ctx, p, "BOX_INBOX", accepted), func(ctx context.Context, h *handoffv1.Handoff) error {
		if h.GetPayload().GetClosedWon().GetCustomerId() == "" {
			return errSettled // the kickoff does it
		}
		_, err := act(ctx, p, h, "fulfil", &handoffv1.FulfilHandoffRequest{Note: "支店に連絡"})
		return err
	})
}

// checkExpansions: one handoff of each expansion; one opportunity of each that was taken; one handover, to the same
// customer, of each that was won.
func (b *books) checkExpansions(found *findings, s *seen) {
	sent := b.legs[3].sent
	expansions := 0
	for customer, csqls := range b.csqls {
		expansions += len(csqls)
		h := sent[csqls[0].GetHandoffId()]
		if len(csqls) != 1 || h == nil {
			found.add("customer %s has %d expansions, the first is %s", customer, len(csqls), csqls[0].GetState())
			continue
		}
		if want := b.outcome(found, s, csqls[0], h); csqls[0].GetState() != want {
			found.add("expansion %s is %s, want %s: its handoff is %s", csqls[0].GetId(), csqls[0].GetState(), want, h.GetState())
		}
	}
	if expansions != len(sent) {
		found.add("%d expansions made %d handoffs", expansions, len(sent))
	}
}

// outcome is the state that an expansion must have, by what sales made of it. It reports what is not as it has to be on
// the way.
func (b *books) outcome(found *findings, s *seen, c *customersuccessv1.Csql, h *handoffv1.Handoff) customersuccessv1.Csql_State {
	if !taken(h) {
		return customersuccessv1.Csql_STATE_REJECTED
	}
	deal, ok := only(found, b.deals[h.GetId()], "opportunities", h)
	if !ok {
		return customersuccessv1.Csql_STATE_ACCEPTED
	}
	s.deals++
	if c.GetOpportunityId() != deal.GetId() || deal.GetCustomerId() != c.GetCustomerId() {
		found.add("expansion %s of customer %s knows of opportunity %q, it is %s of customer %s",
			c.GetId(), c.GetCustomerId(), c.GetOpportunityId(), deal.GetId(), deal.GetCustomerId())
	}
	switch deal.GetState() {
	case fieldsalesv1.Opportunity_STATE_CLOSED_LOST:
		return customersuccessv1.Csql_STATE_LOST
	case fieldsalesv1.Opportunity_STATE_CLOSED_WON:
	default:
		found.add("opportunity %s of an expansion is %s", deal.GetId(), deal.GetState())
		return customersuccessv1.Csql_STATE_ACCEPTED
	}
	if mrr := c.GetWonMrr().GetUnits(); mrr != 65_000 {
		found.add("expansion %s was won with an MRR of %d, want 65000", c.GetId(), mrr)
	}
	won := b.wins["opportunity/"+deal.GetId()]
	if won == nil {
		found.add("opportunity %s was won and not handed over", deal.GetId())
		return customersuccessv1.Csql_STATE_WON
	}
	s.handovers++
	if deal.GetHandoverState() != won.GetState() || won.GetReceiverSubject() != "customer/"+c.GetCustomerId() {
		found.add("opportunity %s shows its handover as %s, it is %s with %q, want customer %s",
			deal.GetId(), deal.GetHandoverState(), won.GetState(), won.GetReceiverSubject(), c.GetCustomerId())
	}
	return customersuccessv1.Csql_STATE_WON
}

// grown tells whether the handover of an expansion of a customer was taken.
func (b *books) grown(customer string) bool {
	for _, c := range b.csqls[customer] {
		for _, deal := range b.deals[c.GetHandoffId()] {
			if taken(b.wins["opportunity/"+deal.GetId()]) {
				return true
			}
		}
	}
	return false
}

// checkLedger: one line of each handover that was taken, and no other; their sum is the customer's MRR.
func (b *books) checkLedger(found *findings, s *seen, customer *customersuccessv1.Customer) {
	want, mrr := []string{"NEW 130000"}, int64(130_000)
	if b.grown(customer.GetId()) {
		want, mrr = []string{"EXPANSION 65000", "NEW 130000"}, 195_000
	}
	var got []string
	for _, line := range b.lines[customer.GetId()] {
		got = append(got, fmt.Sprintf("%s %d", strings.TrimPrefix(line.GetKind().String(), "KIND_"), line.GetAmount().GetUnits()))
	}
	slices.Sort(got)
	s.lines += len(got)
	if !slices.Equal(got, want) || customer.GetCommittedMrr().GetUnits() != mrr {
		found.add("customer %s has MRR %d from %v, want %d from %v", customer.GetId(), customer.GetCommittedMrr().GetUnits(), got, mrr, want)
	}
}

// expansions counts what became of them, for people.
func (b *books) expansions() (won int, text string) {
	counts := map[customersuccessv1.Csql_State]int{}
	var mrr int64
	for _, csqls := range b.csqls {
		for _, c := range csqls {
			counts[c.GetState()]++
			mrr += c.GetWonMrr().GetUnits()
		}
	}
	lines := 0
	for _, list := range b.lines {
		for _, line := range list {
			if line.GetKind() == customersuccessv1.MrrMovement_KIND_EXPANSION {
				lines++
			}
		}
	}
	won = counts[customersuccessv1.Csql_STATE_WON]
	return won, fmt.Sprintf("%d refused, %d lost, %d won with ¥%d a month in %d lines of the ledger",
		counts[customersuccessv1.Csql_STATE_REJECTED], counts[customersuccessv1.Csql_STATE_LOST], won, mrr, lines)
}
