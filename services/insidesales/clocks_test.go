package insidesales_test

import (
	"slices"
	"testing"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/insidesales"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
)

// A lead that its rep leaves lying is taken from the rep, told to the team lead, and given back by the policy: at both desks
// and on the work item. Marketing can offer it again.
func TestClockRunsOutUntilTheLeadGoesBack(t *testing.T) {
	departmenttest.Engines(t, insidesales.Definition, func(t *testing.T, db departmenttest.Database) {
		clock := &departmenttest.Clock{}
		h := buildAt(t, clock, true, db)
		desk, ctx := handoffv1.NewHandoffDeskServiceClient(h.Conn), h.As(t, "sato", access.RoleInsideSales)
		departmenttest.Hurry(t, h.House, h.Conn, "MQL", func(p *handoffv1.Policy) {
			p.Steps = slices.Insert(p.GetSteps(), 2, &handoffv1.PolicyStep{
				Clock: handoffv1.Clock_CLOCK_ACCEPT, Step: handoffv1.BreachStep_BREACH_STEP_EXPIRE,
			})
		})
		var mql *handoffv1.Handoff
		var item *pb.WorkItem
		clock.Behind(func() {
			mql, item = h.offer(t)
			if _, err := desk.AssignHandoff(ctx, &handoffv1.AssignHandoffRequest{Id: mql.GetId(), Assignee: "suzuki"}); err != nil {
				t.Fatal(err)
			}
		})
		taken := departmenttest.WaitFor(t, h.House, h.Conn, func(e *handoffv1.HandoffBreached) bool { return e.GetHandoff().GetId() == mql.GetId() })
		if taken.GetStep() != handoffv1.BreachStep_BREACH_STEP_REASSIGN || taken.GetPreviousAssignee() != "suzuki" {
			t.Errorf("the first step is %v", taken)
		}
		w := h.arrived(t, item.GetId(), pb.WorkItem_STATE_RETURNED)
		if w.GetReason() != "EXPIRED" || w.GetAssignee() != "" {
			t.Errorf("the work item has reason %q and assignee %q", w.GetReason(), w.GetAssignee())
		}
		var went []string
		for _, tr := range w.GetTransitions() {
			went = append(went, tr.GetTo())
		}
		if want := []string{"NEW", "ASSIGNED", "NEW", "RETURNED"}; !slices.Equal(went, want) {
			t.Errorf("the work item went %v, want %v", went, want)
		}
		got, err := desk.GetHandoff(ctx, &handoffv1.GetHandoffRequest{Id: mql.GetId()})
		if err != nil || got.GetHandoff().GetState() != handoffv1.State_STATE_EXPIRED {
			t.Fatalf("the handoff is %s: %v", got.GetHandoff().GetState(), err)
		}
		var steps []handoffv1.BreachStep
		for _, b := range got.GetBreaches() {
			steps = append(steps, b.GetStep())
		}
		if want := []handoffv1.BreachStep{
			handoffv1.BreachStep_BREACH_STEP_REASSIGN, handoffv1.BreachStep_BREACH_STEP_ESCALATE, handoffv1.BreachStep_BREACH_STEP_EXPIRE,
		}; !slices.Equal(steps, want) || !slices.Equal(got.GetBreaches()[1].GetEscalatedTo(), []string{"inside-sales/lead"}) {
			t.Errorf("the receiver's desk shows %v", got.GetBreaches())
		}
		if theirs := h.decisions.Await(t, mql.GetId(), handoffv1.State_STATE_EXPIRED); theirs.GetBreaches() != 3 {
			t.Errorf("the sender knows of %d breaches, want 3", theirs.GetBreaches())
		}

		sender := handoffv1.NewHandoffDeskServiceClient(h.marketing.Conn)
		if _, err := sender.ResubmitHandoff(h.As(t, "mori", access.RoleMarketing), &handoffv1.ResubmitHandoffRequest{Id: mql.GetId()}); err != nil {
			t.Fatal(err)
		}
		departmenttest.WaitFor(t, h.House, h.Conn, func(e *handoffv1.HandoffReceived) bool {
			return e.GetHandoff().GetId() == mql.GetId() && e.GetHandoff().GetAttempt() == 2
		})
		if w := h.get(t, item.GetId()); w.GetState() != pb.WorkItem_STATE_NEW {
			t.Errorf("offered again, the work item is %s", w.GetState())
		}
	})
}
