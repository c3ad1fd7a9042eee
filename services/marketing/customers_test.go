package marketing_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
)

// What customer success tells of a customer is seen on the lead it was, and whom the customer names becomes a lead.
func TestWhatCustomersSayReachesMarketing(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori := h.As(t, "mori", access.RoleMarketing)
		l, err := h.leads.CaptureLead(mori, demoRequest("hanako@example.co.jp"))
		if err != nil {
			t.Fatal(err)
		}
		customer, referral := party.NewID(), party.NewID()
		h.customerSuccess.Tell(t, event.Event{
			Subject: "nps-response/" + party.NewID(), SubjectVersion: 1, JourneyID: l.GetJourneyId(),
			Data: &customersuccessv1.NpsResponseRecorded{NpsResponse: &customersuccessv1.NpsResponse{CustomerId: customer, Score: 10, Verbatim: "すぐ使えた"}},
		})
		told := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.LeadCustomerSignalReceived) bool { return e.GetLeadId() == l.GetId() })
		if told.GetSignal().GetScore() != 10 || told.GetCustomerSignals().GetNpsVerbatim() != "すぐ使えた" {
			t.Errorf("%v", told)
		}
		h.customerSuccess.Tell(t, event.Event{
			Subject: "referral/" + referral, SubjectVersion: 1, JourneyID: l.GetJourneyId(),
			Data: &customersuccessv1.ReferralRecorded{Referral: &customersuccessv1.Referral{
				Id: referral, CustomerId: customer, Company: &typev1.Company{Name: "株式会社アザー"},
				Person: &typev1.Person{Name: &typev1.PersonName{Full: "鈴木 次郎"}, Mail: "jiro@other.example.jp"},
			}},
		})
		named := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.LeadCaptured) bool { return e.GetLead().GetSource() == "REFERRAL" }).GetLead()
		if named.GetReferral().GetReferralId() != referral || named.GetReferral().GetJourneyId() != l.GetJourneyId() {
			t.Errorf("%v", named)
		}
		viewer := h.As(t, "viewer", access.RoleViewer)
		history, err := h.leads.ListLeadCustomerSignals(viewer, &pb.ListLeadCustomerSignalsRequest{Id: l.GetId()})
		if err != nil || len(history.GetSignals()) != 2 || history.GetSignals()[1].GetReferralId() != referral {
			t.Errorf("%v, %v", history, err)
		}
		got, err := h.leads.GetLead(viewer, &pb.GetLeadRequest{Id: l.GetId()})
		if err != nil || got.GetState() != l.GetState() || got.GetCustomerSignals().GetReferralCount() != 1 {
			t.Errorf("%v, %v", got, err)
		}
		_, err = h.leads.ListLeadCustomerSignals(viewer, &pb.ListLeadCustomerSignalsRequest{Id: party.NewID()})
		wantCode(t, err, codes.NotFound)
	})
}
