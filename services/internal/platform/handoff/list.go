package handoff

import (
	"slices"
	"strings"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// A ledger has indexes in the order of the lists below a side and a state, a side and a kind, a queue, and an assignee. What
// asks for several sides, states or kinds is the newest of several such stretches, so that no list reads the whole ledger.

// filter are the conditions of a list that hold in all of its stretches.
func (d *desk) filter(req *handoffv1.ListHandoffsRequest) *store.Where {
	w := &store.Where{}
	if narrow(req) {
		side := "side"
		if req.GetOverdue() {
			side = "(side || '')" // no index: SQLite would read the whole box in the order of the list, where few are overdue
		}
		if sides := sidesOf(req.GetBox()); len(sides) == 1 {
			w.And(side+" = ?", string(sides[0]))
		}
		states := make([]string, len(req.GetStates()))
		for i, s := range req.GetStates() {
			states[i] = string(stateOf(s))
		}
		w.In(d.e.cfg.DB.Dialect(), "state", states)
	}
	if req.GetKind() != handoffv1.Kind_KIND_UNSPECIFIED {
		w.And("kind = ?", kindName(req.GetKind()))
	}
	for _, f := range [][2]string{{"queue", req.GetQueue()}, {"assignee", req.GetAssignee()}, {"journey_id", req.GetJourneyId()}} {
		if f[1] != "" {
			w.And(f[0]+" = ?", f[1])
		}
	}
	if req.GetOverdue() {
		now := d.e.cfg.Clock.Now()
		w.And("state = 'OFFERED' AND accept_due_at < ? OR state = 'ACCEPTED' AND first_action_due_at < ?", now, now)
	}
	return w
}

// narrow tells whether a filter has an index of its own.
func narrow(req *handoffv1.ListHandoffsRequest) bool {
	return req.GetQueue() != "" || req.GetAssignee() != "" || req.GetJourneyId() != "" || req.GetOverdue()
}

func sidesOf(box handoffv1.Box) []Side {
	switch box {
	case handoffv1.Box_BOX_INBOX:
		return []Side{In}
	case handoffv1.Box_BOX_OUTBOX:
		return []Side{Out}
	}
	return []Side{In, Out}
}

// stretches are what a list is put together from; none means that the filter does without.
func stretches(req *handoffv1.ListHandoffsRequest) []string {
	if narrow(req) {
		return nil
	}
	var below []string
	for _, s := range req.GetStates() {
		below = append(below, "state = '"+string(stateOf(s))+"'")
	}
	if below == nil {
		for k := range handoffv1.Kind_name {
			kind := handoffv1.Kind(k)
			if kind != handoffv1.Kind_KIND_UNSPECIFIED && (req.GetKind() == handoffv1.Kind_KIND_UNSPECIFIED || req.GetKind() == kind) {
				below = append(below, "kind = '"+kindName(kind)+"'")
			}
		}
	}
	slices.Sort(below)
	var out []string
	for _, side := range sidesOf(req.GetBox()) {
		for _, condition := range slices.Compact(below) {
			out = append(out, "side = '"+string(side)+"' AND "+condition)
		}
	}
	return out
}

// newest is the statement of the newest handoffs of some stretches under the conditions.
func newest(w *store.Where, stretches []string, limit int64) (sql string, args []any) {
	const head, order = "SELECT side, version, body FROM ", "ORDER BY offered_at DESC, id DESC LIMIT ?"
	if len(stretches) == 0 {
		return w.Select(head+"handoffs", order, limit)
	}
	most := w.Arg(limit)
	var parts []string
	for _, stretch := range stretches {
		part := *w
		part.And(stretch)
		sql, _ := part.Select("SELECT side, version, body, offered_at, id FROM handoffs", "ORDER BY offered_at DESC, id DESC LIMIT "+most)
		parts = append(parts, "SELECT side, version, body, offered_at, id FROM ("+sql+") AS stretch")
	}
	_, args = w.Select("", "")
	return head + "(" + strings.Join(parts, " UNION ALL ") + ") AS listed ORDER BY offered_at DESC, id DESC LIMIT " + most, args
}
