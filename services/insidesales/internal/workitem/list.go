package workitem

import (
	"context"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Filter says which work items to list; what is empty does not matter.
type Filter struct {
	States                           []State
	Assignee, Queue, JourneyID, Mail string
	// OverdueAt keeps those that are not at an end and whose next action lies before it.
	OverdueAt *time.Time
}

// List reads at most limit work items, newest first.
func (s *Store) List(ctx context.Context, tx store.Tx, f Filter, after *page.After, limit int) ([]*WorkItem, error) {
	var w store.Where
	for _, eq := range []struct{ column, value string }{
		{"assignee", f.Assignee}, {"queue", f.Queue}, {"journey_id", f.JourneyID}, {"mail", f.Mail},
	} {
		if eq.value != "" {
			w.And(eq.column+" = ?", eq.value)
		}
	}
	states := make([]string, len(f.States))
	for i, state := range f.States {
		states[i] = string(state)
	}
	w.In(tx.Dialect(), "state", states)
	if f.OverdueAt != nil { // what is at an end has no next action
		w.And("next_action_at < ?", *f.OverdueAt)
	}
	if after != nil {
		w.And("(created_at, id) < (?, ?)", after.At, after.ID)
	}
	sql, args := w.Select(selected, `ORDER BY created_at DESC, id DESC LIMIT ?`, limit)
	rows, err := store.Select[row](ctx, tx, sql, args...)
	if err != nil {
		return nil, err
	}
	out := make([]*WorkItem, len(rows))
	for i, r := range rows {
		out[i] = r.item()
	}
	return out, nil
}
