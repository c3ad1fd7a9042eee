package handoff

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// remindNow reminds of gaps, as the job does.
func (d *department) remindNow(id string, number int64, at time.Time) (again bool) {
	return d.engine.remind(d.t.Context(), &jobs.Job[remindArgs]{Args: remindArgs{HandoffID: id, Number: number, At: at}}) != nil
}

func TestGaps(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 9, 0))
		sender, receiver := worldAt(t, engine, now, func(_, _ *department, k *KindConfig) {
			k.Kind, k.Required, k.Floor = handoffv1.Kind_KIND_CLOSED_WON, nil, nil
		})
		id := sender.offer(func(o *NewOffer) {
			o.Kind, o.Payload = handoffv1.Kind_KIND_CLOSED_WON, full()[handoffv1.Kind_KIND_CLOSED_WON]
			o.Payload.GetClosedWon().Purpose, o.Payload.GetClosedWon().Issues = "", ""
		}).GetId()
		receiver.waitState(id, Offered)
		ctx := as(t, "sato")
		if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id, WithGaps: true}); err != nil {
			t.Fatal(err)
		}
		first, err := receiver.desk.ListGaps(ctx, &handoffv1.ListGapsRequest{Id: id, PageSize: 1})
		if err != nil || len(first.GetGaps()) != 1 || first.GetGaps()[0].GetPath() != "issues" || !first.GetGaps()[0].GetDueAt().AsTime().Equal(tokyo(10, 18, 0)) {
			t.Fatal(first, err)
		}
		second, err := receiver.desk.ListGaps(ctx, &handoffv1.ListGapsRequest{Id: id, PageSize: 1, PageToken: first.GetNextPageToken()})
		if err != nil || len(second.GetGaps()) != 1 || second.GetGaps()[0].GetPath() != "purpose" || second.GetNextPageToken() != "" {
			t.Fatal(second, err)
		}
		for range 2 { // the second time does nothing
			g, err := receiver.desk.CloseGap(ctx, &handoffv1.CloseGapRequest{Id: id, Path: "issues", Note: "残業が多い"})
			if err != nil || g.GetClosedAt() == nil || g.GetClosedBy().GetId() != "sato" || g.GetNote() != "残業が多い" {
				t.Fatal(g, err)
			}
			ctx = as(t, "sato")
		}
		if n := receiver.told("HandoffGapClosed"); n != 1 {
			t.Errorf("%d gaps were told to be closed", n)
		}
		_, err = receiver.desk.CloseGap(ctx, &handoffv1.CloseGapRequest{Id: id, Path: "nothing", Note: "x"})
		if problem.ReasonOf(err) != problem.ReasonNotFound {
			t.Errorf("closing what is no gap gives %v", err)
		}

		if !receiver.remindNow(id, 0, tokyo(10, 18, 0)) || receiver.told("HandoffGapsDue") != 0 {
			t.Error("a reminder before the due time")
		}
		now.Set(tokyo(10, 18, 0))
		for range 2 {
			if receiver.remindNow(id, 0, tokyo(10, 18, 0)) {
				t.Error("the reminder did not end")
			}
		}
		if n := receiver.told("HandoffGapsDue"); n != 1 {
			t.Errorf("%d reminders, want 1", n)
		}
		now.Set(tokyo(13, 18, 0))
		receiver.remindNow(id, 1, tokyo(13, 18, 0))
		open, err := receiver.desk.ListGaps(ctx, &handoffv1.ListGapsRequest{Id: id, Open: true})
		if err != nil || len(open.GetGaps()) != 1 || open.GetGaps()[0].GetReminders() != 2 {
			t.Errorf("open are %v, %v", open, err)
		}
		if _, err := receiver.desk.CloseGap(ctx, &handoffv1.CloseGapRequest{Id: id, Path: "purpose", Note: "DX"}); err != nil {
			t.Fatal(err)
		}
		receiver.remindNow(id, 2, tokyo(14, 18, 0))
		if n := receiver.told("HandoffGapsDue"); n != 2 {
			t.Errorf("%d reminders, want 2", n)
		}
	})
}

func TestReasonsUpkeep(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		_, receiver := world(t, engine, nil)
		ctx := as(t, "admin")
		reason := &handoffv1.Reason{
			Code: "ON_HOLIDAY", Kind: handoffv1.Kind_KIND_MQL, Label: &typev1.Label{Ja: "休暇中", En: "On holiday"},
			Action: handoffv1.Reason_ACTION_RECYCLE, WakeAfterDays: 14,
		}
		if got, err := receiver.desk.CreateReason(ctx, &handoffv1.CreateReasonRequest{Reason: reason}); err != nil || !proto.Equal(got, reason) {
			t.Fatal(got, err)
		}
		if _, err := receiver.desk.CreateReason(ctx, &handoffv1.CreateReasonRequest{Reason: reason}); problem.ReasonOf(err) != problem.ReasonExists {
			t.Errorf("creating it again gives %v", err)
		}
		reason.WakeAfterDays = 30
		update := &handoffv1.UpdateReasonRequest{Kind: reason.Kind, Code: reason.Code, Reason: reason}
		if _, err := receiver.desk.UpdateReason(ctx, update); err != nil {
			t.Fatal(err)
		}
		list, err := receiver.desk.ListReasons(ctx, &handoffv1.ListReasonsRequest{Kind: handoffv1.Kind_KIND_MQL})
		if err != nil || !slices.ContainsFunc(list.GetReasons(), func(r *handoffv1.Reason) bool { return proto.Equal(r, reason) }) {
			t.Errorf("%v, %v", list, err)
		}
		update.Code, reason.Code = "NEVER_SEEN", "NEVER_SEEN"
		if _, err := receiver.desk.UpdateReason(ctx, update); problem.ReasonOf(err) != problem.ReasonNotFound {
			t.Errorf("updating what is not there gives %v", err)
		}
		for _, change := range []func(r *handoffv1.Reason){
			func(r *handoffv1.Reason) { r.Label.En = "" },
			func(r *handoffv1.Reason) { r.Action = handoffv1.Reason_ACTION_ARCHIVE },
			func(r *handoffv1.Reason) { r.Action = handoffv1.Reason_ACTION_UNSPECIFIED },
			func(r *handoffv1.Reason) { r.Kind = handoffv1.Kind_KIND_CLOSED_WON },
			func(r *handoffv1.Reason) { r.Kind = handoffv1.Kind_KIND_UNSPECIFIED },
		} {
			bad := proto.CloneOf(reason)
			change(bad)
			if _, err := receiver.desk.CreateReason(ctx, &handoffv1.CreateReasonRequest{Reason: bad}); problem.ReasonOf(err) != problem.ReasonInvalidFields {
				t.Errorf("%v gives %v", bad, err)
			}
		}
	})
}

func TestPoliciesUpkeep(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := worldAt(t, engine, testkit.NewClock(tokyo(6, 9, 0)), nil)
		ctx := as(t, "admin")
		all, err := receiver.desk.ListPolicies(ctx, &handoffv1.ListPoliciesRequest{})
		if err != nil || len(all.GetPolicies()) != 5 || all.GetPolicies()[0].GetCode() != "CLOSED_WON" {
			t.Fatal(all, err)
		}
		p, err := receiver.desk.GetPolicy(ctx, &handoffv1.GetPolicyRequest{Code: "MQL_HOT"})
		if err != nil || p.GetAcceptWithinMinutes() != 60 || p.GetFirstActionWithinMinutes() != 5 || !p.GetHot() || p.GetCalendarZone() != "Asia/Tokyo" || len(p.GetSteps()) != 3 {
			t.Fatal(p, err)
		}
		p.AcceptWithinMinutes = 30
		p.Steps = append(p.Steps[:2], &handoffv1.PolicyStep{Clock: handoffv1.Clock_CLOCK_ACCEPT, AfterMinutes: 30, Step: handoffv1.BreachStep_BREACH_STEP_EXPIRE})
		got, err := receiver.desk.UpdatePolicy(ctx, &handoffv1.UpdatePolicyRequest{Policy: p})
		if err != nil || got.GetEtag() == p.GetEtag() || got.GetAcceptWithinMinutes() != 30 || len(got.GetSteps()) != 3 {
			t.Fatal(got, err)
		}
		if _, err := receiver.desk.UpdatePolicy(ctx, &handoffv1.UpdatePolicyRequest{Policy: p}); problem.ReasonOf(err) != problem.ReasonEtagMismatch {
			t.Errorf("a stale etag gives %v", err)
		}
		id := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Hot = true }).GetId()
		if h := receiver.waitState(id, Offered); !h.GetAcceptDueAt().AsTime().Equal(tokyo(6, 9, 30)) {
			t.Errorf("due at %s by the new policy", h.GetAcceptDueAt().AsTime())
		}
		for _, change := range []func(p *handoffv1.Policy){
			func(p *handoffv1.Policy) { p.Calendar = "nowhere" },
			func(p *handoffv1.Policy) { p.Hot = false },
			func(p *handoffv1.Policy) { p.Kind = handoffv1.Kind_KIND_CSQL },
			func(p *handoffv1.Policy) { p.Steps[2].Clock = handoffv1.Clock_CLOCK_FIRST_ACTION },
			func(p *handoffv1.Policy) { p.Steps[1].EscalateTo = nil },
			func(p *handoffv1.Policy) { p.Steps[1].AfterMinutes = 60 },
		} {
			bad := proto.CloneOf(got)
			change(bad)
			if _, err := receiver.desk.UpdatePolicy(ctx, &handoffv1.UpdatePolicyRequest{Policy: bad}); problem.ReasonOf(err) != problem.ReasonInvalidFields {
				t.Errorf("%v gives %v", bad, err)
			}
		}
		if _, err := receiver.desk.GetPolicy(ctx, &handoffv1.GetPolicyRequest{Code: "NEVER_SEEN"}); problem.ReasonOf(err) != problem.ReasonNotFound {
			t.Errorf("a policy that is not there gives %v", err)
		}
	})
}

func TestQueues(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		_, receiver := world(t, engine, nil)
		ctx := as(t, "admin")
		for _, code := range []string{"sdr", "bdr"} {
			q := &handoffv1.Queue{Code: code, Label: &typev1.Label{Ja: "担当", En: "Desk"}, Kind: handoffv1.Kind_KIND_MQL}
			if got, err := receiver.desk.CreateQueue(ctx, &handoffv1.CreateQueueRequest{Queue: q}); err != nil || !proto.Equal(got, q) {
				t.Fatal(got, err)
			}
			if _, err := receiver.desk.CreateQueue(ctx, &handoffv1.CreateQueueRequest{Queue: q}); problem.ReasonOf(err) != problem.ReasonExists {
				t.Errorf("creating it again gives %v", err)
			}
		}
		list, err := receiver.desk.ListQueues(ctx, &handoffv1.ListQueuesRequest{PageSize: 1})
		if err != nil || len(list.GetQueues()) != 1 || list.GetQueues()[0].GetCode() != "bdr" || list.GetQueues()[0].GetKind() != handoffv1.Kind_KIND_MQL || list.GetNextPageToken() == "" {
			t.Errorf("%v, %v", list, err)
		}
	})
}
