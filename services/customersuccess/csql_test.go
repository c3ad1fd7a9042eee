package customersuccess_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/type/money"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/rig"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// market is customer success with one customer, beside a field sales that decides by hand.
type market struct {
	*house
	sales    *departmenttest.Neighbour
	counter  handoffv1.HandoffDeskServiceClient // of field sales
	csqls    pb.CsqlServiceClient
	customer *pb.Customer
	closed   *handoffv1.Handoff // the deal that made the customer
}

func markets(t *testing.T, test func(t *testing.T, m *market)) {
	t.Helper()
	departmenttest.Engines(t, customersuccess.Definition, func(t *testing.T, db departmenttest.Database) {
		m := &market{house: &house{}}
		m.sales = &departmenttest.Neighbour{Name: access.FieldSales, Kinds: []handoff.KindConfig{{
			Kind: handoffv1.Kind_KIND_CSQL, From: access.CustomerSuccess, To: access.FieldSales,
			OnAccepted: func(_ context.Context, _ store.Tx, h *handoffv1.Handoff) (string, error) {
				return "opportunity/" + h.GetId(), nil
			},
		}}}
		m.House = departmenttest.Run(t, customersuccess.Definition, db, m.sales)
		m.customers, m.desk = pb.NewCustomerServiceClient(m.Conn), handoffv1.NewHandoffDeskServiceClient(m.Conn)
		m.csqls, m.counter = pb.NewCsqlServiceClient(m.Conn), handoffv1.NewHandoffDeskServiceClient(m.sales.Conn)
		m.fieldSales = handoffv1.NewHandoffReceiverServiceClient(m.From(t, access.FieldSales, access.CustomerSuccess))
		m.closed = offered(nil)
		m.customer = m.close(t, m.closed)
		test(t, m)
	})
}

// close hands a won deal over, and accepts it.
func (m *market) close(t *testing.T, ho *handoffv1.Handoff) *pb.Customer {
	t.Helper()
	m.offer(t, ho)
	accepted, err := m.desk.AcceptHandoff(m.sato(t), &handoffv1.AcceptHandoffRequest{Id: ho.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.customers.GetCustomer(m.sato(t), &pb.GetCustomerRequest{Id: strings.TrimPrefix(accepted.GetReceiverSubject(), "customer/")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (m *market) sato(t *testing.T) context.Context {
	t.Helper()
	return m.As(t, "sato", access.RoleCustomerSuccess)
}

func (m *market) seller(t *testing.T) context.Context {
	t.Helper()
	return m.As(t, "tanaka", access.RoleFieldSales)
}

// qualified is an expansion that can be offered.
func (m *market) qualified(t *testing.T) *pb.Csql {
	t.Helper()
	today := civil.DateOf(m.sales.Clock.Now()).Proto()
	made, err := m.csqls.CreateCsql(m.sato(t), &pb.CreateCsqlRequest{
		CustomerId: m.customer.GetId(), ExpansionType: pb.ExpansionType_EXPANSION_TYPE_UPSELL, Product: "Tasuki Standard",
		ExpectedMrr: rig.Yen(65_000).Proto(), CustomerBenefit: "支店間の引き継ぎ漏れがなくなる", Cautions: "月末は繁忙",
		Health: &pb.CsqlHealth{Score: 82, Evidence: "NPS 9"},
		Usage:  &pb.CsqlUsage{Level: pb.UsageLevel_USAGE_LEVEL_GOOD, Evidence: "週次利用率 92%"},
		Need: &pb.StatedNeed{
			Statement: "大阪支店でも使いたい", StatedDate: today, Evidence: "定例会の議事録",
			StatedBy: &typev1.Person{Name: &typev1.PersonName{Full: "山本 次郎"}, Title: "支店長"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.csqls.QualifyCsql(m.sato(t), &pb.QualifyCsqlRequest{Id: made.GetId(), Etag: made.GetEtag(), Note: "十分"})
	if err != nil || c.GetState() != pb.Csql_STATE_QUALIFIED {
		t.Fatal(c, err)
	}
	return c
}

// sold is an expansion that sales has to decide on, with what has arrived there.
func (m *market) sold(t *testing.T) (*pb.Csql, *handoffv1.Handoff) {
	t.Helper()
	c, err := m.csqls.OfferCsql(m.sato(t), &pb.OfferCsqlRequest{Id: m.qualified(t).GetId()})
	if err != nil || c.GetState() != pb.Csql_STATE_OFFERED {
		t.Fatal(c, err)
	}
	return c, m.arrived(t, c.GetHandoffId(), 1)
}

// arrived waits until sales has an attempt of a handoff.
func (m *market) arrived(t *testing.T, id string, attempt int32) *handoffv1.Handoff {
	t.Helper()
	return departmenttest.WaitFor(t, m.House, m.sales.Conn, func(e *handoffv1.HandoffReceived) bool {
		return e.GetHandoff().GetId() == id && e.GetHandoff().GetAttempt() == attempt
	}).GetHandoff()
}

// became waits until an expansion has come into a state for the nth time.
func (m *market) became(t *testing.T, id string, state pb.Csql_State, nth int) *pb.Csql {
	t.Helper()
	seen := 0
	departmenttest.WaitFor(t, m.House, m.Conn, func(e *pb.CsqlStateChanged) bool {
		if e.GetCsql().GetId() == id && e.GetTo() == state {
			seen++
		}
		return seen == nth
	})
	c, err := m.csqls.GetCsql(m.sato(t), &pb.GetCsqlRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// end tells the end of the deal that an expansion became.
func (m *market) end(t *testing.T, c *pb.Csql, change func(e *fieldsalesv1.OpportunityClosed)) {
	t.Helper()
	e := &fieldsalesv1.OpportunityClosed{
		OpportunityId: c.GetHandoffId(), SourceHandoffId: c.GetHandoffId(), JourneyId: c.GetJourneyId(), Won: true,
		Mrr: rig.Yen(65_000).Proto(), Type: fieldsalesv1.Opportunity_TYPE_UPSELL,
	}
	if change != nil {
		change(e)
	}
	m.sales.Tell(t, event.Event{Subject: "opportunity/" + e.GetOpportunityId(), SubjectVersion: 9, JourneyID: c.GetJourneyId(), Data: e})
}

func (m *market) ledger(t *testing.T) []*pb.MrrMovement {
	t.Helper()
	lines, err := m.customers.ListMrrMovements(m.sato(t), &pb.ListMrrMovementsRequest{CustomerId: m.customer.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	return lines.GetMovements()
}

// From the note of an expansion to the line in the ledger, through the doors.
func TestFromTheCsqlToTheLedger(t *testing.T) {
	markets(t, func(t *testing.T, m *market) {
		bare, err := m.csqls.CreateCsql(m.sato(t), &pb.CreateCsqlRequest{
			CustomerId: m.customer.GetId(), ExpansionType: pb.ExpansionType_EXPANSION_TYPE_CROSS_SELL, Product: "分析",
		})
		if err != nil || bare.GetState() != pb.Csql_STATE_DRAFT {
			t.Fatal(bare, err)
		}
		want := "expected_mrr,health,usage,need,customer_benefit"
		if _, err := m.csqls.QualifyCsql(m.sato(t), &pb.QualifyCsqlRequest{Id: bare.GetId()}); reason(err) != "GUARD_NOT_MET" ||
			metadata(err, "missing") != want || strings.Join(bare.GetUnmet(), ",") != want {
			t.Errorf("nothing is known: %v, %v", err, bare.GetUnmet())
		}
		if _, err := m.csqls.OfferCsql(m.sato(t), &pb.OfferCsqlRequest{Id: bare.GetId()}); reason(err) != "ILLEGAL_TRANSITION" || metadata(err, "legal") != "drop,qualify,update" {
			t.Errorf("a draft is offered: %v", err)
		}

		c, ho := m.sold(t)
		p := ho.GetPayload().GetCsql()
		if ho.GetQueue() != "field-sales" || c.GetQueue() != "field-sales" || ho.GetCompleteness().GetScore() != 100 ||
			ho.GetSenderSubject() != "csql/"+c.GetId() || ho.GetAccountId() != m.customer.GetAccountId() || ho.GetJourneyId() != m.customer.GetJourneyId() {
			t.Errorf("handoff %v", ho)
		}
		if p.GetCustomerId() != m.customer.GetId() || p.GetExpansionType() != "UPSELL" || p.GetHealth() != 82 || p.GetStatedBy() != "山本 次郎 (支店長)" ||
			p.GetExpectedMrr().GetUnits() != 65_000 || p.GetContract().GetMrr().GetUnits() != 130_000 || len(p.GetContract().GetLines()) != 1 ||
			len(p.GetContacts()) != 3 || p.GetContacts()[0].GetId() == "" || p.GetOfferedBy() != "sato" || p.GetCautions() == "" {
			t.Errorf("payload %v", p)
		}
		if _, err := m.counter.AcceptHandoff(m.seller(t), &handoffv1.AcceptHandoffRequest{Id: ho.GetId(), Note: "承知"}); err != nil {
			t.Fatal(err)
		}
		accepted := m.became(t, c.GetId(), pb.Csql_STATE_ACCEPTED, 1)
		if accepted.GetOpportunityId() != ho.GetId() {
			t.Errorf("accepted %v", accepted)
		}
		if _, err := m.csqls.DropCsql(m.sato(t), &pb.DropCsqlRequest{Id: c.GetId(), Reason: "NEED_GONE"}); reason(err) != "ILLEGAL_TRANSITION" {
			t.Errorf("sales has it, and it is dropped: %v", err)
		}
		m.end(t, accepted, nil)
		m.end(t, accepted, nil) // deliveries repeat
		won := m.became(t, c.GetId(), pb.Csql_STATE_WON, 1)
		if won.GetWonMrr().GetUnits() != 65_000 || len(m.ledger(t)) != 1 {
			t.Errorf("won %v, ledger %v", won, m.ledger(t))
		}
		var states []string
		for _, tr := range won.GetTransitions() {
			states = append(states, tr.GetTo())
		}
		if got := strings.Join(states, " "); got != "DRAFT QUALIFIED OFFERED ACCEPTED WON" {
			t.Errorf("it went %s", got)
		}

		contract := rig.Further(m.closed, rig.Line(5, 13_000))
		contract.GetPayload().GetClosedWon().CustomerId = m.customer.GetId()
		contract.AccountId, contract.ChainId = party.NewID(), contract.GetId() // the account was merged meanwhile
		after := m.close(t, contract)
		if after.GetId() != m.customer.GetId() || after.GetCommittedMrr().GetUnits() != 195_000 {
			t.Errorf("customer %s, %v", after.GetId(), after.GetCommittedMrr())
		}
		if lines := m.ledger(t); len(lines) != 2 || lines[0].GetKind() != pb.MrrMovement_KIND_EXPANSION || lines[0].GetAmount().GetUnits() != 65_000 {
			t.Errorf("ledger %v", lines)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func dollars() *money.Money { return &money.Money{CurrencyCode: "USD", Units: 10} }

// What sales sends back is completed and offered again; what it refuses for good, or for now, stays refused.
func TestCsqlComesBack(t *testing.T) {
	markets(t, func(t *testing.T, m *market) {
		c, ho := m.sold(t)
		if _, err := m.counter.ReturnHandoff(m.seller(t), &handoffv1.ReturnHandoffRequest{Id: ho.GetId(), Missing: []string{"product"}, Note: "どのプラン?"}); err != nil {
			t.Fatal(err)
		}
		back := m.became(t, c.GetId(), pb.Csql_STATE_RETURNED, 1)
		if !slices.Equal(back.GetMissing(), []string{"product"}) || back.GetReason() != "RETURNED" || back.GetNote() != "どのプラン?" {
			t.Errorf("%v", back)
		}
		if _, err := m.csqls.UpdateCsql(m.sato(t), &pb.UpdateCsqlRequest{Id: c.GetId(), Etag: back.GetEtag(), Product: proto.String("Tasuki Standard 5 席")}); err != nil {
			t.Fatal(err)
		}
		again, err := m.csqls.OfferCsql(m.sato(t), &pb.OfferCsqlRequest{Id: c.GetId(), Note: "プランを追記"})
		if err != nil || again.GetState() != pb.Csql_STATE_OFFERED || again.GetHandoffId() != ho.GetId() || len(again.GetMissing()) != 0 {
			t.Fatal(again, err)
		}
		second := m.arrived(t, ho.GetId(), 2)
		if second.GetPayload().GetCsql().GetProduct() != "Tasuki Standard 5 席" {
			t.Errorf("second attempt %v", second.GetPayload())
		}

		// A reason whose action is RETURN ends the handoff, and not the expansion: a new handoff goes on in the chain.
		if _, err := m.counter.RejectHandoff(m.seller(t), &handoffv1.RejectHandoffRequest{Id: ho.GetId(), Reason: "NOT_QUALIFIED"}); err != nil {
			t.Fatal(err)
		}
		m.became(t, c.GetId(), pb.Csql_STATE_RETURNED, 2)
		if again, err = m.csqls.OfferCsql(m.sato(t), &pb.OfferCsqlRequest{Id: c.GetId()}); err != nil || again.GetHandoffId() == ho.GetId() {
			t.Fatal(again, err)
		}
		third := m.arrived(t, again.GetHandoffId(), 1)
		if third.GetChainId() != ho.GetChainId() {
			t.Errorf("chain %s, want %s", third.GetChainId(), ho.GetChainId())
		}

		// Recalled at the desk, then offered again; at the desk too, what came back can be resubmitted.
		if _, err := m.desk.RecallHandoff(m.sato(t), &handoffv1.RecallHandoffRequest{Id: third.GetId(), Note: "誤り"}); err != nil {
			t.Fatal(err)
		}
		if recalled := m.became(t, c.GetId(), pb.Csql_STATE_RETURNED, 3); recalled.GetReason() != "RECALLED" {
			t.Errorf("%v", recalled)
		}
		if again, err = m.csqls.OfferCsql(m.sato(t), &pb.OfferCsqlRequest{Id: c.GetId()}); err != nil {
			t.Fatal(err)
		}
		fourth := m.arrived(t, again.GetHandoffId(), 1)
		if _, err := m.counter.ReturnHandoff(m.seller(t), &handoffv1.ReturnHandoffRequest{Id: fourth.GetId(), Missing: []string{"usage"}}); err != nil {
			t.Fatal(err)
		}
		m.became(t, c.GetId(), pb.Csql_STATE_RETURNED, 4)
		if _, err := m.desk.ResubmitHandoff(m.sato(t), &handoffv1.ResubmitHandoffRequest{Id: fourth.GetId()}); err != nil {
			t.Fatal(err)
		}
		m.arrived(t, fourth.GetId(), 2)

		if _, err := m.counter.RejectHandoff(m.seller(t), &handoffv1.RejectHandoffRequest{Id: fourth.GetId(), Reason: "TIMING", Note: "来期"}); err != nil {
			t.Fatal(err)
		}
		refused := m.became(t, c.GetId(), pb.Csql_STATE_REJECTED, 1)
		if refused.GetReason() != "TIMING" || refused.GetAction() != handoffv1.Reason_ACTION_RECYCLE || refused.GetWakeAt() == nil {
			t.Errorf("%v", refused)
		}
		if _, err := m.csqls.OfferCsql(m.sato(t), &pb.OfferCsqlRequest{Id: c.GetId()}); reason(err) != "ILLEGAL_TRANSITION" {
			t.Errorf("refused and offered: %v", err)
		}

		lost, ho := m.sold(t)
		if _, err := m.counter.AcceptHandoff(m.seller(t), &handoffv1.AcceptHandoffRequest{Id: ho.GetId()}); err != nil {
			t.Fatal(err)
		}
		m.became(t, lost.GetId(), pb.Csql_STATE_ACCEPTED, 1)
		m.end(t, lost, func(e *fieldsalesv1.OpportunityClosed) {
			e.Won, e.Reason, e.Mrr, e.Note = false, "NO_BUDGET", nil, "予算凍結"
		})
		if got := m.became(t, lost.GetId(), pb.Csql_STATE_LOST, 1); got.GetReason() != "NO_BUDGET" || got.GetNote() != "予算凍結" {
			t.Errorf("%v", got)
		}
		if len(m.ledger(t)) != 1 {
			t.Errorf("the ledger moved: %v", m.ledger(t))
		}
	})
}

// Whoever clicks at the same moment, sales is offered the expansion once; the same key gives the same answer.
func TestParallelOffers(t *testing.T) {
	markets(t, func(t *testing.T, m *market) {
		c := m.qualified(t)
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			ctx := m.As(t, string(rune('a'+i)), access.RoleCustomerSuccess)
			wg.Go(func() { _, errs[i] = m.csqls.OfferCsql(ctx, &pb.OfferCsqlRequest{Id: c.GetId()}) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if reason(err) != "ILLEGAL_TRANSITION" {
				t.Errorf("a loser is told %v", err)
			}
		}
		outbox, err := m.desk.ListHandoffs(m.sato(t), &handoffv1.ListHandoffsRequest{Box: handoffv1.Box_BOX_OUTBOX})
		if err != nil || won != 1 || len(outbox.GetHandoffs()) != 1 {
			t.Errorf("%d won, outbox %v, %v", won, outbox.GetHandoffs(), err)
		}
		keyed := grpcmetadata.AppendToOutgoingContext(m.sato(t), "idempotency-key", "k-1")
		other := m.qualified(t)
		first, err := m.csqls.OfferCsql(keyed, &pb.OfferCsqlRequest{Id: other.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		if second, err := m.csqls.OfferCsql(keyed, &pb.OfferCsqlRequest{Id: other.GetId()}); err != nil || !proto.Equal(first, second) {
			t.Errorf("the same key: %v, %v", second, err)
		}
	})
}

// A customer that is not well is not sold to, and each tier has its sellers.
func TestCsqlAndItsCustomer(t *testing.T) {
	markets(t, func(t *testing.T, m *market) {
		c := m.qualified(t)
		owners, err := m.csqls.ListExpansionOwners(m.sato(t), &pb.ListExpansionOwnersRequest{})
		if err != nil || len(owners.GetExpansionOwners()) != 3 || owners.GetExpansionOwners()[0].GetTeam() != pb.ExpansionOwner_TEAM_CUSTOMER_SALES {
			t.Errorf("%v, %v", owners, err)
		}
		changed, err := m.csqls.UpdateExpansionOwner(m.sato(t), &pb.UpdateExpansionOwnerRequest{Tier: m.customer.GetTier(), Team: pb.ExpansionOwner_TEAM_CUSTOMER_SALES})
		if err != nil || changed.GetTeam() != pb.ExpansionOwner_TEAM_CUSTOMER_SALES {
			t.Errorf("%v, %v", changed, err)
		}
		offer, err := m.csqls.OfferCsql(m.sato(t), &pb.OfferCsqlRequest{Id: c.GetId()})
		if err != nil || offer.GetQueue() != "customer-sales" {
			t.Errorf("%v, %v", offer, err)
		}

		waiting := m.qualified(t)
		later := civil.DateOf(m.sales.Clock.Now()).AddDays(30)
		if _, err := m.customers.CancelSubscription(m.sato(t), &pb.CancelSubscriptionRequest{Id: m.customer.GetId(), Reason: "TOO_EXPENSIVE", EffectiveDate: later.Proto()}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.csqls.OfferCsql(m.sato(t), &pb.OfferCsqlRequest{Id: waiting.GetId()}); reason(err) != "GUARD_NOT_MET" || metadata(err, "missing") != "customer.subscriptions" {
			t.Errorf("a customer that is leaving: %v", err)
		}
		gone, err := m.csqls.DropCsql(m.sato(t), &pb.DropCsqlRequest{Id: waiting.GetId(), Reason: "CUSTOMER_LEAVES", Note: "解約予定"})
		if err != nil || gone.GetState() != pb.Csql_STATE_DROPPED || gone.GetReason() != "CUSTOMER_LEAVES" {
			t.Errorf("%v, %v", gone, err)
		}

		viewer, id := m.As(t, "viewer", access.RoleViewer), party.NewID()
		for name, tt := range map[string]struct {
			err  error
			want string
		}{
			"role": {second(m.csqls.QualifyCsql(viewer, &pb.QualifyCsqlRequest{Id: c.GetId()})), "ROLE_MISSING"},
			"nobody": {second(m.csqls.CreateCsql(m.sato(t), &pb.CreateCsqlRequest{
				CustomerId: id, ExpansionType: pb.ExpansionType_EXPANSION_TYPE_UPSELL, Product: "x",
			})), "RESOURCE_NOT_FOUND"},
			"type": {second(m.csqls.CreateCsql(m.sato(t), &pb.CreateCsqlRequest{CustomerId: m.customer.GetId(), Product: "x"})), "INVALID_FIELDS"},
			"currency": {second(m.csqls.CreateCsql(m.sato(t), &pb.CreateCsqlRequest{
				CustomerId: m.customer.GetId(), ExpansionType: pb.ExpansionType_EXPANSION_TYPE_UPSELL, Product: " ",
				ExpectedMrr: dollars(), Health: &pb.CsqlHealth{ObservedDate: later.Proto()},
			})), "INVALID_FIELDS"},
			"drop without a reason": {second(m.csqls.DropCsql(m.sato(t), &pb.DropCsqlRequest{Id: c.GetId()})), "INVALID_FIELDS"},
			"tier":                  {second(m.csqls.UpdateExpansionOwner(m.sato(t), &pb.UpdateExpansionOwnerRequest{})), "INVALID_FIELDS"},
			"page token":            {second(m.csqls.ListCsqls(viewer, &pb.ListCsqlsRequest{PageToken: "x"})), "PAGE_TOKEN_INVALID"},
		} {
			if reason(tt.err) != tt.want {
				t.Errorf("%s: %v", name, tt.err)
			}
		}
	})
}
