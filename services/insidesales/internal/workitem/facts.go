package workitem

import (
	"github.com/tasuki-project/tasuki/services/insidesales/internal/activity"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
)

// FactKind is what kind of thing happened.
type FactKind int

// The kinds of facts.
const (
	FactCreated FactKind = iota + 1
	FactMoved
	FactAssigned
	FactActivity
	FactOutcome
)

// Fact is something that happened to a work item since it was read, for its history and the feed.
type Fact struct {
	Kind FactKind
	// After is the work item right after it.
	After WorkItem
	// Transition is set when the state changed or began.
	Transition Transition
	// Previous is who had it before, when the assignee changed.
	Previous string
	// Activity is what was recorded; FirstTouch tells whether it fulfils the handoff.
	Activity   activity.Activity
	FirstTouch bool
}

// Transition is one change of state.
type Transition = history.Transition[State]

func (w *WorkItem) record(f Fact) {
	f.After = *w
	f.After.facts = nil
	w.facts = append(w.facts, f)
}

// takeFacts gives what happened since it was last called.
func (w *WorkItem) takeFacts() []Fact {
	facts := w.facts
	w.facts = nil
	return facts
}
