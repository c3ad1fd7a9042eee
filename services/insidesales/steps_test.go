package insidesales_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// offer lets marketing hand a lead over, and waits for the work item.
func (h *house) offer(t *testing.T) (mql *handoffv1.Handoff, item *pb.WorkItem) {
	t.Helper()
	ctx := access.WithActor(t.Context(), access.System("scoring"))
	mql, err := store.Write(ctx, h.marketing.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
		return h.marketing.Handoffs.Offer(ctx, tx, handoff.NewOffer{
			Kind: handoffv1.Kind_KIND_MQL, JourneyID: party.NewID(), PersonID: party.NewID(), AccountID: party.NewID(),
			SenderSubject: "lead/" + party.NewID(),
			Payload: &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{
				Person:     &typev1.Person{Name: &typev1.PersonName{Full: "佐藤 花子"}, Mail: "hanako@example.co.jp", Title: "営業部長"},
				Company:    &typev1.Company{Name: "株式会社タスキ", Domain: "example.co.jp", Industry: "IT", Employees: 120},
				FirstTouch: &typev1.Touch{Channel: "SEMINAR", Campaign: "spring"}, LastTouch: &typev1.Touch{Channel: "WEB_FORM"},
				Score: &handoffv1.LeadScore{Fit: 40, Behaviour: 30, Total: 70}, QualifyingAction: "demo_request",
			}}},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	created := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.WorkItemCreated) bool {
		return e.GetWorkItem().GetMqlHandoffId() == mql.GetId()
	})
	return mql, created.GetWorkItem()
}

// accept lets sato take the handoff of a work item.
func (h *house) accept(t *testing.T, handoffID string) *handoffv1.Handoff {
	t.Helper()
	accepted, err := handoffv1.NewHandoffDeskServiceClient(h.Conn).AcceptHandoff(h.As(t, "sato", access.RoleInsideSales),
		&handoffv1.AcceptHandoffRequest{Id: handoffID, Note: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	return accepted
}

func (h *house) get(t *testing.T, id string) *pb.WorkItem {
	t.Helper()
	w, err := h.items.GetWorkItem(h.As(t, "viewer", access.RoleViewer), &pb.GetWorkItemRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// arrived waits until a work item is in a state.
func (h *house) arrived(t *testing.T, id string, state pb.WorkItem_State) *pb.WorkItem {
	t.Helper()
	departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.WorkItemStateChanged) bool {
		return e.GetWorkItem().GetId() == id && e.GetWorkItem().GetState() == state
	})
	return h.get(t, id)
}

func call(id string, result pb.Activity_Result) *pb.LogActivityRequest {
	return &pb.LogActivityRequest{WorkItemId: id, Kind: pb.Activity_KIND_CALL, Result: result, Note: "架電"}
}

func meeting(id string) *pb.OfferMeetingRequest {
	starts := time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC)
	return &pb.OfferMeetingRequest{
		Id: id, StartsAt: timestamppb.New(starts), EndsAt: timestamppb.New(starts.Add(time.Hour)), MeetingType: "ONLINE",
		BuyingStage: "CONSIDERATION", Temperature: "HOT", Host: "tanaka", Url: "https://meet.example.com/1",
		Attendees: []*handoffv1.Attendee{{Name: "森 一郎", Title: "部長"}},
	}
}

// qualified is a work item that is ready for a meeting.
func (h *house) qualified(t *testing.T) (mql *handoffv1.Handoff, id string) {
	t.Helper()
	mql, item := h.offer(t)
	h.accept(t, mql.GetId())
	ctx := h.As(t, "sato", access.RoleInsideSales)
	if _, err := h.items.LogActivity(ctx, call(item.GetId(), pb.Activity_RESULT_CONNECTED)); err != nil {
		t.Fatal(err)
	}
	_, err := h.items.QualifyWorkItem(ctx, &pb.QualifyWorkItemRequest{Id: item.GetId(), Answers: &handoffv1.QualificationAnswers{
		Issue: "紙の帳票", Need: "電子化", Timeline: "6月",
	}})
	if err != nil {
		t.Fatal(err)
	}
	return mql, item.GetId()
}

// tell writes an event of field sales.
func (h *house) tell(t *testing.T, e event.Event) {
	t.Helper()
	ctx := t.Context()
	_, err := store.Write(ctx, h.fieldSales.DB, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, h.fieldSales.Events.Append(ctx, tx, e)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) waitForReason(t *testing.T, id, reason string) {
	t.Helper()
	departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.WorkItemStateChanged) bool {
		return e.GetWorkItem().GetId() == id && e.GetTransition().GetReason() == reason
	})
}
