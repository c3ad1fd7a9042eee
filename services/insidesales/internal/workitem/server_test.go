package workitem

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

func TestFromAcceptanceToHandover(t *testing.T) {
	servers(t, func(t *testing.T, b *bench) {
		id, h := b.accepted(t)
		must(b.call(id, pb.Activity_RESULT_CONNECTED))(t)
		_, err := b.QualifyWorkItem(b.ctx, &pb.QualifyWorkItemRequest{Id: id, Answers: &handoffv1.QualificationAnswers{Issue: "紙"}})
		if e, _ := problem.Parse(err); e == nil || e.Metadata["missing"] != "budget,authority,need,timeline" {
			t.Fatalf("%v", err)
		}
		qualify := &pb.QualifyWorkItemRequest{Id: id, Answers: &handoffv1.QualificationAnswers{Issue: "紙", Need: "n", Timeline: "6月"}}
		w := must(b.QualifyWorkItem(b.ctx, qualify))(t)
		starts := b.clock.Now().Add(24 * time.Hour)
		offer := &pb.OfferMeetingRequest{
			Id: id, Etag: w.GetEtag(), StartsAt: timestamppb.New(starts), EndsAt: timestamppb.New(starts.Add(time.Hour)),
			MeetingType: "ONLINE", BuyingStage: "CONSIDERATION", Temperature: "HOT", Competitor: "X",
		}
		w = must(b.OfferMeeting(b.ctx, offer))(t)
		if w.GetState() != pb.WorkItem_STATE_MEETING_OFFERED || w.GetMeetingHandoffId() == "" {
			t.Fatalf("%v", w)
		}
		o := b.desk.offers[0]
		m := o.Payload.GetMeeting()
		if o.SenderSubject != "work-item/"+id || o.JourneyID != h.GetJourneyId() || o.PersonID != h.GetPersonId() ||
			o.AccountID != h.GetAccountId() || o.ChainID != "" {
			t.Errorf("%+v", o)
		}
		if m.GetMqlHandoffId() != h.GetId() || m.GetFirstTouch().GetChannel() != "SEMINAR" || m.GetAnswers().GetTimeline() != "6月" ||
			m.GetPerson().GetName().GetFull() != "佐藤 花子" || m.GetCompany().GetName() != "株式会社タスキ" || m.GetCompetitor() != "X" {
			t.Errorf("%v", m)
		}

		// Refused, it is worked on again, and offered again in the same chain.
		first := w.GetMeetingHandoffId()
		w = b.decide(t, &handoffv1.Handoff{
			Id: first, State: handoffv1.State_STATE_REJECTED,
			Decision: &handoffv1.Decision{Reason: "NO_SHOW", Note: "nobody came"},
		})
		if w.GetState() != pb.WorkItem_STATE_WORKING || w.GetReason() != "NO_SHOW" || w.GetReasonNote() != "nobody came" {
			t.Fatalf("%v", w)
		}
		must(b.call(id, pb.Activity_RESULT_CONNECTED))(t)
		must(b.QualifyWorkItem(b.ctx, &pb.QualifyWorkItemRequest{Id: id, Answers: &handoffv1.QualificationAnswers{}}))(t)
		offer.Etag = ""
		w = must(b.OfferMeeting(b.ctx, offer))(t)
		if b.desk.offers[1].ChainID != first || w.GetMeetingHandoffId() == first {
			t.Errorf("chain %q, handoff %q", b.desk.offers[1].ChainID, w.GetMeetingHandoffId())
		}

		// Returned, it is offered again as the same handoff.
		returned := b.desk.handoffs[w.GetMeetingHandoffId()]
		returned.State = handoffv1.State_STATE_RETURNED
		returned.Decision = &handoffv1.Decision{Missing: []string{"attendees"}, Note: "who comes?"}
		if w = b.decide(t, returned); w.GetState() != pb.WorkItem_STATE_WORKING || w.GetReasonNote() != "attendees: who comes?" {
			t.Fatalf("%v", w)
		}
		must(b.call(id, pb.Activity_RESULT_CONNECTED))(t)
		must(b.QualifyWorkItem(b.ctx, &pb.QualifyWorkItemRequest{Id: id, Answers: &handoffv1.QualificationAnswers{}}))(t)
		offer.Attendees = []*handoffv1.Attendee{{Name: "森 一郎"}}
		again := must(b.OfferMeeting(b.ctx, offer))(t)
		if again.GetMeetingHandoffId() != w.GetMeetingHandoffId() || len(b.desk.offers) != 2 ||
			again.GetState() != pb.WorkItem_STATE_MEETING_OFFERED || len(returned.GetPayload().GetMeeting().GetAttendees()) != 1 {
			t.Errorf("%v", again)
		}

		late := b.decide(t, &handoffv1.Handoff{Id: first, State: handoffv1.State_STATE_ACCEPTED})
		if late.GetState() != pb.WorkItem_STATE_MEETING_OFFERED {
			t.Errorf("a decision on the meeting before moved it to %s", late.GetState())
		}
		decision := &handoffv1.Handoff{
			Id: w.GetMeetingHandoffId(), State: handoffv1.State_STATE_ACCEPTED,
			Decision: &handoffv1.Decision{By: access.Actor{Kind: access.KindPerson, ID: "tanaka"}.Proto()},
		}
		b.decide(t, decision)
		w = b.decide(t, decision) // again
		if w.GetState() != pb.WorkItem_STATE_HANDED_OVER {
			t.Errorf("%v", w)
		}
		got := must(b.GetWorkItem(b.ctx, &pb.GetWorkItemRequest{Id: id}))(t)
		last := got.GetTransitions()[len(got.GetTransitions())-1]
		if last.GetTo() != "HANDED_OVER" || last.GetActor().GetId() != "tanaka" || len(got.GetLastActivities()) != 3 ||
			got.GetAnswers().GetIssue() != "紙" {
			t.Errorf("%v", got)
		}
		if want := []string{h.GetId() + " CALL CONNECTED"}; len(b.desk.fulfils) != 1 || b.desk.fulfils[0] != want[0] {
			t.Errorf("fulfilled %v", b.desk.fulfils)
		}
	})
}

func TestParallelActivitiesFulfilOnce(t *testing.T) {
	servers(t, func(t *testing.T, b *bench) {
		id, _ := b.accepted(t)
		const n = 12
		failed := make(chan error, n)
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				_, err := b.call(id, pb.Activity_RESULT_NO_ANSWER)
				failed <- err
			})
		}
		wg.Wait()
		close(failed)
		for err := range failed {
			if err != nil {
				t.Error(err)
			}
		}
		got := must(b.GetWorkItem(b.ctx, &pb.GetWorkItemRequest{Id: id}))(t)
		if len(b.desk.fulfils) != 1 || len(got.GetLastActivities()) != n || got.GetState() != pb.WorkItem_STATE_WORKING {
			t.Errorf("fulfilled %d times, %d activities, %s", len(b.desk.fulfils), len(got.GetLastActivities()), got.GetState())
		}
		moves := 0
		for _, m := range got.GetTransitions() {
			if m.GetTo() == "WORKING" {
				moves++
			}
		}
		if moves != 1 {
			t.Errorf("%d transitions to WORKING", moves)
		}
	})
}

func TestRecycleEndsIt(t *testing.T) {
	servers(t, func(t *testing.T, b *bench) {
		id, h := b.accepted(t)
		_, err := b.RecycleWorkItem(b.ctx, &pb.RecycleWorkItemRequest{Id: id, Reason: "MOON"})
		if !problem.Is(err, problem.ReasonReasonUnknown) {
			t.Errorf("%v", err)
		}
		w := must(b.RecycleWorkItem(b.ctx, &pb.RecycleWorkItemRequest{Id: id, Reason: "BAD_TIMING", Note: "来期"}))(t)
		if w.GetState() != pb.WorkItem_STATE_RECYCLED || !w.GetWakeAt().AsTime().Equal(b.clock.Now().Add(60*24*time.Hour)) {
			t.Errorf("%v", w)
		}
		if _, err := b.call(id, pb.Activity_RESULT_CONNECTED); !problem.Is(err, problem.ReasonIllegalTransition) {
			t.Errorf("an activity after recycling gives %v", err)
		}
		_, err = b.DisqualifyWorkItem(b.ctx, &pb.DisqualifyWorkItemRequest{Id: id, Reason: "COMPETITOR"})
		if !problem.Is(err, problem.ReasonIllegalTransition) {
			t.Errorf("%v", err)
		}
		raw := read(t, b.db, func(ctx context.Context, tx store.Tx) ([][]byte, error) {
			return store.Select[[]byte](ctx, tx, `SELECT data FROM events WHERE type = 'tasuki.insidesales.v1.LeadRecycled'`)
		})
		if len(raw) != 1 {
			t.Fatalf("%d events", len(raw))
		}
		told := &pb.LeadRecycled{}
		if err := proto.Unmarshal(raw[0], told); err != nil {
			t.Fatal(err)
		}
		want := &pb.LeadRecycled{
			WorkItemId: id, MqlHandoffId: h.GetId(), JourneyId: h.GetJourneyId(), PersonId: h.GetPersonId(),
			Reason: "BAD_TIMING", Note: "来期", WakeAt: w.GetWakeAt(),
		}
		if d := cmp.Diff(want, told, protocmp.Transform()); d != "" {
			t.Error(d)
		}
	})
}

func TestAssignFollowsTheHandoff(t *testing.T) {
	servers(t, func(t *testing.T, b *bench) {
		h := prospect(1)
		var id string
		write(t, b.db, func(ctx context.Context, tx store.Tx) error {
			subject, err := b.desk.hooks.received(ctx, tx, h)
			id = subject[len("work-item/"):]
			return err
		})
		if _, err := b.call(id, pb.Activity_RESULT_NO_ANSWER); !problem.Is(err, problem.ReasonIllegalTransition) {
			t.Errorf("a call before acceptance gives %v", err)
		}
		assign := func(who string) *pb.WorkItem {
			t.Helper()
			return must(b.AssignWorkItem(b.ctx, &pb.AssignWorkItemRequest{Id: id, Assignee: who}))(t)
		}
		for _, step := range []struct {
			who   string
			state pb.WorkItem_State
		}{
			{"kato", pb.WorkItem_STATE_ASSIGNED},
			{"sato", pb.WorkItem_STATE_ASSIGNED},
			{"", pb.WorkItem_STATE_NEW},
			{"kato", pb.WorkItem_STATE_ASSIGNED},
			{"kato", pb.WorkItem_STATE_ASSIGNED},
		} {
			if w := assign(step.who); w.GetState() != step.state || w.GetAssignee() != step.who {
				t.Errorf("%q: %s %q", step.who, w.GetState(), w.GetAssignee())
			}
		}
		write(t, b.db, func(ctx context.Context, tx store.Tx) error {
			h.Assignee = "kato"
			_, err := b.desk.hooks.accepted(ctx, tx, h)
			return err
		})
		if w := assign("mori"); w.GetState() != pb.WorkItem_STATE_ACCEPTED || w.GetAssignee() != "mori" {
			t.Errorf("%v", w)
		}
		_, err := b.AssignWorkItem(b.ctx, &pb.AssignWorkItemRequest{Id: id})
		if !problem.Is(err, problem.ReasonGuardNotMet) {
			t.Errorf("%v", err)
		}
	})
}

func TestCreateSelfGenerated(t *testing.T) {
	servers(t, func(t *testing.T, b *bench) {
		_, err := b.CreateWorkItem(b.ctx, &pb.CreateWorkItemRequest{Person: &typev1.Person{}, Company: &typev1.Company{}})
		if e, _ := problem.Parse(err); e == nil || len(e.Violations) != 3 {
			t.Fatalf("%v", err)
		}
		req := &pb.CreateWorkItemRequest{
			Person:  &typev1.Person{Name: &typev1.PersonName{Family: "森", Given: "一郎"}, Mail: "Mori@example.jp", Phone: "０９０ー１２３４ー５６７８"},
			Company: &typev1.Company{Name: "㈱モリ"},
		}
		w := must(b.CreateWorkItem(b.ctx, req))(t)
		if w.GetState() != pb.WorkItem_STATE_NEW || w.GetQueue() != "bdr" || w.GetPerson().GetName().GetFull() != "森 一郎" ||
			w.GetSource() != pb.WorkItem_SOURCE_SELF_GENERATED || w.GetJourneyId() == "" || w.GetPerson().GetId() == "" {
			t.Errorf("%v", w)
		}
		req.Assignee, req.Company.Name = "sato", "株式会社モリ"
		again := must(b.CreateWorkItem(b.ctx, req))(t)
		if again.GetState() != pb.WorkItem_STATE_ASSIGNED || again.GetPerson().GetId() != w.GetPerson().GetId() ||
			again.GetCompany().GetId() != w.GetCompany().GetId() || again.GetJourneyId() == w.GetJourneyId() {
			t.Errorf("%v", again)
		}
		must(b.call(w.GetId(), pb.Activity_RESULT_CONNECTED))(t)
		got := must(b.GetWorkItem(b.ctx, &pb.GetWorkItemRequest{Id: w.GetId()}))(t)
		if got.GetState() != pb.WorkItem_STATE_CONNECTED || got.GetAssignee() != "sato" || len(b.desk.fulfils) != 0 {
			t.Errorf("%v, fulfilled %v", got, b.desk.fulfils)
		}
	})
}

func TestListsPage(t *testing.T) {
	servers(t, func(t *testing.T, b *bench) {
		id, _ := b.accepted(t)
		for i := range 5 {
			must(b.call(id, pb.Activity_RESULT_NO_ANSWER))(t)
			must(b.CreateWorkItem(b.ctx, &pb.CreateWorkItemRequest{
				Person: &typev1.Person{Name: &typev1.PersonName{Full: "X"}, Phone: fmt.Sprint("03-0000-000", i)}, Company: &typev1.Company{Name: "X"},
			}))(t)
		}
		seen := map[string]bool{}
		for token, n := "", 0; n == 0 || token != ""; n++ {
			resp := must(b.ListWorkItems(b.ctx, &pb.ListWorkItemsRequest{PageSize: 2, PageToken: token}))(t)
			for _, w := range resp.GetWorkItems() {
				seen[w.GetId()] = true
			}
			if token = resp.GetNextPageToken(); token != "" {
				_, err := b.ListWorkItems(b.ctx, &pb.ListWorkItemsRequest{PageSize: 2, PageToken: token, Assignee: "sato"})
				if !errors.Is(err, page.ErrToken) {
					t.Errorf("a token of another query gives %v", err)
				}
			}
		}
		if len(seen) != 6 {
			t.Errorf("%d work items", len(seen))
		}
		acts := 0
		for token, n := "", 0; n == 0 || token != ""; n++ {
			resp := must(b.ListActivities(b.ctx, &pb.ListActivitiesRequest{WorkItemId: id, PageSize: 2, PageToken: token}))(t)
			acts += len(resp.GetActivities())
			token = resp.GetNextPageToken()
		}
		if acts != 5 {
			t.Errorf("%d activities", acts)
		}
		if _, err := b.ListActivities(b.ctx, &pb.ListActivitiesRequest{WorkItemId: party.NewID()}); !problem.Is(err, problem.ReasonNotFound) {
			t.Errorf("%v", err)
		}
		future := timestamppb.New(b.clock.Now().Add(time.Hour))
		_, err := b.LogActivity(b.ctx, &pb.LogActivityRequest{WorkItemId: id, Kind: pb.Activity_KIND_CALL, OccurredAt: future})
		if !problem.Is(err, problem.ReasonInvalidFields) {
			t.Errorf("%v", err)
		}
	})
}
