package handoff

import (
	"context"
	"slices"
	"strings"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// inHand are locked rows of the transaction that a context is for, by id.
type inHand map[string]*entry

type inHandKey struct{}

func held(ctx context.Context, id string) *entry {
	rows, _ := ctx.Value(inHandKey{}).(inHand)
	return rows[id]
}

// prepare reads the rows that several events are about at once, and lets each kind read what its OnDecision needs.
func (e *Engine) prepare(ctx context.Context, tx store.Tx, events []*feedv1.Event) (context.Context, error) {
	var ids []string
	for _, ev := range events {
		if id, ok := strings.CutPrefix(ev.GetSubject(), "handoff/"); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	rows, err := findAll(ctx, tx, ids, tx.Dialect().ForUpdate())
	if err != nil {
		return nil, err
	}
	byKind := map[handoffv1.Kind][]*handoffv1.Handoff{}
	for _, id := range ids { // in the order of the events
		if r := rows[id]; r != nil {
			byKind[r.h.GetKind()] = append(byKind[r.h.GetKind()], r.h)
		}
	}
	ctx = context.WithValue(ctx, inHandKey{}, inHand(rows))
	for kind, handoffs := range byKind {
		cfg := e.kind(kind, Out)
		if cfg == nil || cfg.BeforeDecisions == nil {
			continue
		}
		if ctx, err = cfg.BeforeDecisions(ctx, tx, handoffs); err != nil {
			return nil, err
		}
	}
	return ctx, nil
}
