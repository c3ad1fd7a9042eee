package fieldsales_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

func yen(n int64) *money.Money { return &money.Money{CurrencyCode: "JPY", Units: n} }

func hours(n int) *timestamppb.Timestamp {
	return timestamppb.New(time.Now().Add(time.Duration(n) * time.Hour))
}

func next() *pb.NextActionInput {
	return &pb.NextActionInput{Description: "提案書を送付", DueAt: hours(48)}
}

func hanako() *typev1.Person {
	return &typev1.Person{
		Id: party.NewID(), Name: &typev1.PersonName{Family: "佐藤", Given: "花子", Full: "佐藤 花子"}, Mail: "hanako@example.co.jp",
		Phone: "+81312345678", Title: "営業部長",
	}
}

// offer lets a neighbour hand something over, and waits until it is on the desk of field sales.
func (h *house) offer(t *testing.T, from *departmenttest.Neighbour, o handoff.NewOffer) *handoffv1.Handoff {
	t.Helper()
	ctx := access.WithActor(t.Context(), access.System("test"))
	sent := must(store.Write(ctx, from.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
		return from.Handoffs.Offer(ctx, tx, o)
	}))(t)
	departmenttest.WaitFor(t, h.House, h.Conn, func(e *handoffv1.HandoffReceived) bool { return e.GetHandoff().GetId() == sent.GetId() })
	return sent
}

func (h *house) offerMeeting(t *testing.T, company *typev1.Company) *handoffv1.Handoff {
	t.Helper()
	person := hanako()
	return h.offer(t, h.insideSales, handoff.NewOffer{
		Kind: handoffv1.Kind_KIND_MEETING, JourneyID: party.NewID(), PersonID: person.GetId(), AccountID: party.NewID(),
		SenderSubject: "work-item/" + party.NewID(),
		Payload: &handoffv1.Payload{Kind: &handoffv1.Payload_Meeting{Meeting: &handoffv1.MeetingPayload{
			MqlHandoffId: party.NewID(), Person: person, Company: company,
			Answers:  &handoffv1.QualificationAnswers{Issue: "紙の帳票", Need: "電子化", Timeline: "6月"},
			StartsAt: hours(24), EndsAt: hours(25), MeetingType: "ONLINE", BuyingStage: "CONSIDERATION", Competitor: "ライバル社",
			FirstTouch: &typev1.Touch{Channel: "SEMINAR", Campaign: "spring"}, LastTouch: &typev1.Touch{Channel: "WEB_FORM"},
		}}},
	})
}

// accept lets tanaka accept a handoff, and reads the deal that was made of it.
func (h *house) accept(t *testing.T, id string) *pb.Opportunity {
	t.Helper()
	accepted := must(h.desk.AcceptHandoff(h.seller(t), &handoffv1.AcceptHandoffRequest{Id: id, Note: "有効商談"}))(t)
	deals := must(h.deals.ListOpportunities(h.seller(t), &pb.ListOpportunitiesRequest{JourneyId: accepted.GetJourneyId()}))(t)
	if len(deals.GetOpportunities()) != 1 || accepted.GetReceiverSubject() != "opportunity/"+deals.GetOpportunities()[0].GetId() {
		t.Fatalf("%v came of %v", deals, accepted)
	}
	return deals.GetOpportunities()[0]
}

func tasuki() *typev1.Company {
	return &typev1.Company{Name: "株式会社タスキ", Domain: "example.co.jp", Industry: "IT", Employees: 120}
}

// verbal is a deal that can be won.
func (h *house) verbal(t *testing.T) *pb.Opportunity {
	t.Helper()
	a := must(h.accounts.CreateAccount(h.seller(t), &pb.CreateAccountRequest{
		Name: "株式会社タスキ", Domain: "example.co.jp", Industry: "IT", Employees: 120, OnMatch: pb.OnMatch_ON_MATCH_LINK,
	}))(t)
	o := must(h.deals.CreateOpportunity(h.seller(t), &pb.CreateOpportunityRequest{
		AccountId: a.GetId(), Name: "タスキ 新規", Type: pb.Opportunity_TYPE_NEW, Amount: yen(1_560_000),
		ExpectedCloseDate: &date.Date{Year: 2026, Month: 12, Day: 20}, Contact: hanako(),
	}))(t)
	return must(h.deals.MoveStage(h.seller(t), &pb.MoveStageRequest{Id: o.GetId(), Etag: o.GetEtag(), Stage: "VERBAL", NextAction: next()}))(t)
}

func won(id string) *pb.CloseWonRequest {
	return &pb.CloseWonRequest{
		Id: id,
		Contract: &handoffv1.ContractSummary{
			Lines: []*handoffv1.ContractLine{
				{Product: "basic", Quantity: 10, UnitPrice: yen(12_000), IntervalMonths: 1, Discount: yen(10_000)},
				{Product: "option", Quantity: 1, UnitPrice: yen(240_000), IntervalMonths: 12},
				{Product: "setup", Quantity: 1, UnitPrice: yen(300_000)},
			},
			TermMonths: 12, StartDate: &date.Date{Year: 2027, Month: 1, Day: 1}, NoticeDays: 60,
			SignedDate: civil.DateOf(time.Now()).Proto(),
		},
		Handover: &pb.HandoverDocument{
			Purpose: "帳票の電子化", Issues: "紙の帳票に月40時間", Expectations: "半年で半減", DecisionMaker: "山田 常務",
			DecisionProcess: "稟議のうえ常務会", Agreements: "1月中に初期設定", Cautions: "情報システム部は慎重", ExpansionRoom: "大阪支社",
			SuccessCriteria: []*handoffv1.SuccessCriterion{{Description: "作業時間の半減", Measure: "月20時間以下"}},
			Promises:        []*handoffv1.Promise{{Description: "操作研修2回", DueDate: &date.Date{Year: 2027, Month: 2, Day: 28}}},
			Risks:           []string{"担当者の異動"},
			BillingContact:  &typev1.Person{Name: &typev1.PersonName{Full: "経理 太郎"}, Mail: "keiri@example.co.jp"},
			Contact:         hanako(),
		},
	}
}

func (h *house) get(t *testing.T, id string) *pb.Opportunity {
	t.Helper()
	return must(h.deals.GetOpportunity(h.As(t, "viewer", access.RoleViewer), &pb.GetOpportunityRequest{Id: id}))(t)
}

// TestRelay runs the sash through field sales: from the meeting that inside sales booked to the kickoff of customer success.
func TestRelay(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		offered := h.offerMeeting(t, tasuki())
		o := h.accept(t, offered.GetId())
		if o.GetStage() != "QUALIFYING" || o.GetState() != pb.Opportunity_STATE_OPEN || o.GetType() != pb.Opportunity_TYPE_NEW ||
			o.GetOwner() != "tanaka" || o.GetAnswers().GetIssue() != "紙の帳票" || o.GetFirstTouch().GetChannel() != "SEMINAR" ||
			o.GetContact().GetId() != offered.GetPersonId() || o.GetAccountId() != offered.GetAccountId() || o.GetCompetitor() != "ライバル社" {
			t.Fatalf("%v", o)
		}
		verdict := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.MeetingVerdict) bool { return e.GetHandoffId() == offered.GetId() })
		if diff := cmp.Diff(&pb.MeetingVerdict{
			HandoffId: offered.GetId(), JourneyId: offered.GetJourneyId(), PersonId: offered.GetPersonId(), AccountId: offered.GetAccountId(),
			MqlHandoffId: offered.GetPayload().GetMeeting().GetMqlHandoffId(), Held: true, Accepted: true, Note: "有効商談", OpportunityId: o.GetId(),
		}, verdict, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		h.heard.Await(t, offered.GetId(), handoffv1.State_STATE_ACCEPTED)

		// The first action fulfils the handoff; a stage needs what it needs.
		o = must(h.deals.MoveStage(h.seller(t), &pb.MoveStageRequest{Id: o.GetId(), Stage: "DISCOVERY", NextAction: next()}))(t)
		h.heard.Await(t, offered.GetId(), handoffv1.State_STATE_FULFILLED)
		_, err := h.deals.MoveStage(h.seller(t), &pb.MoveStageRequest{Id: o.GetId(), Stage: "PROPOSAL"})
		if reason, fields := refused(t, err); reason != problem.ReasonGuardNotMet || !slices.Equal(fields, []string{"amount", "expected_close_date"}) {
			t.Errorf("%s %v", reason, fields)
		}
		o = must(h.deals.UpdateOpportunity(h.seller(t), &pb.UpdateOpportunityRequest{
			Id: o.GetId(), Etag: o.GetEtag(), Amount: yen(1_560_000), ExpectedCloseDate: &date.Date{Year: 2026, Month: 12, Day: 20},
			ProposalRoom: proto.String("分析オプション"),
		}))(t)
		o = must(h.deals.MoveStage(h.seller(t), &pb.MoveStageRequest{Id: o.GetId(), Stage: "VERBAL"}))(t)
		if o.GetProbabilityPercent() != 90 || o.GetForecastCategory() != pb.ForecastCategory_FORECAST_CATEGORY_COMMIT {
			t.Errorf("%v", o)
		}

		o = must(h.deals.CloseWon(h.seller(t), won(o.GetId())))(t)
		if o.GetState() != pb.Opportunity_STATE_CLOSED_WON || o.GetContract().GetMrr().GetUnits() != 130_000 || o.GetProbabilityPercent() != 100 ||
			o.GetContract().GetRenewalDate().GetYear() != 2028 || o.GetHandoverState() != handoffv1.State_STATE_OFFERED {
			t.Fatalf("%v", o)
		}
		arrived := departmenttest.WaitFor(t, h.House, h.customerSuccess.Conn, func(e *handoffv1.HandoffReceived) bool {
			return e.GetHandoff().GetId() == o.GetHandoverId()
		}).GetHandoff()
		document := arrived.GetPayload().GetClosedWon()
		if arrived.GetCompleteness().GetScore() != 100 || arrived.GetSenderSubject() != "opportunity/"+o.GetId() ||
			document.GetProposalRoom() != "分析オプション" || document.GetFirstTouch().GetChannel() != "SEMINAR" ||
			document.GetCompany().GetEmployees() != 120 || document.GetOpportunityId() != o.GetId() {
			t.Errorf("%v", arrived)
		}
		if diff := cmp.Diff(o.GetHandover(), document, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		closed := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.OpportunityClosed) bool { return e.GetOpportunityId() == o.GetId() })
		if !closed.GetWon() || closed.GetMrr().GetUnits() != 130_000 || closed.GetAmount().GetUnits() != 1_560_000 ||
			closed.GetAction() != handoffv1.Reason_ACTION_NONE || closed.GetPersonId() != offered.GetPersonId() ||
			closed.GetJourneyId() != offered.GetJourneyId() || closed.GetSourceHandoffId() != offered.GetId() {
			t.Errorf("%v", closed)
		}

		must(handoffv1.NewHandoffDeskServiceClient(h.customerSuccess.Conn).AcceptHandoff(h.As(t, "mori", access.RoleCustomerSuccess),
			&handoffv1.AcceptHandoffRequest{Id: o.GetHandoverId()}))(t)
		departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.OpportunityUpdated) bool {
			return e.GetOpportunity().GetId() == o.GetId() && e.GetOpportunity().GetHandoverState() == handoffv1.State_STATE_ACCEPTED
		})
		got := h.get(t, o.GetId())
		var places []string
		for _, tr := range got.GetTransitions() {
			places = append(places, tr.GetTo())
		}
		if !slices.Equal(places, []string{"OPEN/QUALIFYING", "OPEN/DISCOVERY", "OPEN/VERBAL", "CLOSED_WON/VERBAL"}) ||
			got.GetTransitions()[3].GetActor().GetId() != "tanaka" || got.GetHandoverState() != handoffv1.State_STATE_ACCEPTED {
			t.Errorf("%v", got)
		}
		if diff := cmp.Diff(o.GetContract(), got.GetContract(), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		_, err = h.deals.CloseLost(h.seller(t), &pb.CloseLostRequest{Id: o.GetId(), Reason: "PRICE"})
		if reason, _ := refused(t, err); reason != problem.ReasonIllegalTransition {
			t.Errorf("a won deal is final: %v", err)
		}
	})
}

func TestMeetingRefused(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		for reason, held := range map[string]bool{"NO_SHOW": false, "NO_NEED": true} {
			offered := h.offerMeeting(t, tasuki())
			must(h.desk.RejectHandoff(h.seller(t), &handoffv1.RejectHandoffRequest{Id: offered.GetId(), Reason: reason, Note: "残念"}))(t)
			verdict := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.MeetingVerdict) bool { return e.GetHandoffId() == offered.GetId() })
			if verdict.GetAccepted() || verdict.GetHeld() != held || verdict.GetReason() != reason || verdict.GetNote() != "残念" ||
				verdict.GetOpportunityId() != "" || verdict.GetPersonId() != offered.GetPersonId() {
				t.Errorf("%v", verdict)
			}
			h.heard.Await(t, offered.GetId(), handoffv1.State_STATE_REJECTED)
		}
		accounts := must(h.accounts.ListAccounts(h.seller(t), &pb.ListAccountsRequest{}))(t)
		deals := must(h.deals.ListOpportunities(h.seller(t), &pb.ListOpportunitiesRequest{}))(t)
		if len(accounts.GetAccounts())+len(deals.GetOpportunities()) > 0 {
			t.Errorf("%v %v", accounts, deals)
		}
	})
}

// TestAcceptMatches: two people of one company, met separately, are one account with two deals.
func TestAcceptMatches(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		first := h.accept(t, h.offerMeeting(t, tasuki()).GetId())
		again := h.offerMeeting(t, &typev1.Company{Name: "ﾀｽｷ㈱"})
		second := h.accept(t, again.GetId())
		if first.GetAccountId() != second.GetAccountId() || first.GetId() == second.GetId() {
			t.Fatalf("%v\n%v", first, second)
		}
		a := must(h.accounts.GetAccount(h.seller(t), &pb.GetAccountRequest{Id: again.GetAccountId()}))(t)
		deals := must(h.deals.ListOpportunities(h.seller(t), &pb.ListOpportunitiesRequest{AccountId: again.GetAccountId()}))(t)
		if a.GetId() != first.GetAccountId() || len(deals.GetOpportunities()) != 2 {
			t.Errorf("the other id of the company finds %v, %v", a, deals)
		}
	})
}

func TestCsql(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		a := must(h.accounts.CreateAccount(h.seller(t), &pb.CreateAccountRequest{Name: "株式会社タスキ"}))(t)
		offered := h.offer(t, h.customerSuccess, handoff.NewOffer{
			Kind: handoffv1.Kind_KIND_CSQL, JourneyID: party.NewID(), AccountID: a.GetId(), SenderSubject: "csql/" + party.NewID(),
			Payload: &handoffv1.Payload{Kind: &handoffv1.Payload_Csql{Csql: &handoffv1.CsqlPayload{
				CustomerId: party.NewID(), Company: &typev1.Company{Name: "（株）タスキ"}, ExpansionType: "CROSS_SELL", Product: "分析",
				ExpectedMrr: yen(50_000), Usage: "毎日", StatedNeed: "分析もしたい", StatedBy: "佐藤 花子", CustomerBenefit: "意思決定が早くなる",
				Contacts: []*typev1.Person{hanako()},
			}}},
		})
		o := h.accept(t, offered.GetId())
		if o.GetType() != pb.Opportunity_TYPE_CROSS_SELL || o.GetAccountId() != a.GetId() || o.GetExpectedMrr().GetUnits() != 50_000 ||
			o.GetAnswers().GetNeed() != "分析もしたい" || o.GetCustomerId() == "" {
			t.Errorf("%v", o)
		}
		must(h.deals.SetNextAction(h.seller(t), &pb.SetNextActionRequest{Id: o.GetId(), Description: "電話", DueAt: hours(3)}))(t)
		h.heard.Await(t, offered.GetId(), handoffv1.State_STATE_FULFILLED)
		if got := h.get(t, o.GetId()); got.GetNextAction().GetDescription() != "電話" {
			t.Errorf("%v", got)
		}
	})
}

func TestCloseWonNamesAllThatIsMissing(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ctx := h.seller(t)
		a := must(h.accounts.CreateAccount(ctx, &pb.CreateAccountRequest{Name: "名前だけ"}))(t)
		o := must(h.deals.CreateOpportunity(ctx, &pb.CreateOpportunityRequest{AccountId: a.GetId(), Name: "x", Type: pb.Opportunity_TYPE_NEW}))(t)
		_, err := h.deals.CloseWon(ctx, &pb.CloseWonRequest{Id: o.GetId()})
		reason, fields := refused(t, err)
		want := []string{
			"stage", "contract.lines", "contract.term_months", "contract.start_date", "contract.signed_date", "account.industry",
			"account.employees", "handover.contact.name", "handover.contact.mail", "handover.purpose", "handover.issues",
			"handover.expectations", "handover.decision_maker", "handover.decision_process", "handover.agreements",
			"handover.success_criteria", "handover.billing_contact.mail",
		}
		if reason != problem.ReasonGuardNotMet || !slices.Equal(fields, want) {
			t.Errorf("%s\n%v\nwant\n%v", reason, fields, want)
		}
		deal := h.verbal(t)
		for name, tt := range map[string]struct {
			change func(*pb.CloseWonRequest)
			reason problem.Reason
			field  string
		}{
			"another mrr":         {func(r *pb.CloseWonRequest) { r.Contract.Mrr = yen(1) }, problem.ReasonInvalidFields, "contract.mrr"},
			"mixed currencies":    {func(r *pb.CloseWonRequest) { r.Contract.Lines[2].UnitPrice.CurrencyCode = "USD" }, problem.ReasonInvalidFields, "contract.lines[2].unit_price"},
			"half a yen":          {func(r *pb.CloseWonRequest) { r.Contract.Lines[0].UnitPrice.Nanos = 5e8 }, problem.ReasonInvalidFields, "contract.lines[0].unit_price"},
			"line without price":  {func(r *pb.CloseWonRequest) { r.Contract.Lines[0].UnitPrice = nil }, problem.ReasonInvalidFields, "contract.lines[0].unit_price"},
			"criterion, no gauge": {func(r *pb.CloseWonRequest) { r.Handover.SuccessCriteria[0].Measure = "" }, problem.ReasonGuardNotMet, "handover.success_criteria"},
			"blank purpose":       {func(r *pb.CloseWonRequest) { r.Handover.Purpose = " " }, problem.ReasonGuardNotMet, "handover.purpose"},
		} {
			req := won(deal.GetId())
			tt.change(req)
			_, err := h.deals.CloseWon(ctx, req)
			reason, fields := refused(t, err)
			if reason != tt.reason || len(fields) != 1 || fields[0] != tt.field && fields[0] != tt.field+"[].measure" {
				t.Errorf("%s: %s %v", name, reason, fields)
			}
		}
		if got := h.get(t, deal.GetId()); got.GetEtag() != deal.GetEtag() {
			t.Errorf("a refused close changed the deal: %v", got)
		}
	})
}

// TestParallelCloseWon: whoever clicks at the same moment, the customer is handed over once.
func TestParallelCloseWon(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		o := h.verbal(t)
		ctx := h.seller(t)
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { _, errs[i] = h.deals.CloseWon(ctx, won(o.GetId())) })
		}
		wg.Wait()
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			} else if reason, _ := refused(t, err); reason != problem.ReasonIllegalTransition {
				t.Error(err)
			}
		}
		outbox := must(h.desk.ListHandoffs(ctx, &handoffv1.ListHandoffsRequest{Box: handoffv1.Box_BOX_OUTBOX}))(t)
		if good != 1 || len(outbox.GetHandoffs()) != 1 {
			t.Errorf("%d went well, %d handoffs", good, len(outbox.GetHandoffs()))
		}
	})
}

// TestRepeatedCloseWon: the same key gives the same answer.
func TestRepeatedCloseWon(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		o := h.verbal(t)
		ctx := metadata.AppendToOutgoingContext(h.seller(t), "idempotency-key", "k-1")
		req := won(o.GetId())
		first := must(h.deals.CloseWon(ctx, req))(t)
		second := must(h.deals.CloseWon(ctx, req))(t)
		if diff := cmp.Diff(first, second, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReturnedHandover(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		o := must(h.deals.CloseWon(h.seller(t), won(h.verbal(t).GetId())))(t)
		departmenttest.WaitFor(t, h.House, h.customerSuccess.Conn, func(e *handoffv1.HandoffReceived) bool { return e.GetHandoff().GetId() == o.GetHandoverId() })
		must(handoffv1.NewHandoffDeskServiceClient(h.customerSuccess.Conn).ReturnHandoff(h.As(t, "mori", access.RoleCustomerSuccess),
			&handoffv1.ReturnHandoffRequest{Id: o.GetHandoverId(), Missing: []string{"promises", "risks"}}))(t)
		departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.OpportunityUpdated) bool {
			return e.GetOpportunity().GetId() == o.GetId() && e.GetOpportunity().GetHandoverState() == handoffv1.State_STATE_RETURNED
		})
		got := h.get(t, o.GetId())
		if got.GetState() != pb.Opportunity_STATE_CLOSED_WON || !slices.Equal(got.GetHandoverMissing(), []string{"promises", "risks"}) {
			t.Errorf("%v", got)
		}
	})
}
