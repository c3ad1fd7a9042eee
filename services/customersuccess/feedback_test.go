package customersuccess_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
)

// What is recorded through the doors is told on the feed, with what the departments before need to know.
func TestFeedbackIsTold(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ho := offered(nil)
		h.offer(t, ho)
		sato := h.As(t, "sato", access.RoleCustomerSuccess)
		accepted, err := h.desk.AcceptHandoff(sato, &handoffv1.AcceptHandoffRequest{Id: ho.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		customer := strings.TrimPrefix(accepted.GetReceiverSubject(), "customer/")
		feedback := pb.NewFeedbackServiceClient(h.Conn)
		said, err := feedback.CreateCustomerFeedback(sato, &pb.CreateCustomerFeedbackRequest{
			CustomerId: customer, Kinds: []pb.CustomerFeedback_Kind{pb.CustomerFeedback_KIND_SATISFACTION}, Text: "満足", Rating: 5,
		})
		if err != nil {
			t.Fatal(err)
		}
		told := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.CustomerFeedbackRecorded) bool { return e.GetCustomerFeedback().GetId() == said.GetId() })
		if !proto.Equal(told.GetCustomerFeedback(), said) || told.GetCompany().GetIndustry() != "卸売" || told.GetCompany().GetEmployees() != 80 ||
			len(told.GetProducts()) != 1 || told.GetProducts()[0] != "Tasuki Standard" {
			t.Errorf("%v", told)
		}
		if _, err := feedback.RateHandover(sato, &pb.RateHandoverRequest{HandoffId: ho.GetId(), Score: 4}); err != nil {
			t.Fatal(err)
		}
		rated := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.HandoverQualityRated) bool { return e.GetHandoverQuality().GetHandoffId() == ho.GetId() })
		if rated.GetHandoverQuality().GetOpportunityId() != ho.GetPayload().GetClosedWon().GetOpportunityId() || rated.GetHandoverQuality().GetScore() != 4 {
			t.Errorf("%v", rated)
		}
		if _, err := h.customers.CancelSubscription(sato, &pb.CancelSubscriptionRequest{Id: customer, Reason: "NOT_USED"}); err != nil {
			t.Fatal(err)
		}
		left := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.CustomerChurned) bool { return e.GetCustomerId() == customer })
		if left.GetCompany().GetIndustry() != "卸売" || len(left.GetProducts()) != 1 {
			t.Errorf("%v", left)
		}
		h.told(t, ho.GetJourneyId(), "HandoffReceived", "CustomerCreated", "MrrMoved", "HandoffAccepted", "CustomerFeedbackRecorded",
			"HandoverQualityRated", "MrrMoved", "CustomerStateChanged", "CustomerChurned", "OnboardingCancelled")
	})
}

func TestBadFeedback(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		sato, mori := h.As(t, "sato", access.RoleCustomerSuccess), h.As(t, "mori", access.RoleMarketing)
		feedback, id := pb.NewFeedbackServiceClient(h.Conn), party.NewID()
		usage := []pb.CustomerFeedback_Kind{pb.CustomerFeedback_KIND_USAGE}
		for name, tt := range map[string]struct {
			call func() error
			want string
		}{
			"about nothing": {func() error {
				_, err := feedback.CreateCustomerFeedback(sato, &pb.CreateCustomerFeedbackRequest{CustomerId: id, Text: "x"})
				return err
			}, "INVALID_FIELDS"},
			"content, but how": {func() error {
				_, err := feedback.CreateCustomerFeedback(sato, &pb.CreateCustomerFeedbackRequest{
					CustomerId: id, Text: "x", Kinds: []pb.CustomerFeedback_Kind{pb.CustomerFeedback_KIND_SATISFACTION},
				})
				return err
			}, "INVALID_FIELDS"},
			"six of five": {func() error {
				_, err := feedback.CreateCustomerFeedback(sato, &pb.CreateCustomerFeedbackRequest{CustomerId: id, Text: "x", Kinds: usage, Rating: 6})
				return err
			}, "INVALID_FIELDS"},
			"no such customer": {func() error {
				_, err := feedback.CreateCustomerFeedback(sato, &pb.CreateCustomerFeedbackRequest{CustomerId: id, Text: "x", Kinds: usage})
				return err
			}, "RESOURCE_NOT_FOUND"},
			"marketing writes": {func() error {
				_, err := feedback.CreateCustomerFeedback(mori, &pb.CreateCustomerFeedbackRequest{CustomerId: id, Text: "x", Kinds: usage})
				return err
			}, "ROLE_MISSING"},
			"no score": {func() error {
				_, err := feedback.CreateNpsResponse(sato, &pb.CreateNpsResponseRequest{CustomerId: id})
				return err
			}, "INVALID_FIELDS"},
			"eleven of ten": {func() error {
				_, err := feedback.CreateNpsResponse(sato, &pb.CreateNpsResponseRequest{CustomerId: id, Score: proto.Int32(11)})
				return err
			}, "INVALID_FIELDS"},
			"rated with zero": {func() error {
				_, err := feedback.RateHandover(sato, &pb.RateHandoverRequest{HandoffId: id})
				return err
			}, "INVALID_FIELDS"},
			"corrected without a reason": {func() error {
				_, err := feedback.CorrectHandoverQuality(sato, &pb.CorrectHandoverQualityRequest{HandoffId: id, Score: 3})
				return err
			}, "INVALID_FIELDS"},
			"nobody is named": {func() error {
				_, err := feedback.CreateReferral(sato, &pb.CreateReferralRequest{CustomerId: id, Person: &typev1.Person{Title: "部長"}})
				return err
			}, "INVALID_FIELDS"},
			"fit for no reason": {func() error {
				_, err := feedback.CreateFitSignal(sato, &pb.CreateFitSignalRequest{CustomerId: id, Fit: pb.FitSignal_FIT_GOOD})
				return err
			}, "INVALID_FIELDS"},
			"never rated": {func() error {
				_, err := feedback.GetHandoverQuality(mori, &pb.GetHandoverQualityRequest{HandoffId: id})
				return err
			}, "RESOURCE_NOT_FOUND"},
			"page token": {func() error {
				_, err := feedback.ListReferrals(mori, &pb.ListReferralsRequest{PageToken: "x"})
				return err
			}, "PAGE_TOKEN_INVALID"},
		} {
			if err := tt.call(); reason(err) != tt.want {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
