package sim

import (
	"strings"

	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// The states and sides as tables write them. They are written here again, from the design, so that the simulation does not
// believe what it checks.
const (
	offered   = "OFFERED"
	accepted  = "ACCEPTED"
	fulfilled = "FULFILLED"
	rejected  = "REJECTED"
	returned  = "RETURNED"
	recalled  = "RECALLED"
	expired   = "EXPIRED"

	in, out = "IN", "OUT"
)

// drawn are the arrows of the design: from, then to.
var drawn = map[[2]string]bool{
	{"", offered}: true, {offered, accepted}: true, {accepted, fulfilled}: true, {offered, rejected}: true, {offered, returned}: true,
	{offered, recalled}: true, {offered, expired}: true, {returned, offered}: true, {expired, offered}: true,
}

func isDecision(state string) bool { return state != offered && state != fulfilled }

func stateName(s handoffv1.State) string { return strings.TrimPrefix(s.String(), "STATE_") }

// ledger is what a department has written of its handoffs, by id.
type ledger map[string]entry

type entry struct {
	side, state, delivery string
	attempt, version      int64
	h                     *handoffv1.Handoff
	history               []transition
	effects               map[effectKey]int64
}

type transition struct {
	HandoffID          string
	Version, Attempt   int64
	FromState, ToState string
	ActorID            string
}

type effectKey struct {
	attempt int64
	what    string
}

func (e entry) last() transition {
	if len(e.history) == 0 {
		return transition{}
	}
	return e.history[len(e.history)-1]
}

// decision is what was decided on an attempt.
func (e entry) decision(attempt int64) (t transition, ok bool) {
	for _, t := range e.history {
		if t.Attempt == attempt && isDecision(t.ToState) {
			return t, true
		}
	}
	return transition{}, false
}

func (e entry) knows(attempt int64) bool {
	for _, t := range e.history {
		if t.Attempt == attempt {
			return true
		}
	}
	return false
}

// read reads the ledger of a process.
func (p *process) read() (ledger, error) {
	type row struct {
		ID, Side, State, Delivery string
		Attempt, Version          int64
		Body                      []byte
	}
	type effectRow struct {
		HandoffID string
		Attempt   int64
		What      string
		N         int64
	}
	ctx := p.w.ctx
	return store.Read(ctx, p.db, func(tx store.Tx) (ledger, error) {
		rows, err := store.Select[row](ctx, tx, `SELECT id, side, state, delivery, attempt, version, body FROM handoffs`)
		if err != nil {
			return nil, err
		}
		l := ledger{}
		for _, r := range rows {
			e := entry{
				side: r.Side, state: r.State, delivery: r.Delivery, attempt: r.Attempt, version: r.Version,
				h: &handoffv1.Handoff{}, effects: map[effectKey]int64{},
			}
			if err := proto.Unmarshal(r.Body, e.h); err != nil {
				return nil, err
			}
			e.h.Etag = etag.Format(r.Version)
			l[r.ID] = e
		}
		steps, err := store.Select[transition](ctx, tx,
			`SELECT handoff_id, version, attempt, from_state, to_state, actor_id FROM handoff_transitions ORDER BY handoff_id, version`)
		if err != nil {
			return nil, err
		}
		for _, s := range steps {
			e := l[s.HandoffID]
			e.history = append(e.history, s)
			l[s.HandoffID] = e
		}
		effects, err := store.Select[effectRow](ctx, tx,
			`SELECT handoff_id, attempt, what, count(*) AS n FROM sim_effects GROUP BY handoff_id, attempt, what`)
		if err != nil {
			return nil, err
		}
		for _, f := range effects {
			e, ok := l[f.HandoffID]
			if !ok {
				e.effects = map[effectKey]int64{}
				l[f.HandoffID] = e
			}
			e.effects[effectKey{f.Attempt, f.What}] = f.N
		}
		return l, nil
	})
}
