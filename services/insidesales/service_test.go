package insidesales_test

import (
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/insidesales"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

func TestFromMarketingToFieldSales(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mql, id := h.qualified(t)
		h.decisions.Await(t, mql.GetId(), handoffv1.State_STATE_FULFILLED)
		ctx := h.As(t, "sato", access.RoleInsideSales)
		w, err := h.items.OfferMeeting(ctx, meeting(id))
		if err != nil {
			t.Fatal(err)
		}
		if w.GetState() != pb.WorkItem_STATE_MEETING_OFFERED {
			t.Fatalf("%v", w)
		}

		tanaka := h.As(t, "tanaka", access.RoleFieldSales)
		got := departmenttest.WaitFor(t, h.House, h.fieldSales.Conn, func(e *handoffv1.HandoffReceived) bool {
			return e.GetHandoff().GetId() == w.GetMeetingHandoffId()
		}).GetHandoff()
		m := got.GetPayload().GetMeeting()
		if m.GetMqlHandoffId() != mql.GetId() || m.GetFirstTouch().GetCampaign() != "spring" || m.GetAnswers().GetIssue() != "紙の帳票" ||
			got.GetSenderSubject() != "work-item/"+id || got.GetJourneyId() != mql.GetJourneyId() || got.GetPersonId() != mql.GetPersonId() {
			t.Errorf("field sales received %v", got)
		}
		desk := handoffv1.NewHandoffDeskServiceClient(h.fieldSales.Conn)
		if _, err := desk.AcceptHandoff(tanaka, &handoffv1.AcceptHandoffRequest{Id: got.GetId()}); err != nil {
			t.Fatal(err)
		}
		w = h.arrived(t, id, pb.WorkItem_STATE_HANDED_OVER)
		want := []string{"NEW", "ACCEPTED", "WORKING", "CONNECTED", "QUALIFIED", "MEETING_OFFERED", "HANDED_OVER"}
		for i, step := range w.GetTransitions() {
			if i >= len(want) || step.GetTo() != want[i] {
				t.Errorf("transition %d is %v", i, step)
			}
		}

		// What becomes of it at field sales is told by events.
		deal := party.NewID()
		h.tell(t, event.Event{
			Subject: "opportunity/" + deal, SubjectVersion: 1, JourneyID: w.GetJourneyId(),
			Data: &fieldsalesv1.MeetingVerdict{HandoffId: got.GetId(), Held: true, Accepted: true, OpportunityId: deal},
		})
		h.tell(t, event.Event{
			Subject: "opportunity/" + deal, SubjectVersion: 2, JourneyID: w.GetJourneyId(),
			Data: &fieldsalesv1.OpportunityClosed{OpportunityId: deal, Won: true, SourceHandoffId: got.GetId()},
		})
		departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.WorkItemOutcomeChanged) bool {
			return e.GetWorkItem().GetOutcome() == pb.WorkItem_OUTCOME_WON
		})
		if w = h.get(t, id); w.GetOpportunityId() != deal || w.GetOutcome() != pb.WorkItem_OUTCOME_WON {
			t.Errorf("%v", w)
		}
	})
}

func TestMeetingRefused(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		_, id := h.qualified(t)
		w, err := h.items.OfferMeeting(h.As(t, "sato", access.RoleInsideSales), meeting(id))
		if err != nil {
			t.Fatal(err)
		}
		departmenttest.WaitFor(t, h.House, h.fieldSales.Conn, func(*handoffv1.HandoffReceived) bool { return true })
		desk := handoffv1.NewHandoffDeskServiceClient(h.fieldSales.Conn)
		_, err = desk.RejectHandoff(h.As(t, "tanaka", access.RoleFieldSales),
			&handoffv1.RejectHandoffRequest{Id: w.GetMeetingHandoffId(), Reason: "NO_SHOW", Note: "nobody came"})
		if err != nil {
			t.Fatal(err)
		}
		h.waitForReason(t, id, "NO_SHOW")
		w = h.get(t, id)
		if w.GetState() != pb.WorkItem_STATE_WORKING || w.GetReasonNote() != "nobody came" {
			t.Errorf("%v", w)
		}
		if last := w.GetTransitions()[len(w.GetTransitions())-1]; last.GetActor().GetId() != "tanaka" {
			t.Errorf("%v", last)
		}
	})
}

func TestOneAcceptWins(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mql, item := h.offer(t)
		desk := handoffv1.NewHandoffDeskServiceClient(h.Conn)
		people := []string{"sato", "kato", "mori", "abe"}
		won := make(chan string, len(people))
		var wg sync.WaitGroup
		for _, who := range people {
			ctx := h.As(t, who, access.RoleInsideSales)
			wg.Go(func() {
				_, err := desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: mql.GetId()})
				switch {
				case err == nil:
					won <- who
				case !problem.Is(err, problem.ReasonDecisionTaken):
					t.Errorf("%s: %v", who, err)
				}
			})
		}
		wg.Wait()
		close(won)
		winner := <-won
		if second, more := <-won; more {
			t.Fatalf("both %s and %s took it", winner, second)
		}
		w := h.get(t, item.GetId())
		if w.GetState() != pb.WorkItem_STATE_ACCEPTED || w.GetAssignee() != winner {
			t.Errorf("%s won, the work item is %s with %q", winner, w.GetState(), w.GetAssignee())
		}
		if d := h.decisions.Await(t, mql.GetId(), handoffv1.State_STATE_ACCEPTED); d.GetReceiverSubject() != "work-item/"+item.GetId() {
			t.Errorf("marketing heard of %q", d.GetReceiverSubject())
		}
	})
}

func TestParallelFirstTouchesFulfilOnce(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mql, item := h.offer(t)
		h.accept(t, mql.GetId())
		ctx := h.As(t, "sato", access.RoleInsideSales)
		const n = 8
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				if _, err := h.items.LogActivity(ctx, call(item.GetId(), pb.Activity_RESULT_NO_ANSWER)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		acts, err := h.items.ListActivities(ctx, &pb.ListActivitiesRequest{WorkItemId: item.GetId()})
		if err != nil || len(acts.GetActivities()) != n {
			t.Fatalf("%d activities, %v", len(acts.GetActivities()), err)
		}
		got, err := handoffv1.NewHandoffDeskServiceClient(h.Conn).GetHandoff(ctx, &handoffv1.GetHandoffRequest{Id: mql.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		fulfilled := 0
		for _, step := range got.GetTransitions() {
			if step.GetTo() == "FULFILLED" {
				fulfilled++
			}
		}
		if fulfilled != 1 || got.GetHandoff().GetState() != handoffv1.State_STATE_FULFILLED {
			t.Errorf("fulfilled %d times: %v", fulfilled, got.GetHandoff())
		}
	})
}

func TestRejectAndReturn(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ctx := h.As(t, "sato", access.RoleInsideSales)
		desk := handoffv1.NewHandoffDeskServiceClient(h.Conn)
		mql, item := h.offer(t)
		_, err := desk.RejectHandoff(ctx, &handoffv1.RejectHandoffRequest{Id: mql.GetId(), Reason: "TOO_SMALL", Note: "3 people"})
		if err != nil {
			t.Fatal(err)
		}
		if w := h.get(t, item.GetId()); w.GetState() != pb.WorkItem_STATE_REJECTED || w.GetReason() != "TOO_SMALL" {
			t.Errorf("%v", w)
		}
		h.decisions.Await(t, mql.GetId(), handoffv1.State_STATE_REJECTED)

		mql, item = h.offer(t)
		_, err = desk.ReturnHandoff(ctx, &handoffv1.ReturnHandoffRequest{Id: mql.GetId(), Missing: []string{"person.phone"}})
		if err != nil {
			t.Fatal(err)
		}
		if w := h.get(t, item.GetId()); w.GetState() != pb.WorkItem_STATE_RETURNED || w.GetReasonNote() != "person.phone" {
			t.Errorf("%v", w)
		}
		completed := h.decisions.Await(t, mql.GetId(), handoffv1.State_STATE_RETURNED).GetPayload()
		completed.GetMql().GetPerson().Phone = "03-1234-5678"
		_, err = store.Write(t.Context(), h.marketing.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
			return h.marketing.Handoffs.Resubmit(t.Context(), tx, mql.GetId(), completed, "")
		})
		if err != nil {
			t.Fatal(err)
		}
		w := h.arrived(t, item.GetId(), pb.WorkItem_STATE_NEW)
		if w.GetState() != pb.WorkItem_STATE_NEW || w.GetPerson().GetPhone() != "+81312345678" {
			t.Errorf("%v", w)
		}
		h.accept(t, mql.GetId())
	})
}

func TestAssignIsTheSameOnBothSides(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ctx := h.As(t, "sato", access.RoleInsideSales)
		desk := handoffv1.NewHandoffDeskServiceClient(h.Conn)
		mql, item := h.offer(t)
		if _, err := h.items.AssignWorkItem(ctx, &pb.AssignWorkItemRequest{Id: item.GetId(), Assignee: "kato"}); err != nil {
			t.Fatal(err)
		}
		got, err := desk.GetHandoff(ctx, &handoffv1.GetHandoffRequest{Id: mql.GetId()})
		if err != nil || got.GetHandoff().GetAssignee() != "kato" {
			t.Fatalf("%v %v", got, err)
		}
		if _, err := desk.AssignHandoff(ctx, &handoffv1.AssignHandoffRequest{Id: mql.GetId(), Assignee: "mori"}); err != nil {
			t.Fatal(err)
		}
		if w := h.get(t, item.GetId()); w.GetState() != pb.WorkItem_STATE_ASSIGNED || w.GetAssignee() != "mori" {
			t.Errorf("%v", w)
		}
	})
}

func TestRecycleGoesToMarketing(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mql, id := h.qualified(t)
		ctx := h.As(t, "sato", access.RoleInsideSales)
		w, err := h.items.RecycleWorkItem(ctx, &pb.RecycleWorkItemRequest{Id: id, Reason: "BAD_TIMING", Note: "来期"})
		if err != nil {
			t.Fatal(err)
		}
		if days := w.GetWakeAt().AsTime().Sub(w.GetUpdateTime().AsTime()).Hours() / 24; days < 59.9 || days > 60.1 {
			t.Errorf("wakes after %v days", days)
		}
		told := departmenttest.WaitFor(t, h.House, h.Conn, func(*pb.LeadRecycled) bool { return true })
		if told.GetMqlHandoffId() != mql.GetId() || told.GetReason() != "BAD_TIMING" || told.GetPersonId() != mql.GetPersonId() {
			t.Errorf("%v", told)
		}
		_, err = h.items.LogActivity(ctx, call(id, pb.Activity_RESULT_CONNECTED))
		if !problem.Is(err, problem.ReasonIllegalTransition) {
			t.Errorf("an activity after recycling gives %v", err)
		}
		_, err = h.items.DisqualifyWorkItem(ctx, &pb.DisqualifyWorkItemRequest{Id: id, Reason: "MOON"})
		if err == nil {
			t.Error("a reason from the moon was taken")
		}
	})
}

func TestBadInputAndRoles(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ctx := h.As(t, "sato", access.RoleInsideSales)
		_, err := h.items.GetWorkItem(t.Context(), &pb.GetWorkItemRequest{Id: party.NewID()})
		wantCode(t, err, codes.Unauthenticated)
		_, err = h.items.LogActivity(h.As(t, "tanaka", access.RoleFieldSales), call(party.NewID(), 0))
		wantCode(t, err, codes.PermissionDenied)
		_, err = h.items.GetWorkItem(ctx, &pb.GetWorkItemRequest{Id: party.NewID()})
		wantCode(t, err, codes.NotFound)
		_, err = h.items.ListWorkItems(ctx, &pb.ListWorkItemsRequest{PageToken: "nonsense"})
		if !problem.Is(err, problem.ReasonPageTokenInvalid) {
			t.Errorf("%v", err)
		}
		id := party.NewID()
		early := meeting(id)
		early.StartsAt, early.EndsAt = early.GetEndsAt(), early.GetStartsAt()
		for name, give := range map[string]func() error{
			"note with a result": func() error {
				_, err := h.items.LogActivity(ctx, &pb.LogActivityRequest{WorkItemId: id, Kind: pb.Activity_KIND_NOTE, Result: 1, Note: "n"})
				return err
			},
			"note without a text": func() error {
				_, err := h.items.LogActivity(ctx, &pb.LogActivityRequest{WorkItemId: id, Kind: pb.Activity_KIND_NOTE})
				return err
			},
			"no kind":               func() error { _, err := h.items.LogActivity(ctx, &pb.LogActivityRequest{WorkItemId: id}); return err },
			"end before begin":      func() error { _, err := h.items.OfferMeeting(ctx, early); return err },
			"no buying stage":       func() error { m := meeting(id); m.BuyingStage = ""; _, err := h.items.OfferMeeting(ctx, m); return err },
			"no answers":            func() error { _, err := h.items.QualifyWorkItem(ctx, &pb.QualifyWorkItemRequest{Id: id}); return err },
			"no reason":             func() error { _, err := h.items.RecycleWorkItem(ctx, &pb.RecycleWorkItemRequest{Id: id}); return err },
			"a prospect of nothing": func() error { _, err := h.items.CreateWorkItem(ctx, &pb.CreateWorkItemRequest{}); return err },
		} {
			if err := give(); !problem.Is(err, problem.ReasonInvalidFields) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestIdempotencyKeyAndEtag(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mql, item := h.offer(t)
		h.accept(t, mql.GetId())
		ctx := metadata.AppendToOutgoingContext(h.As(t, "sato", access.RoleInsideSales), "idempotency-key", "k1")
		first, err := h.items.LogActivity(ctx, call(item.GetId(), pb.Activity_RESULT_NO_ANSWER))
		if err != nil {
			t.Fatal(err)
		}
		again, err := h.items.LogActivity(ctx, call(item.GetId(), pb.Activity_RESULT_NO_ANSWER))
		if err != nil || again.GetId() != first.GetId() {
			t.Errorf("repeated: %v %v", again, err)
		}
		stale := call(item.GetId(), pb.Activity_RESULT_NO_ANSWER)
		stale.Etag = item.GetEtag()
		_, err = h.items.LogActivity(h.As(t, "sato", access.RoleInsideSales), stale)
		if !problem.Is(err, problem.ReasonEtagMismatch) {
			t.Errorf("%v", err)
		}
	})
}

// Without neighbours inside sales works its own prospects, and its meetings wait.
func TestAlone(t *testing.T) {
	h := build(t, false, departmenttest.SQLite(t, insidesales.Definition))
	ctx := h.As(t, "sato", access.RoleInsideSales)
	w, err := h.items.CreateWorkItem(ctx, &pb.CreateWorkItemRequest{
		Person:  &typev1.Person{Name: &typev1.PersonName{Full: "森 一郎"}, Phone: "090-1234-5678"},
		Company: &typev1.Company{Name: "モリ商事"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.items.LogActivity(ctx, call(w.GetId(), pb.Activity_RESULT_CONNECTED)); err != nil {
		t.Fatal(err)
	}
	answers := &handoffv1.QualificationAnswers{Issue: "属人化", Budget: "100万円", Authority: "本人"}
	if _, err := h.items.QualifyWorkItem(ctx, &pb.QualifyWorkItemRequest{Id: w.GetId(), Answers: answers}); err != nil {
		t.Fatal(err)
	}
	if w, err = h.items.OfferMeeting(ctx, meeting(w.GetId())); err != nil {
		t.Fatal(err)
	}
	got, err := handoffv1.NewHandoffDeskServiceClient(h.Conn).GetHandoff(ctx, &handoffv1.GetHandoffRequest{Id: w.GetMeetingHandoffId()})
	if err != nil || got.GetHandoff().GetDelivery() != handoffv1.Delivery_DELIVERY_PENDING || w.GetState() != pb.WorkItem_STATE_MEETING_OFFERED {
		t.Errorf("%v %v, %v", w, got, err)
	}
}
