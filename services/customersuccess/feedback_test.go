package customersuccess_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
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

// An erasure finds who is known at a customer by what was said only.
func TestErasureOfWhoSaidSomething(t *testing.T) {
	departmenttest.Engines(t, customersuccess.Definition, func(t *testing.T, db departmenttest.Database) {
		marketing := &departmenttest.Neighbour{Name: access.Marketing}
		h := &house{House: departmenttest.Run(t, customersuccess.Definition, db, marketing)}
		h.desk, h.fieldSales = handoffv1.NewHandoffDeskServiceClient(h.Conn), handoffv1.NewHandoffReceiverServiceClient(h.From(t, access.FieldSales, access.CustomerSuccess))
		ho := offered(nil)
		h.offer(t, ho)
		sato := h.As(t, "sato", access.RoleCustomerSuccess)
		accepted, err := h.desk.AcceptHandoff(sato, &handoffv1.AcceptHandoffRequest{Id: ho.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		customer := strings.TrimPrefix(accepted.GetReceiverSubject(), "customer/")
		feedback, who := pb.NewFeedbackServiceClient(h.Conn), party.NewID()
		_, err = feedback.CreateNpsResponse(sato, &pb.CreateNpsResponseRequest{
			CustomerId: customer, Score: proto.Int32(3), Verbatim: "渡辺 三郎です。つながりません。",
			Respondent: &typev1.Person{Id: who, Name: &typev1.PersonName{Full: "渡辺 三郎"}, Mail: "saburo@tasuki-shoji.example.jp"},
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := pb.NewCustomerServiceClient(h.Conn).GetCustomer(sato, &pb.GetCustomerRequest{Id: customer})
		if err != nil || len(c.GetContacts()) != 2 {
			t.Errorf("who said something became a contact: %v, %v", c.GetContacts(), err)
		}
		erasure := party.NewID()
		marketing.Tell(t, event.Event{
			Subject: "person/" + who, SubjectVersion: 1,
			Data: &partyv1.ErasureRequested{ErasureId: erasure, PersonId: who, PersonIds: []string{who}},
		})
		departmenttest.WaitFor(t, h.House, h.Conn, func(e *partyv1.ErasureAcknowledged) bool { return e.GetErasureId() == erasure })
		list, err := feedback.ListNpsResponses(sato, &pb.ListNpsResponsesRequest{CustomerId: customer})
		if err != nil || len(list.GetNpsResponses()) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		told := departmenttest.WaitFor(t, h.House, h.Conn, func(*pb.NpsResponseRecorded) bool { return true }).GetNpsResponse()
		for name, n := range map[string]*pb.NpsResponse{"kept": list.GetNpsResponses()[0], "told": told} {
			if n.GetScore() != 3 || n.GetRespondent().GetMail() != "" || n.GetRespondent().GetName().GetFull() != "" || strings.Contains(n.GetVerbatim(), "渡辺") {
				t.Errorf("%s: %v", name, n)
			}
		}
	})
}
