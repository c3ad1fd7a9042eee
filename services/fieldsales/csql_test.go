package fieldsales_test

import (
	"sync"
	"testing"
	"time"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// offerCsql lets customer success offer an expansion of an account.
func (h *house) offerCsql(t *testing.T, accountID, customerID string) *handoffv1.Handoff {
	t.Helper()
	return h.offer(t, h.customerSuccess, handoff.NewOffer{
		Kind: handoffv1.Kind_KIND_CSQL, Queue: "customer-sales", JourneyID: party.NewID(), AccountID: accountID, SenderSubject: "csql/" + party.NewID(),
		Payload: &handoffv1.Payload{Kind: &handoffv1.Payload_Csql{Csql: &handoffv1.CsqlPayload{
			CustomerId: customerID, Company: &typev1.Company{Name: "（株）タスキ", Industry: "製造", Employees: 320}, ExpansionType: "UPSELL",
			Product: "Tasuki Standard", ExpectedMrr: yen(50_000), Usage: "毎日", HealthEvidence: "NPS 9", StatedNeed: "大阪でも使いたい",
			StatedBy: "佐藤 花子", NeedEvidence: "議事録", CustomerBenefit: "漏れがなくなる", Cautions: "月末は繁忙",
			Contacts: []*typev1.Person{hanako()},
		}}},
	})
}

// Expansions come into queues that people can see and name, and are listed by them.
func TestQueuesOfExpansions(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		known := map[string]handoffv1.Kind{}
		for _, q := range must(h.desk.ListQueues(h.seller(t), &handoffv1.ListQueuesRequest{}))(t).GetQueues() {
			if q.GetLabel().GetJa() == "" || q.GetLabel().GetEn() == "" {
				t.Errorf("queue %v has no name", q)
			}
			known[q.GetCode()] = q.GetKind()
		}
		for _, code := range []string{"field-sales", "customer-sales"} {
			if known[code] != handoffv1.Kind_KIND_CSQL {
				t.Errorf("there is no queue %s for expansions: %v", code, known)
			}
		}
		a := must(h.accounts.CreateAccount(h.seller(t), &pb.CreateAccountRequest{Name: "株式会社タスキ"}))(t)
		offered := h.offerCsql(t, a.GetId(), party.NewID())
		list := must(h.desk.ListHandoffs(h.seller(t), &handoffv1.ListHandoffsRequest{Queue: "customer-sales"}))(t).GetHandoffs()
		if len(list) != 1 || list[0].GetId() != offered.GetId() {
			t.Errorf("in the queue are %v", list)
		}
	})
}

// Whoever clicks at the same moment, the customer gets one seller with one expansion.
func TestParallelAcceptOfOneCsql(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		a := must(h.accounts.CreateAccount(h.seller(t), &pb.CreateAccountRequest{Name: "株式会社タスキ"}))(t)
		offered := h.offerCsql(t, a.GetId(), party.NewID())
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			ctx := h.As(t, string(rune('a'+i)), access.RoleFieldSales)
			wg.Go(func() { _, errs[i] = h.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: offered.GetId()}) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if reason, _ := refused(t, err); reason != problem.ReasonDecisionTaken {
				t.Errorf("a loser is told %v", err)
			}
		}
		deals := must(h.deals.ListOpportunities(h.seller(t), &pb.ListOpportunitiesRequest{AccountId: a.GetId()}))(t)
		if won != 1 || len(deals.GetOpportunities()) != 1 {
			t.Fatalf("%d won, deals %v", won, deals)
		}
		accepted := h.heard.Await(t, offered.GetId(), handoffv1.State_STATE_ACCEPTED)
		o := deals.GetOpportunities()[0]
		if accepted.GetReceiverSubject() != "opportunity/"+o.GetId() || o.GetOwner() != accepted.GetAssignee() || o.GetOwner() == "" ||
			o.GetType() != pb.Opportunity_TYPE_UPSELL || o.GetSourceHandoffId() != offered.GetId() {
			t.Errorf("%v became %v", accepted, o)
		}
		if want := "漏れがなくなる\n議事録\n毎日\nNPS 9\n月末は繁忙"; o.GetNotes() != want {
			t.Errorf("notes %q, want %q", o.GetNotes(), want)
		}
	})
}

// A won expansion is handed over with the customer it belongs to, so that the ledger of no other moves.
func TestWonExpansionNamesItsCustomer(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		a := must(h.accounts.CreateAccount(h.seller(t), &pb.CreateAccountRequest{Name: "株式会社タスキ", Industry: "製造", Employees: 320}))(t)
		customer := party.NewID()
		o := h.accept(t, h.offerCsql(t, a.GetId(), customer).GetId())
		must(h.deals.UpdateOpportunity(h.seller(t), &pb.UpdateOpportunityRequest{
			Id: o.GetId(), Amount: yen(600_000), ExpectedCloseDate: civil.DateOf(time.Now()).AddDays(30).Proto(),
		}))(t)
		must(h.deals.MoveStage(h.seller(t), &pb.MoveStageRequest{Id: o.GetId(), Stage: "VERBAL", NextAction: next()}))(t)
		closed := must(h.deals.CloseWon(h.seller(t), won(o.GetId())))(t)
		handover := must(h.desk.GetHandoff(h.seller(t), &handoffv1.GetHandoffRequest{Id: closed.GetHandoverId()}))(t).GetHandoff()
		if got := handover.GetPayload().GetClosedWon().GetCustomerId(); got != customer || handover.GetAccountId() != a.GetId() {
			t.Errorf("handed over as customer %q of account %s, want %s of %s", got, handover.GetAccountId(), customer, a.GetId())
		}
	})
}
