package handoff

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Decisions that come together are taken in one after the other, also where two are about one handoff, and what the kind has
// read for all of them is in the hands of each.
func TestDecisionsThatComeTogether(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		type read struct{}
		var mu sync.Mutex
		var prepared [][]string
		var without int
		sender, receiver := world(t, engine, func(sender, _ *department, k *KindConfig) {
			sender.deaf = true // until all is decided
			k.BeforeHooks = func(ctx context.Context, _ store.Tx, handoffs []*handoffv1.Handoff) (context.Context, error) {
				mu.Lock()
				defer mu.Unlock()
				var ids []string
				for _, h := range handoffs {
					ids = append(ids, h.GetId())
				}
				prepared = append(prepared, ids)
				return context.WithValue(ctx, read{}, true), nil
			}
			saw := k.OnDecision
			k.OnDecision = func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, reason *handoffv1.Reason) error {
				if ctx.Value(read{}) == nil {
					mu.Lock()
					without++
					mu.Unlock()
				}
				return saw(ctx, tx, h, reason)
			}
		})
		var ids []string
		for range 4 {
			id := sender.offer(nil).GetId()
			receiver.waitState(id, Offered)
			ids = append(ids, id)
		}
		ctx := as(t, "sato")
		for i, id := range ids {
			if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id}); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				if _, err := receiver.desk.FulfilHandoff(ctx, &handoffv1.FulfilHandoffRequest{Id: id, Note: "called"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		subs := sender.engine.Subscriptions()
		eventually(t, "the feed shows all of it", func() bool {
			page, err := subs[0].Client.ListEvents(t.Context(), &feedv1.ListEventsRequest{PageSize: 100, Types: subs[0].Types})
			return err == nil && len(page.GetEvents()) == 6
		})
		sub := event.NewSubscriber(sender.db, clock.System{}, slog.New(slog.DiscardHandler))
		sub.Subscribe(subs[0])
		n, err := sub.Step(access.WithActor(t.Context(), access.System("test")), subs[0].Name, 100)
		if err != nil || n != 6 {
			t.Fatalf("%d events, %v", n, err)
		}
		for i, id := range ids {
			want := Accepted
			if i%2 == 0 {
				want = Fulfilled
			}
			if got := stateOf(sender.get(id).GetState()); got != want {
				t.Errorf("handoff %d is %s at the sender, not %s", i, got, want)
			}
		}
		if a, f := count(sender.seen(), "decision ACCEPTED"), count(sender.seen(), "decision FULFILLED"); a != 4 || f != 2 {
			t.Errorf("the hook saw %d acceptances and %d fulfilments", a, f)
		}
		if len(prepared) != 1 || !slices.Equal(prepared[0], ids) || without != 0 {
			t.Errorf("read at once for %v, and %d decisions went without", prepared, without)
		}
	})
}

// Policies are read once in a transaction, and again after it has changed them.
func TestPoliciesOfATransaction(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		d := newDepartment(t, engine, clock.System{}, access.InsideSales)
		_, err := store.Write(t.Context(), d.db, func(tx store.Tx) (struct{}, error) {
			for i, within := range []int64{240, 240, 30} {
				if i == 2 {
					forgetPolicies(tx)
					tx.Queue(`UPDATE handoff_policies SET accept_within = 30 WHERE code = 'MQL'`)
				}
				p, err := policyFor(t.Context(), tx, &handoffv1.Handoff{Kind: handoffv1.Kind_KIND_MQL})
				if err != nil {
					return struct{}{}, err
				}
				if p.AcceptWithin != within {
					t.Errorf("look %d: %d minutes instead of %d", i, p.AcceptWithin, within)
				}
			}
			return struct{}{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
