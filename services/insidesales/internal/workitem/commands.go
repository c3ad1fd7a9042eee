package workitem

import (
	"time"

	"github.com/tasuki-project/tasuki/services/insidesales/internal/activity"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Create makes a work item NEW. The caller has filled in what it is about.
func Create(w WorkItem, actor access.Actor, now time.Time) *WorkItem {
	w.State, w.Version, w.EnteredAt, w.CreatedAt, w.UpdatedAt = New, 1, now, now, now
	if w.Queue == "" {
		w.Queue = QueueSDR
		if w.Source == SelfGenerated {
			w.Queue = QueueBDR
		}
	}
	w.record(Fact{Kind: FactCreated, Transition: Transition{To: New, At: now, Actor: actor}})
	return &w
}

func (w *WorkItem) changed(now time.Time) {
	w.Version++
	w.UpdatedAt = now
}

// move follows an arrow of the machine. The reason stays on the work item until the next one.
func (w *WorkItem) move(c Command, actor access.Actor, reason, note string, now time.Time) error {
	to, err := w.next(c)
	if err != nil {
		return err
	}
	t := Transition{From: w.State, To: to, At: now, Actor: actor, Reason: reason, Note: note, InFrom: now.Sub(w.EnteredAt)}
	if t.InFrom < 0 { // the clock was set back
		t.InFrom = 0
	}
	w.State, w.EnteredAt = to, now
	if reason != "" {
		w.Reason, w.ReasonNote = reason, note
	}
	if w.State.Ended() || w.State == Returned {
		w.NextActionAt = nil
	}
	w.changed(now)
	w.record(Fact{Kind: FactMoved, Transition: t})
	return nil
}

func (w *WorkItem) hold(assignee string, now time.Time) {
	if w.Assignee == assignee {
		return
	}
	previous := w.Assignee
	w.Assignee = assignee
	w.changed(now)
	w.record(Fact{Kind: FactAssigned, Previous: previous})
}

// AssignTo puts the work item into somebody's hands; empty puts it back into the queue, until it is accepted.
func (w *WorkItem) AssignTo(assignee string, actor access.Actor, now time.Time) error {
	switch {
	case w.State.Ended() || w.State == Returned:
		return w.illegal(string(Assign))
	case w.Assignee == assignee:
		return nil
	case assignee == "" && !w.State.Undecided():
		return problem.GuardNotMet(string(Assign), "assignee")
	}
	w.hold(assignee, now)
	switch {
	case w.State == New:
		return w.move(Assign, actor, "", "", now)
	case w.State == Assigned && assignee == "":
		return w.move(Unassign, actor, "", "", now)
	}
	return nil
}

// AcceptBy takes the work item; assignee is who will work on it.
func (w *WorkItem) AcceptBy(assignee string, actor access.Actor, note string, now time.Time) error {
	if _, err := w.next(Accept); err != nil {
		return err
	}
	w.hold(assignee, now)
	return w.move(Accept, actor, "", note, now)
}

// Close is the end by the handoff: c is Reject, Return or TakeBack.
func (w *WorkItem) Close(c Command, actor access.Actor, reason, note string, wakeAt *time.Time, now time.Time) error {
	if _, err := w.next(c); err != nil {
		return err
	}
	w.WakeAt = wakeAt
	return w.move(c, actor, reason, note, now)
}

// OfferAgain takes in the next attempt of the handoff. The caller has filled in what it says now.
func (w *WorkItem) OfferAgain(actor access.Actor, now time.Time) error {
	if _, err := w.next(Reoffer); err != nil {
		return err
	}
	w.hold("", now)
	w.WakeAt = nil
	return w.move(Reoffer, actor, "", "", now)
}

// Log takes in an activity. first tells whether it was the first touch, which fulfils the handoff. A nil nextActionAt
// takes away the next action that stands, unless the activity is a note.
func (w *WorkItem) Log(a activity.Activity, nextActionAt *time.Time, now time.Time) (first bool, err error) {
	if w.State.Ended() || w.State == Returned || w.State.Undecided() && a.Touches() && w.Source == MQL {
		return false, w.illegal(logActivity)
	}
	if w.LastActivityAt == nil || a.OccurredAt.After(*w.LastActivityAt) {
		w.LastActivityAt = &a.OccurredAt
	}
	if nextActionAt != nil || a.Kind != activity.Note {
		w.NextActionAt = nextActionAt
	}
	w.changed(now)
	first = a.Touches() && (w.State == Accepted || w.State.Undecided())
	w.record(Fact{Kind: FactActivity, Activity: a, FirstTouch: first})
	if w.State.Undecided() && a.Touches() { // self-generated: nobody else has to decide
		assignee := w.Assignee
		if assignee == "" {
			assignee = a.Actor.ID
		}
		if err := w.AcceptBy(assignee, a.Actor, "", now); err != nil {
			return false, err
		}
	}
	if first {
		if err := w.move(Touch, a.Actor, "", "", now); err != nil {
			return false, err
		}
	}
	if w.State == Working && a.Reaches() {
		return first, w.move(Reach, a.Actor, "", "", now)
	}
	return first, nil
}

// QualifyWith takes in the answers, laid over earlier ones.
func (w *WorkItem) QualifyWith(answers Answers, actor access.Actor, note string, now time.Time) error {
	if _, err := w.next(Qualify); err != nil {
		return err
	}
	all := w.Answers.With(answers)
	if missing := all.Missing(); len(missing) > 0 {
		return problem.GuardNotMet(string(Qualify), missing...)
	}
	w.Answers = all
	return w.move(Qualify, actor, "", note, now)
}

// CanOfferMeeting fails when a meeting cannot be offered now.
func (w *WorkItem) CanOfferMeeting() error {
	_, err := w.next(OfferMeeting)
	return err
}

// MeetingIsOffered notes the handoff that offers the meeting.
func (w *WorkItem) MeetingIsOffered(handoffID string, actor access.Actor, now time.Time) error {
	if err := w.CanOfferMeeting(); err != nil {
		return err
	}
	w.MeetingHandoffID = handoffID
	return w.move(OfferMeeting, actor, "", "", now)
}

// MeetingIsOfferedAgain notes that the last meeting is on offer again, completed.
func (w *WorkItem) MeetingIsOfferedAgain(actor access.Actor, now time.Time) error {
	return w.move(ReofferMeeting, actor, "", "", now)
}

// MeetingIsDecided takes in what field sales decided: accepted hands the work item over, else it is WORKING again. What
// comes too late, or for another state, changes nothing.
func (w *WorkItem) MeetingIsDecided(accepted bool, actor access.Actor, reason, note string, now time.Time) error {
	c := RefuseMeeting
	if accepted {
		c = HandOver
	}
	if !w.can(c) {
		return nil
	}
	return w.move(c, actor, reason, note, now)
}

// Verdict is what a reason of kind MQL says of itself.
type Verdict struct {
	Code string
	// Recycles and Archives are what the reason is meant for.
	Recycles, Archives bool
	// WakeAfter is the reason's own delay; zero means at once.
	WakeAfter time.Duration
}

// RecycleFor gives the prospect back to marketing until wakeAt, or as long as the reason says.
func (w *WorkItem) RecycleFor(v Verdict, actor access.Actor, note string, wakeAt *time.Time, now time.Time) error {
	if _, err := w.next(Recycle); err != nil {
		return err
	}
	var missing []string
	if !v.Recycles && note == "" {
		missing = append(missing, "note")
	}
	if !v.Recycles && wakeAt == nil {
		missing = append(missing, "wake_at")
	}
	if len(missing) > 0 {
		return problem.GuardNotMet(string(Recycle), missing...)
	}
	if wakeAt == nil {
		t := now.Add(v.WakeAfter)
		wakeAt = &t
	}
	if wakeAt.Before(now) {
		return problem.Invalid(problem.Field("wake_at", "must not lie in the past").Ja("過去の日時は指定できません。"))
	}
	w.WakeAt = wakeAt
	return w.move(Recycle, actor, v.Code, note, now)
}

// DisqualifyFor puts the prospect away for good.
func (w *WorkItem) DisqualifyFor(v Verdict, actor access.Actor, note string, now time.Time) error {
	if _, err := w.next(Disqualify); err != nil {
		return err
	}
	if !v.Archives && note == "" {
		return problem.GuardNotMet(string(Disqualify), "note")
	}
	w.WakeAt = nil
	return w.move(Disqualify, actor, v.Code, note, now)
}

// OpportunityIs notes the opportunity that field sales made of it.
func (w *WorkItem) OpportunityIs(id string, now time.Time) {
	if id == "" || w.OpportunityID == id {
		return
	}
	w.OpportunityID = id
	w.changed(now)
	w.record(Fact{Kind: FactOutcome})
}

// OutcomeIs notes what became of the opportunity; the last word counts, because lost ones can be reopened.
func (w *WorkItem) OutcomeIs(o Outcome, reason string, now time.Time) {
	if w.Outcome == o && w.OutcomeReason == reason {
		return
	}
	w.Outcome, w.OutcomeReason = o, reason
	w.changed(now)
	w.record(Fact{Kind: FactOutcome})
}
