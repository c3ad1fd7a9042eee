package fieldsales_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
)

// caughtUp waits until field sales has taken in the last that customer success tells, which is of a kind.
func (h *house) caughtUp(t *testing.T, kind pb.CustomerFeedback_Kind) {
	t.Helper()
	viewer, feedback := h.As(t, "viewer", access.RoleViewer), pb.NewCustomerFeedbackServiceClient(h.Conn)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := feedback.ListCustomerFeedback(viewer, &pb.ListCustomerFeedbackRequest{Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.GetCustomerFeedback()) > 0 {
			return
		}
		<-tick.C
	}
}

// What customer success tells of one customer reaches the seller of a similar one, once.
func TestFeedbackOfCustomersReachesSellers(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		tanaka := h.seller(t)
		won := must(h.accounts.CreateAccount(tanaka, &pb.CreateAccountRequest{Name: "株式会社甲", Industry: "卸売", Employees: 80}))(t)
		met := must(h.accounts.CreateAccount(tanaka, &pb.CreateAccountRequest{Name: "株式会社乙", Industry: "卸売", Employees: 60}))(t)
		deal := must(h.deals.CreateOpportunity(tanaka, &pb.CreateOpportunityRequest{AccountId: met.GetId(), Name: "乙", Type: pb.Opportunity_TYPE_NEW}))(t)

		journey, customer, said := party.NewID(), party.NewID(), party.NewID()
		h.customerSuccess.Tell(t, event.Event{
			Subject: "customer-feedback/" + said, SubjectVersion: 1, JourneyID: journey,
			Data: &customersuccessv1.CustomerFeedbackRecorded{
				CustomerFeedback: &customersuccessv1.CustomerFeedback{
					Id: said, CustomerId: customer, AccountId: won.GetId(), JourneyId: journey, Text: "在庫の画面がほしい",
					Kinds: []customersuccessv1.CustomerFeedback_Kind{customersuccessv1.CustomerFeedback_KIND_ADDITIONAL_NEED}, SaidAt: timestamppb.Now(),
				},
				Company: &typev1.Company{Id: won.GetId(), Industry: "卸売", Employees: 80}, Products: []string{"Tasuki Standard"},
			},
		})
		h.customerSuccess.Tell(t, event.Event{
			Subject: "customer/" + customer, SubjectVersion: 2, JourneyID: journey,
			Data: &customersuccessv1.CustomerChurned{CustomerId: customer, AccountId: won.GetId(), Reason: "NOT_USED"},
		})
		h.caughtUp(t, pb.CustomerFeedback_KIND_CHURN)

		feedback := pb.NewCustomerFeedbackServiceClient(h.Conn)
		viewer := h.As(t, "viewer", access.RoleViewer)
		own := must(feedback.ListCustomerFeedback(viewer, &pb.ListCustomerFeedbackRequest{AccountId: won.GetId()}))(t)
		if got := own.GetCustomerFeedback(); len(got) != 2 {
			t.Errorf("%v", got)
		}
		similar := must(feedback.ListSimilarCustomerFeedback(viewer, &pb.ListSimilarCustomerFeedbackRequest{
			OpportunityId: deal.GetId(), Kind: pb.CustomerFeedback_KIND_ADDITIONAL_NEED,
		}))(t).GetCustomerFeedback()
		if len(similar) != 1 || similar[0].GetId() != said || similar[0].GetAccountName() != "株式会社甲" || len(similar[0].GetMatches()) != 2 {
			t.Errorf("%v", similar)
		}
		if sum := must(h.accounts.GetAccount(viewer, &pb.GetAccountRequest{Id: won.GetId()}))(t).GetCustomerSummary(); sum.GetChurnReason() != "NOT_USED" || sum.GetChurnedAt() == nil {
			t.Errorf("%v", sum)
		}
		_, err := feedback.ListCustomerFeedback(viewer, &pb.ListCustomerFeedbackRequest{AccountId: "x"})
		wantCode(t, err, codes.InvalidArgument)
		_, err = feedback.ListSimilarCustomerFeedback(viewer, &pb.ListSimilarCustomerFeedbackRequest{OpportunityId: deal.GetId(), PageToken: "x"})
		wantCode(t, err, codes.InvalidArgument)
	})
}

// A handover that came late is told to the seller of the deal, and to no seller of a customer that is merely similar.
func TestFlaggedCustomerReachesItsSeller(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		closed := must(h.deals.CloseWon(h.seller(t), won(h.verbal(t).GetId())))(t)
		h.customerSuccess.Tell(t, event.Event{
			Subject: "customer/" + party.NewID(), SubjectVersion: 2, JourneyID: closed.GetJourneyId(),
			Data: &customersuccessv1.CustomerFlagged{
				CustomerId: party.NewID(), AccountId: closed.GetAccountId(), Flag: &customersuccessv1.CustomerFlag{
					Reason: customersuccessv1.CustomerFlag_REASON_KICKOFF_LATE, HandoffId: closed.GetHandoverId(), RaisedAt: timestamppb.Now(),
				},
			},
		})
		h.caughtUp(t, pb.CustomerFeedback_KIND_FLAGGED)
		viewer, feedback := h.As(t, "viewer", access.RoleViewer), pb.NewCustomerFeedbackServiceClient(h.Conn)
		told := must(feedback.ListCustomerFeedback(viewer, &pb.ListCustomerFeedbackRequest{OpportunityId: closed.GetId()}))(t).GetCustomerFeedback()
		if len(told) != 1 || told[0].GetReason() != "KICKOFF_LATE" || told[0].GetAccountId() != closed.GetAccountId() {
			t.Errorf("%v", told)
		}
		met := must(h.deals.CreateOpportunity(h.seller(t), &pb.CreateOpportunityRequest{
			AccountId: must(h.accounts.CreateAccount(h.seller(t), &pb.CreateAccountRequest{Name: "株式会社乙", Industry: "IT", Employees: 120}))(t).GetId(),
			Name:      "乙", Type: pb.Opportunity_TYPE_NEW,
		}))(t)
		if similar := must(feedback.ListSimilarCustomerFeedback(viewer, &pb.ListSimilarCustomerFeedbackRequest{OpportunityId: met.GetId()}))(t); len(similar.GetCustomerFeedback()) != 0 {
			t.Errorf("%v", similar)
		}
	})
}
