package opportunity

import (
	"slices"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Lose closes the deal. An empty competitor keeps the one that is in play; a nil wakeAt takes the reason's own default.
func (o *Opportunity) Lose(reason pipeline.Reason, competitor, note string, wakeAt *time.Time, actor access.Actor, now time.Time) error {
	to, err := o.next(CloseLost)
	if err != nil {
		return err
	}
	wake := reason.WakeAt(now)
	if wakeAt != nil {
		if reason.Action != pipeline.Recycle {
			return problem.Invalid(problem.Field("wake_at", "the reason does not bring the lead back: leave it out").
				Ja("この理由ではリードは戻りません。指定しないでください。"))
		}
		if err := inTheFuture("wake_at", *wakeAt, now); err != nil {
			return err
		}
		wake = wakeAt
	}
	if competitor == "" {
		competitor = o.Competitor
	}
	from := o.place()
	o.Loss = Loss{Reason: reason.Code, Action: string(reason.Action), To: competitor, Note: note, WakeAt: wake}
	o.Next = NextAction{}
	o.close(to, from, reason.Code, note, actor, now)
	return nil
}

// MissingToWin names what keeps the deal from being won, besides its contract and handover document.
func (o *Opportunity) MissingToWin(stages pipeline.Stages) ([]problem.Violation, error) {
	if err := o.Check(CloseWon); err != nil {
		return nil, err
	}
	if stage, ok := stages.Get(o.Stage); ok && stage.CanWin {
		return nil, nil
	}
	winning := strings.Join(stages.Winning(), ", ")
	return []problem.Violation{problem.Field("stage", "the deal stands in "+o.Stage+": move it to "+winning+" first").
		Ja("ステージが " + winning + " の商談だけを受注にできます。")}, nil
}

// Win closes the deal. Its conditions have been checked, and the customer is handed over by the given handoff.
func (o *Opportunity) Win(handoffID string, actor access.Actor, now time.Time) error {
	to, err := o.next(CloseWon)
	if err != nil {
		return err
	}
	from := o.place()
	o.Handover = Handover{ID: handoffID, State: "OFFERED"}
	o.Next = NextAction{}
	o.close(to, from, "", "", actor, now)
	return nil
}

func (o *Opportunity) close(to State, from Place, reason, note string, actor access.Actor, now time.Time) {
	o.State, o.HoldUntil, o.ClosedAt = to, nil, &now
	o.CycleDays = int32(max(now.Sub(o.CreatedAt), 0) / (24 * time.Hour))
	o.moved(FactClosed, from, actor, reason, note, now)
}

// HandoverBecame takes in how far the handover has come.
func (o *Opportunity) HandoverBecame(state string, missing []string, now time.Time) {
	var changed []string
	set(&changed, "handover_state", &o.Handover.State, &state)
	if !slices.Equal(o.Handover.Missing, missing) {
		o.Handover.Missing = missing
		changed = append(changed, "handover_missing")
	}
	o.updated(changed, now)
}

// FirstAction tells, once, that what was just done is the first action that the source handoff obliges to.
func (o *Opportunity) FirstAction() bool {
	if o.SourceHandoffID == "" || o.SourceFulfilled {
		return false
	}
	o.SourceFulfilled = true
	return true
}
