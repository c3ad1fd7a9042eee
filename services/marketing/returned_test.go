package marketing_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
)

// A lead whose offer came back and is made again goes on like any other; one that was put away meanwhile stays away.
func TestReturnedAndOfferedAgain(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori, sato := h.As(t, "mori", access.RoleMarketing), h.As(t, "sato", access.RoleInsideSales)
		ours, theirs := handoffv1.NewHandoffDeskServiceClient(h.Conn), handoffv1.NewHandoffDeskServiceClient(h.insideSales.Conn)
		returned := func(mail string) *pb.Lead {
			l, err := h.leads.CaptureLead(mori, demoRequest(mail))
			if err != nil {
				t.Fatal(err)
			}
			h.received(t, l.GetHandoffId())
			if _, err := theirs.ReturnHandoff(sato, &handoffv1.ReturnHandoffRequest{Id: l.GetHandoffId(), Missing: []string{"person.title"}}); err != nil {
				t.Fatal(err)
			}
			departmenttest.WaitFor(t, h.House, h.Conn, func(e *handoffv1.HandoffDecisionApplied) bool { return e.GetHandoff().GetId() == l.GetHandoffId() })
			l, err = h.leads.GetLead(mori, &pb.GetLeadRequest{Id: l.GetId()})
			if err != nil || l.GetState() != pb.Lead_STATE_MQL {
				t.Fatalf("a returned lead is %s: %v", l.GetState(), err)
			}
			return l
		}

		l := returned("hanako@example.co.jp")
		if _, err := ours.ResubmitHandoff(mori, &handoffv1.ResubmitHandoffRequest{Id: l.GetHandoffId()}); err != nil {
			t.Fatal(err)
		}
		if l, err := h.leads.GetLead(mori, &pb.GetLeadRequest{Id: l.GetId()}); err != nil || l.GetState() != pb.Lead_STATE_OFFERED {
			t.Errorf("offered again, the lead is %s: %v", l.GetState(), err)
		}
		departmenttest.WaitFor(t, h.House, h.insideSales.Conn, func(e *handoffv1.HandoffReceived) bool {
			return e.GetHandoff().GetId() == l.GetHandoffId() && e.GetHandoff().GetAttempt() == 2
		})
		if _, err := theirs.AcceptHandoff(sato, &handoffv1.AcceptHandoffRequest{Id: l.GetHandoffId()}); err != nil {
			t.Fatal(err)
		}
		h.moved(t, l.GetId(), pb.Lead_STATE_ACCEPTED)

		away := returned("taro@example.co.jp")
		if _, err := h.leads.DisqualifyLead(mori, &pb.DisqualifyLeadRequest{Id: away.GetId(), Reason: "COMPETITOR"}); err != nil {
			t.Fatal(err)
		}
		_, err := ours.ResubmitHandoff(mori, &handoffv1.ResubmitHandoffRequest{Id: away.GetHandoffId()})
		wantCode(t, err, codes.FailedPrecondition)
	})
}
