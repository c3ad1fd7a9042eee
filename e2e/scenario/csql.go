package scenario

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

// ToCustomer takes a new lead all the way to an onboarded customer, which pays ¥130,000 a month.
func (r *Relay) ToCustomer(name string) *customersuccessv1.Customer {
	r.t.Helper()
	lead := r.Capture(name)
	r.ToMeeting(lead)
	r.Win(r.ToOpportunity(lead.GetJourneyId()), WinRequest())
	_, customer := r.TakeOver(lead.GetJourneyId())
	r.Onboard(customer)
	return r.Customer(customer)
}

// Customer reads a customer.
func (r *Relay) Customer(id string) *customersuccessv1.Customer {
	r.t.Helper()
	return read[*customersuccessv1.Customer](r, r.Success, "/v1/customers/"+id)
}

// Csql reads an expansion.
func (r *Relay) Csql(id string) *customersuccessv1.Csql {
	r.t.Helper()
	return read[*customersuccessv1.Csql](r, r.Success, "/v1/csqls/"+id)
}

// AwaitCsql waits until events have brought an expansion to a state.
func (r *Relay) AwaitCsql(id string, want customersuccessv1.Csql_State) *customersuccessv1.Csql {
	r.t.Helper()
	return await(r, "the expansion", want, func() *customersuccessv1.Csql { return r.Csql(id) })
}

// ToCsql notes an expansion of five seats, gathers its evidence, and qualifies it.
func (r *Relay) ToCsql(customer string) *customersuccessv1.Csql {
	r.t.Helper()
	var c customersuccessv1.Csql
	r.Success.Must(r.t, http.MethodPost, "/v1/csqls", &customersuccessv1.CreateCsqlRequest{
		CustomerId: customer, ExpansionType: customersuccessv1.ExpansionType_EXPANSION_TYPE_UPSELL, Product: "standard",
	}, &c)
	err := r.Success.Call(r.t.Context(), http.MethodPost, "/v1/csqls/"+c.GetId()+":qualify", &customersuccessv1.QualifyCsqlRequest{}, &c)
	if rest.Reason(err) != "GUARD_NOT_MET" {
		r.t.Fatalf("an expansion without evidence is qualified: %s", rest.Explain(err))
	}
	r.Success.Must(r.t, http.MethodPatch, "/v1/csqls/"+c.GetId(), &customersuccessv1.UpdateCsqlRequest{
		ExpectedMrr: Yen(65_000), CustomerBenefit: proto.String("支店間の引き継ぎ漏れがなくなる"), Cautions: proto.String("月末は繁忙"),
		Health: &customersuccessv1.CsqlHealth{Score: 82, Evidence: "NPS 9、未解決の問い合わせなし"},
		Usage:  &customersuccessv1.CsqlUsage{Level: customersuccessv1.UsageLevel_USAGE_LEVEL_GOOD, Evidence: "週次利用率 92%"},
		Need: &customersuccessv1.StatedNeed{
			Statement: "大阪支店でも使いたい", StatedDate: Day(time.Now().AddDate(0, 0, -1)), Evidence: "定例会の議事録",
			StatedBy: &typev1.Person{Name: &typev1.PersonName{Full: "山本 次郎"}, Title: "支店長", Mail: "yamamoto@" + r.Sequence + ".example"},
		},
	}, &c)
	r.Success.Must(r.t, http.MethodPost, "/v1/csqls/"+c.GetId()+":qualify", &customersuccessv1.QualifyCsqlRequest{Etag: c.GetEtag()}, &c)
	return &c
}

// OfferCsql offers an expansion to sales, and waits until that attempt has arrived there.
func (r *Relay) OfferCsql(id string, attempt int32) *handoffv1.Handoff {
	r.t.Helper()
	var c customersuccessv1.Csql
	r.Success.Must(r.t, http.MethodPost, "/v1/csqls/"+id+":offer", &customersuccessv1.OfferCsqlRequest{}, &c)
	return r.Attempt(r.Field, c.GetHandoffId(), attempt)
}

// Attempt waits until an attempt of a handoff is open at a desk.
func (r *Relay) Attempt(desk rest.Client, id string, attempt int32) *handoffv1.Handoff {
	r.t.Helper()
	var got handoffv1.GetHandoffResponse
	house.Await(r.t, "the handoff arrives", func() error {
		if err := desk.Call(r.t.Context(), http.MethodGet, "/v1/handoffs/"+id, nil, &got); err != nil {
			return err
		}
		if h := got.GetHandoff(); h.GetAttempt() != attempt || h.GetState() != handoffv1.State_STATE_OFFERED {
			return fmt.Errorf("attempt %d is %s", h.GetAttempt(), h.GetState())
		}
		return nil
	})
	return got.GetHandoff()
}

// expansion: what a customer asks for is sold by sales and comes back as a line of the ledger, exactly one.
func expansion(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	customer := r.ToCustomer("expand")
	csql := r.ToCsql(customer.GetId())
	offer := r.OfferCsql(csql.GetId(), 1)
	if offer.GetQueue() != "field-sales" || offer.GetCompleteness().GetScore() != 100 {
		t.Errorf("offered to %q, completeness %v", offer.GetQueue(), offer.GetCompleteness())
	}
	var queues handoffv1.ListQueuesResponse
	r.Field.Must(t, http.MethodGet, "/v1/handoff-queues", nil, &queues)
	if !slices.ContainsFunc(queues.GetQueues(), func(q *handoffv1.Queue) bool { return q.GetCode() == offer.GetQueue() }) {
		t.Errorf("field sales knows of no queue %q: %v", offer.GetQueue(), queues.GetQueues())
	}
	opportunity := Subject(t, r.Accept(r.Field, offer).GetReceiverSubject(), "opportunity")
	if c := r.AwaitCsql(csql.GetId(), customersuccessv1.Csql_STATE_ACCEPTED); c.GetOpportunityId() != opportunity {
		t.Errorf("the expansion became opportunity %q, want %s", c.GetOpportunityId(), opportunity)
	}
	won := r.Win(opportunity, GrowRequest())
	if won.GetType() != fieldsalesv1.Opportunity_TYPE_UPSELL || won.GetAccountId() != customer.GetAccountId() || won.GetCustomerId() != customer.GetId() {
		t.Errorf("won %s of account %s (want %s), customer %s", won.GetType(), won.GetAccountId(), customer.GetAccountId(), won.GetCustomerId())
	}
	if c := r.AwaitCsql(csql.GetId(), customersuccessv1.Csql_STATE_WON); c.GetWonMrr().GetUnits() != 65_000 {
		t.Errorf("won with an MRR of %v", c.GetWonMrr())
	}
	if c := r.Customer(customer.GetId()); c.GetCommittedMrr().GetUnits() != 130_000 {
		t.Errorf("the ledger moved to %v before the contract was taken over", c.GetCommittedMrr())
	}
	handover := r.Accept(r.Success, r.Attempt(r.Success, won.GetHandoverId(), 1))
	if got := Subject(t, handover.GetReceiverSubject(), "customer"); got != customer.GetId() {
		t.Errorf("the contract went to customer %s, want %s", got, customer.GetId())
	}
	r.Success.Must(t, http.MethodPost, "/v1/handoffs/"+handover.GetId()+":fulfil", &handoffv1.FulfilHandoffRequest{Note: "支店に連絡"}, &handoffv1.Handoff{})
	if c := r.Customer(customer.GetId()); c.GetCommittedMrr().GetUnits() != 195_000 || len(c.GetSubscriptions()) != 2 {
		t.Errorf("MRR %v, %d subscriptions", c.GetCommittedMrr(), len(c.GetSubscriptions()))
	}
	var ledger customersuccessv1.ListMrrMovementsResponse
	r.Success.Must(t, http.MethodGet, "/v1/customers/"+customer.GetId()+"/mrr-movements?kinds=KIND_EXPANSION", nil, &ledger)
	if lines := ledger.GetMovements(); len(lines) != 1 || lines[0].GetAmount().GetUnits() != 65_000 || lines[0].GetJourneyId() != customer.GetJourneyId() {
		t.Errorf("expansions in the ledger: %v", lines)
	}
}

// expansionComesBack: what sales returns is corrected and offered again; what it refuses rests until its wake date; what it
// loses says why.
func expansionComesBack(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	customer := r.ToCustomer("back")
	csql := r.ToCsql(customer.GetId())
	offer := r.OfferCsql(csql.GetId(), 1)
	r.Field.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":return", &handoffv1.ReturnHandoffRequest{Missing: []string{"product"}, Note: "どのプラン?"}, &handoffv1.Handoff{})
	back := r.AwaitCsql(csql.GetId(), customersuccessv1.Csql_STATE_RETURNED)
	if len(back.GetMissing()) != 1 || back.GetMissing()[0] != "product" || back.GetNote() != "どのプラン?" {
		t.Errorf("returned: missing %v, note %q", back.GetMissing(), back.GetNote())
	}
	r.Success.Must(t, http.MethodPatch, "/v1/csqls/"+csql.GetId(), &customersuccessv1.UpdateCsqlRequest{Product: proto.String("standard 50 席")}, back)
	if again := r.OfferCsql(csql.GetId(), 2); again.GetId() != offer.GetId() || again.GetPayload().GetCsql().GetProduct() != "standard 50 席" {
		t.Errorf("offered again: %v", again)
	}
	r.Field.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":reject", &handoffv1.RejectHandoffRequest{Reason: "TIMING", Note: "来期"}, &handoffv1.Handoff{})
	refused := r.AwaitCsql(csql.GetId(), customersuccessv1.Csql_STATE_REJECTED)
	if days := time.Until(refused.GetWakeAt().AsTime()).Hours() / 24; refused.GetReason() != "TIMING" || days < 59 || days > 61 {
		t.Errorf("refused for %s, wakes up in %.1f days", refused.GetReason(), days)
	}

	other := r.ToCsql(customer.GetId())
	opportunity := Subject(t, r.Accept(r.Field, r.OfferCsql(other.GetId(), 1)).GetReceiverSubject(), "opportunity")
	r.MoveStage(opportunity, "DISCOVERY")
	r.Field.Must(t, http.MethodPost, "/v1/opportunities/"+opportunity+":closeLost", &fieldsalesv1.CloseLostRequest{Reason: "NO_BUDGET", Note: "予算凍結"}, &fieldsalesv1.Opportunity{})
	if lost := r.AwaitCsql(other.GetId(), customersuccessv1.Csql_STATE_LOST); lost.GetReason() != "NO_BUDGET" || lost.GetNote() != "予算凍結" {
		t.Errorf("lost for %s: %s", lost.GetReason(), lost.GetNote())
	}
	if c := r.Customer(customer.GetId()); c.GetCommittedMrr().GetUnits() != 130_000 {
		t.Errorf("the ledger moved to %v", c.GetCommittedMrr())
	}
}
