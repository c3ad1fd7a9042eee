package lead

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// captured is a lead through the door.
func (b *bench) captured(t *testing.T, mail, company, action string) *pb.Lead {
	t.Helper()
	l, err := b.server.CaptureLead(b.ctx(t.Context()), &pb.CaptureLeadRequest{
		Person:  &typev1.Person{Name: &typev1.PersonName{Full: "佐藤 花子"}, Mail: mail},
		Company: &typev1.Company{Name: company}, Touch: &typev1.Touch{Channel: "WEB_FORM", Action: action},
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCommandsThroughTheDoor(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		ctx := b.ctx(t.Context())
		l := b.captured(t, "hanako@example.co.jp", "株式会社タスキ", "web_visit")
		if l.GetState() != pb.Lead_STATE_MAL || l.GetEtag() != "1" || l.GetTouchCount() != 1 || len(l.GetScore().GetShares()) == 0 {
			t.Fatalf("%v", l)
		}
		if _, err := b.server.QualifyLead(ctx, &pb.QualifyLeadRequest{Id: l.GetId(), Etag: "7"}); err == nil {
			t.Error("a stale etag passes")
		}
		_, err := b.server.OverturnExclusion(ctx, &pb.OverturnExclusionRequest{Id: l.GetId(), Note: "x"})
		if !problem.Is(err, problem.ReasonIllegalTransition) {
			t.Errorf("%v", err)
		}
		if _, err := b.server.GetLead(ctx, &pb.GetLeadRequest{Id: party.NewID()}); !problem.Is(err, problem.ReasonNotFound) {
			t.Errorf("%v", err)
		}
		qualified, err := b.server.QualifyLead(ctx, &pb.QualifyLeadRequest{Id: l.GetId(), Etag: "1", Reason: "MET_AT_EVENT", Note: "急ぎ"})
		if err != nil || qualified.GetState() != pb.Lead_STATE_OFFERED || qualified.GetQualifyingAction() != "manual" ||
			qualified.GetNotes() != "急ぎ" || qualified.GetEtag() != "2" || qualified.GetHandoffId() == "" {
			t.Fatalf("%v %v", qualified, err)
		}
		history, err := b.server.ListLeadTransitions(ctx, &pb.ListLeadTransitionsRequest{Id: l.GetId()})
		var steps []string
		for _, step := range history.GetTransitions() {
			steps = append(steps, step.GetTo()+" by "+step.GetActor().GetId())
		}
		want := "CAPTURED by sato,MAL by screening,MQL by sato,OFFERED by sato"
		if err != nil || strings.Join(steps, ",") != want {
			t.Errorf("%v %v", steps, err)
		}
		if _, err := b.server.DisqualifyLead(ctx, &pb.DisqualifyLeadRequest{Id: l.GetId(), Reason: "X1"}); !problem.Is(err, problem.ReasonIllegalTransition) {
			t.Errorf("%v", err)
		}
	})
}

// Of many leads those that can be qualified are, and each other one says why not.
func TestQualifyMany(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		ctx := b.ctx(t.Context())
		var ids []string
		for i := range 3 {
			ids = append(ids, b.captured(t, fmt.Sprintf("hanako@many%d.example", i), fmt.Sprint("株式会社", i), "web_visit").GetId())
		}
		req := &pb.BatchQualifyLeadsRequest{Requests: []*pb.QualifyLeadRequest{
			{Id: ids[2], Note: "急ぎ"}, {Id: party.NewID()}, {Id: ids[1], Etag: "7"}, {Id: ids[0]},
		}}
		resp, err := b.server.BatchQualifyLeads(ctx, req)
		if err != nil || len(resp.GetOutcomes()) != 4 {
			t.Fatalf("%v %v", resp, err)
		}
		for i, want := range []problem.Reason{0, problem.ReasonNotFound, problem.ReasonEtagMismatch, 0} {
			o := resp.GetOutcomes()[i]
			if got := problem.ReasonOf(status.FromProto(o.GetError()).Err()); got != want {
				t.Errorf("outcome %d: %v, want %v", i, got, want)
			}
			if l := o.GetLead(); want == 0 && (l.GetId() != req.GetRequests()[i].GetId() || l.GetState() != pb.Lead_STATE_OFFERED || l.GetHandoffId() == "") {
				t.Errorf("outcome %d: %v", i, l)
			}
		}
		for i, want := range []State{Offered, MAL, Offered} {
			if got := b.read(t, ids[i]).State; got != want {
				t.Errorf("lead %d is %s, want %s", i, got, want)
			}
		}
		again, err := b.server.BatchQualifyLeads(ctx, req)
		if err != nil || problem.ReasonOf(status.FromProto(again.GetOutcomes()[0].GetError()).Err()) != problem.ReasonIllegalTransition {
			t.Errorf("again: %v %v", again, err)
		}
		req.Requests[1].Id = ids[2]
		if _, err := b.server.BatchQualifyLeads(ctx, req); !problem.Is(err, problem.ReasonInvalidFields) || !strings.Contains(err.Error(), "requests[1].id") {
			t.Errorf("one lead twice: %v", err)
		}
	})
}

func TestExclusionIsOverturned(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		ctx := b.ctx(t.Context())
		l := b.captured(t, "spy@rival.example", "ライバル社", "demo_request")
		other := b.captured(t, "spy2@rival.example", "ライバル社", "web_visit")
		b.rule(t, "rival.example")
		got, err := b.server.ScreenLead(ctx, &pb.ScreenLeadRequest{Id: other.GetId()})
		if err != nil || got.GetState() != pb.Lead_STATE_EXCLUDED || got.GetExclusion().GetKind() != pb.ExclusionRule_KIND_COMPETITOR {
			t.Fatalf("%v %v", got, err)
		}
		if _, err := b.server.ScreenLead(ctx, &pb.ScreenLeadRequest{Id: l.GetId()}); !problem.Is(err, problem.ReasonIllegalTransition) {
			t.Errorf("an offered lead is screened: %v", err)
		}
		got, err = b.server.OverturnExclusion(ctx, &pb.OverturnExclusionRequest{Id: other.GetId(), Note: "提携先"})
		if err != nil || got.GetState() != pb.Lead_STATE_MAL || !got.GetExclusion().GetOverturned() {
			t.Fatalf("%v %v", got, err)
		}
		if got, err = b.server.ScreenLead(ctx, &pb.ScreenLeadRequest{Id: other.GetId()}); err != nil || got.GetState() != pb.Lead_STATE_MAL {
			t.Errorf("%v %v", got, err)
		}
	})
}

func TestUpdate(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		ctx := b.ctx(t.Context())
		l := b.captured(t, "hanako@gmail.com", "", "demo_request")
		if l.GetState() != pb.Lead_STATE_MQL || !slices.Equal(l.GetMissing(), []string{"company.name"}) {
			t.Fatalf("%v", l)
		}
		other := b.captured(t, "taro@example.co.jp", "株式会社タスキ", "web_visit")
		_, err := b.server.UpdateLead(ctx, &pb.UpdateLeadRequest{Id: l.GetId(), Person: &typev1.Person{Mail: "Taro@example.co.jp"}})
		if e, ok := problem.Parse(err); !ok || e.Reason != problem.ReasonExists || e.Metadata["id"] != other.GetId() {
			t.Errorf("%v", err)
		}
		_, err = b.server.UpdateLead(ctx, &pb.UpdateLeadRequest{Id: l.GetId(), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"person.mail"}}})
		if !problem.Is(err, problem.ReasonInvalidFields) {
			t.Errorf("nobody can reach the person: %v", err)
		}

		got, err := b.server.UpdateLead(ctx, &pb.UpdateLeadRequest{
			Id: l.GetId(), Etag: l.GetEtag(), Person: &typev1.Person{Title: "取締役"}, Company: &typev1.Company{Name: "（株）タスキ", Employees: 120},
		})
		if err != nil || got.GetState() != pb.Lead_STATE_OFFERED || got.GetCompany().GetId() != other.GetCompany().GetId() ||
			got.GetCompany().GetEmployees() != 120 || got.GetPerson().GetMail() != "hanako@gmail.com" || len(got.GetMissing()) != 0 {
			t.Fatalf("%v %v", got, err)
		}
		if got := b.read(t, other.GetId()); got.Company.Employees != 120 {
			t.Errorf("the company is shared: %+v", got.Company)
		}

		got, err = b.server.UpdateLead(ctx, &pb.UpdateLeadRequest{
			Id: l.GetId(), Notes: "x", Person: &typev1.Person{Title: "not named"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"company.industry", "notes"}},
			Company: &typev1.Company{Industry: "IT"},
		})
		if err != nil || got.GetPerson().GetTitle() != "取締役" || got.GetCompany().GetIndustry() != "IT" || got.GetNotes() != "x" {
			t.Errorf("%v %v", got, err)
		}
		got, err = b.server.UpdateLead(ctx, &pb.UpdateLeadRequest{Id: l.GetId(), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"person.title"}}})
		if err != nil || got.GetPerson().GetTitle() != "" {
			t.Errorf("naming a field empties it: %v %v", got, err)
		}
		if n := b.count(t, "events WHERE type = 'tasuki.marketing.v1.LeadUpdated'"); n != 3 {
			t.Errorf("%d events", n)
		}
	})
}

func TestList(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		ctx := b.ctx(t.Context())
		var newestFirst []string
		for i := range 7 {
			l := b.captured(t, fmt.Sprintf("p%d@c%d.example", i, i%2), fmt.Sprintf("株式会社シー%d", i%2), []string{"web_visit", "demo_request"}[i%2])
			newestFirst = append([]string{l.GetId()}, newestFirst...)
		}
		var got []string
		req := &pb.ListLeadsRequest{PageSize: 3}
		for {
			page, err := b.server.ListLeads(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range page.GetLeads() {
				got = append(got, l.GetId())
			}
			b.captured(t, fmt.Sprintf("late%d@late.example", len(got)), "遅い", "web_visit") // comes between the pages
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if !slices.Equal(got, newestFirst) {
			t.Errorf("%v, want %v", got, newestFirst)
		}
		first, err := b.server.ListLeads(ctx, &pb.ListLeadsRequest{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.server.ListLeads(ctx, &pb.ListLeadsRequest{PageSize: 1, PageToken: first.GetNextPageToken(), Channel: "SEMINAR"})
		if err == nil || !strings.Contains(err.Error(), page.ErrToken.Error()) {
			t.Errorf("a token of another query passes: %v", err)
		}
		for name, c := range map[string]struct {
			req  *pb.ListLeadsRequest
			want int
		}{
			"state":   {&pb.ListLeadsRequest{States: []pb.Lead_State{pb.Lead_STATE_OFFERED, pb.Lead_STATE_SQL}}, 3},
			"mail":    {&pb.ListLeadsRequest{Mail: "P1@C1.example "}, 1},
			"domain":  {&pb.ListLeadsRequest{CompanyDomain: "www.c0.example"}, 4},
			"channel": {&pb.ListLeadsRequest{Channel: "WEB_FORM"}, 10},
			"none":    {&pb.ListLeadsRequest{Channel: "web_form"}, 0},
			"journey": {&pb.ListLeadsRequest{JourneyId: b.read(t, got[0]).JourneyID}, 1},
			"import":  {&pb.ListLeadsRequest{ImportId: party.NewID()}, 0},
			"q, mail": {&pb.ListLeadsRequest{Q: "P3@"}, 1},
			"q, name": {&pb.ListLeadsRequest{Q: "ｼｰ1"}, 3},
			"q, all":  {&pb.ListLeadsRequest{Q: "シー", States: []pb.Lead_State{pb.Lead_STATE_MAL}}, 4},
		} {
			list, err := b.server.ListLeads(ctx, c.req)
			if err != nil || len(list.GetLeads()) != c.want {
				t.Errorf("%s: %d leads, %v; want %d", name, len(list.GetLeads()), err, c.want)
			}
		}
		touches, err := b.server.ListLeadTouches(ctx, &pb.ListLeadTouchesRequest{Id: got[0]})
		if err != nil || len(touches.GetTouches()) != 1 || touches.GetTouches()[0].GetChannel() != "WEB_FORM" {
			t.Errorf("%v %v", touches, err)
		}
	})
}

// decide is what the engine calls when inside sales has decided.
func (b *bench) decide(t *testing.T, h *handoffv1.Handoff, reason *handoffv1.Reason) {
	t.Helper()
	_, err := store.Write(t.Context(), b.DB, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, b.OnDecision(t.Context(), tx, h, reason)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// follow is an event of another department.
func (b *bench) follow(t *testing.T, data proto.Message) {
	t.Helper()
	body, err := anypb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Write(t.Context(), b.DB, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, b.Follow(t.Context(), tx, &feedv1.Event{Id: party.NewID(), Data: body})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDecisions(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		ctx := b.ctx(t.Context())
		offered := func(n string) *pb.Lead { return b.captured(t, n+"@x.example", "株式会社"+n, "demo_request") }
		handoff := func(l *pb.Lead, state handoffv1.State, d *handoffv1.Decision) *handoffv1.Handoff {
			return &handoffv1.Handoff{Id: l.GetHandoffId(), SenderSubject: "lead/" + l.GetId(), State: state, Decision: d}
		}

		l := offered("accepted")
		b.decide(t, handoff(l, handoffv1.State_STATE_ACCEPTED, nil), nil)
		b.decide(t, handoff(l, handoffv1.State_STATE_FULFILLED, nil), nil)
		if got := b.read(t, l.GetId()); got.State != Accepted {
			t.Errorf("%+v", got)
		}

		l = offered("archived")
		archive := &handoffv1.Reason{Code: "COMPETITOR", Action: handoffv1.Reason_ACTION_ARCHIVE}
		b.decide(t, handoff(l, handoffv1.State_STATE_REJECTED, &handoffv1.Decision{Reason: "COMPETITOR"}), archive)
		if got := b.read(t, l.GetId()); got.State != Disqualified || got.LastReason != "COMPETITOR" {
			t.Errorf("%+v", got)
		}

		l = offered("recycled")
		recycle := &handoffv1.Reason{Code: "BAD_TIMING", Action: handoffv1.Reason_ACTION_RECYCLE, WakeAfterDays: 60}
		b.decide(t, handoff(l, handoffv1.State_STATE_REJECTED, &handoffv1.Decision{Reason: "BAD_TIMING", Note: "来期"}), recycle)
		got := b.read(t, l.GetId())
		if got.State != Recycled || got.RecycleCount != 1 || got.WakeAt == nil || !got.WakeAt.Equal(start.AddDate(0, 0, 60)) || got.Hot {
			t.Fatalf("%+v", got)
		}
		job := &jobs.Job[wakeArgs]{Args: wakeArgs{LeadID: l.GetId()}}
		if err := b.wake(t.Context(), job); err == nil {
			t.Error("woken too early")
		}
		b.clock.Advance(60 * 24 * time.Hour)
		if err := b.wake(t.Context(), job); err != nil || b.read(t, l.GetId()).State != Nurturing {
			t.Errorf("not woken: %v", err)
		}
		// A new demo request goes on in the same chain and says how often the lead came back.
		again := offered("recycled")
		last := b.offers.made[len(b.offers.made)-1]
		if again.GetId() != l.GetId() || again.GetState() != pb.Lead_STATE_OFFERED || again.GetHandoffId() == l.GetHandoffId() ||
			last.ChainID != l.GetHandoffId() || last.Payload.GetMql().GetRecycleCount() != 1 || last.Payload.GetMql().GetLastRecycleReason() != "BAD_TIMING" {
			t.Errorf("%v %+v", again, last)
		}
		b.decide(t, handoff(l, handoffv1.State_STATE_ACCEPTED, nil), nil) // of the first offer
		if got := b.read(t, l.GetId()); got.State != Offered {
			t.Errorf("an old decision changes it: %s", got.State)
		}

		l = offered("returned")
		b.decide(t, handoff(l, handoffv1.State_STATE_RETURNED, &handoffv1.Decision{Note: "業種は?", Missing: []string{"company.industry"}}), nil)
		if got := b.read(t, l.GetId()); got.State != MQL || !slices.Equal(got.Missing, []string{"company.industry"}) {
			t.Errorf("%+v", got)
		}
		if got := offered("returned"); got.GetState() != pb.Lead_STATE_MQL {
			t.Errorf("offered again without what is missing: %v", got)
		}
		updated, err := b.server.UpdateLead(ctx, &pb.UpdateLeadRequest{Id: l.GetId(), Company: &typev1.Company{Industry: "IT"}})
		if err != nil || updated.GetState() != pb.Lead_STATE_OFFERED {
			t.Errorf("%v %v", updated, err)
		}
	})
}

func TestFollow(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		offered := func(n string) *pb.Lead { return b.captured(t, n+"@x.example", "株式会社"+n, "demo_request") }
		state := func(l *pb.Lead) State { return b.read(t, l.GetId()).State }

		won := offered("won")
		verdict := &fieldsalesv1.MeetingVerdict{JourneyId: won.GetJourneyId(), MqlHandoffId: won.GetHandoffId(), Held: true}
		b.follow(t, verdict)
		if got := state(won); got != Offered {
			t.Errorf("a refused meeting moves the lead to %s", got)
		}
		verdict.Accepted = true
		b.follow(t, verdict)
		if got := state(won); got != SQL {
			t.Errorf("%s", got)
		}
		b.follow(t, &fieldsalesv1.OpportunityClosed{JourneyId: won.GetJourneyId(), Won: true})
		b.follow(t, &fieldsalesv1.OpportunityClosed{JourneyId: won.GetJourneyId(), Reason: "NO_BUDGET", Action: handoffv1.Reason_ACTION_RECYCLE})
		if got := state(won); got != Customer {
			t.Errorf("%s", got)
		}

		lost := offered("lost")
		wake := timestamppb.New(start.AddDate(0, 3, 0))
		b.follow(t, &fieldsalesv1.OpportunityClosed{JourneyId: lost.GetJourneyId(), Reason: "NO_BUDGET", Action: handoffv1.Reason_ACTION_RECYCLE, WakeAt: wake})
		if got := b.read(t, lost.GetId()); got.State != Recycled || !got.WakeAt.Equal(wake.AsTime()) {
			t.Errorf("%+v", got)
		}

		recycled := offered("recycled")
		b.follow(t, &insidesalesv1.LeadRecycled{JourneyId: recycled.GetJourneyId(), MqlHandoffId: party.NewID(), Reason: "NO_RESPONSE"})
		if got := state(recycled); got != Offered {
			t.Errorf("an event of another offer moves the lead to %s", got)
		}
		b.follow(t, &insidesalesv1.LeadRecycled{JourneyId: recycled.GetJourneyId(), MqlHandoffId: recycled.GetHandoffId(), Reason: "NO_RESPONSE", WakeAt: wake})
		if got := state(recycled); got != Recycled {
			t.Errorf("%s", got)
		}

		away := offered("away")
		b.follow(t, &insidesalesv1.LeadDisqualified{JourneyId: away.GetJourneyId(), Reason: "INVALID_CONTACT"})
		if got := state(away); got != Disqualified {
			t.Errorf("%s", got)
		}
		b.follow(t, &insidesalesv1.LeadDisqualified{JourneyId: party.NewID(), Reason: "INVALID_CONTACT"}) // not one of ours
	})
}

func TestCaptureRefuses(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		for name, p := range map[string]*typev1.Person{
			"person.mail":  {Mail: "sato@example"},
			"person.phone": {Phone: "なし"},
		} {
			_, err := b.server.CaptureLead(context.Background(), &pb.CaptureLeadRequest{Person: p})
			if e, ok := problem.Parse(err); !ok || len(e.Violations) != 1 || e.Violations[0].Field != name || e.Violations[0].DescriptionJa == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
