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

// prepare is gather for the handoffs that several events are about.
func (e *Engine) prepare(ctx context.Context, tx store.Tx, events []*feedv1.Event) (context.Context, error) {
	var ids []string
	for _, ev := range events {
		if id, ok := strings.CutPrefix(ev.GetSubject(), "handoff/"); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return e.gather(ctx, tx, ids)
}

// gather reads and locks several rows at once, and lets each kind read what its hooks need for them.
func (e *Engine) gather(ctx context.Context, tx store.Tx, ids []string) (context.Context, error) {
	rows, err := findAll(ctx, tx, ids, tx.Dialect().ForUpdate())
	if err != nil {
		return nil, err
	}
	type group struct {
		kind handoffv1.Kind
		side Side
	}
	groups := map[group][]*handoffv1.Handoff{}
	for _, id := range ids { // in the order in which they are worked on
		if r := rows[id]; r != nil {
			g := group{r.h.GetKind(), r.side}
			groups[g] = append(groups[g], r.h)
		}
	}
	ctx = context.WithValue(ctx, inHandKey{}, inHand(rows))
	for g, handoffs := range groups {
		cfg := e.kind(g.kind, g.side)
		if cfg == nil || cfg.BeforeHooks == nil {
			continue
		}
		if ctx, err = cfg.BeforeHooks(ctx, tx, handoffs); err != nil {
			return nil, err
		}
	}
	return ctx, nil
}
