package sim

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// dropping swallows events of a type.
func dropping(name string) func(event.Handler) event.Handler {
	return func(h event.Handler) event.Handler {
		return func(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
			if strings.HasSuffix(ev.GetType(), name) {
				return nil
			}
			return h(ctx, tx, ev)
		}
	}
}

// A check that cannot fail proves nothing: each of these bugs must be found, cut down to a few steps, and seen again with
// its seed.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant Plant
		// rules are those that may catch it.
		rules []string
		// steps is how short its schedule has to become.
		steps int
	}{
		{"a delivery makes a second handoff", Plant{Request: func(req any) {
			if offer, ok := req.(*handoffv1.OfferRequest); ok {
				offer.Handoff.Id = uuid.Must(uuid.NewV7()).String()
			}
		}}, []string{"an offer from nowhere", "an offer is lost"}, 2},
		{"a rejection is dropped", Plant{Handler: dropping("HandoffRejected")}, []string{"the ledgers disagree at the end"}, 3},
		{"a fulfilment is dropped", Plant{Handler: dropping("HandoffFulfilled")}, []string{"the ledgers disagree at the end"}, 4},
		{
			"the runner forgets failed jobs",
			Plant{Work: func(error) error { return nil }},
			[]string{"an offer is lost", "it does not come to rest"},
			3,
		},
		{"clocks are lost", Plant{Lose: "handoff.clock"}, []string{"a clock is lost"}, 3},
		{"hooks run twice", Plant{Effect: func(_ context.Context, _ *store.DB, tx store.Tx, h *handoffv1.Handoff, what string) error {
			addEffect(tx, h, what)
			addEffect(tx, h, what)
			return nil
		}}, []string{"an effect twice"}, 2},
		{"a hook forgets returns", Plant{Effect: func(_ context.Context, _ *store.DB, tx store.Tx, h *handoffv1.Handoff, what string) error {
			if what != "decided RETURNED" {
				addEffect(tx, h, what)
			}
			return nil
		}}, []string{"an effect is missing"}, 3},
		{"an event counts as much as a decision", Plant{Handler: func(h event.Handler) event.Handler {
			return func(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
				if err := h(ctx, tx, ev); err != nil {
					return err
				}
				tx.Queue(`INSERT INTO sim_effects (handoff_id, attempt, what) VALUES ($1, 1, 'decided TWICE')`, strings.TrimPrefix(ev.GetSubject(), "handoff/"))
				return nil
			}
		}}, []string{"an effect without a state"}, 4},
		{"a decision is overwritten", Plant{Decided: func(ctx context.Context, db *store.DB, id string) {
			_, _ = store.Write(ctx, db, func(tx store.Tx) (struct{}, error) { // what is planted cannot fail here
				tx.Queue(`UPDATE handoff_transitions SET to_state = 'REJECTED' WHERE handoff_id = $1 AND to_state = 'ACCEPTED'`, id)
				tx.Queue(`UPDATE handoffs SET state = 'REJECTED' WHERE id = $1 AND state = 'ACCEPTED'`, id)
				return struct{}{}, nil
			})
		}}, []string{"a decision is lost", "an effect is missing"}, 3},
		{"attempts that are over are not kept", Plant{Effect: func(_ context.Context, _ *store.DB, tx store.Tx, h *handoffv1.Handoff, what string) error {
			if what == "resubmitted" {
				tx.Queue(`DELETE FROM handoff_attempts WHERE handoff_id = $1`, h.GetId())
			}
			addEffect(tx, h, what)
			return nil
		}}, []string{"an attempt is lost"}, 5},
		{"attempts are delivered as the first", Plant{Request: func(req any) {
			if offer, ok := req.(*handoffv1.OfferRequest); ok {
				offer.Handoff.Attempt = 1
			}
		}}, []string{"the ledgers disagree at the end", "the ledgers disagree", "it does not come to rest"}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			failure, _ := Run(t, store.SQLite, c.plant, 1, 150)
			if failure == nil {
				t.Fatal("it was not found in 150 schedules")
			}
			if !slices.Contains(c.rules, failure.Violation.Rule) || len(failure.Steps) > c.steps {
				t.Errorf("found as %s in %d steps; want one of %q in %d", failure, len(failure.Steps), c.rules, c.steps)
			}
			w := NewWorld(t, store.SQLite, c.plant)
			if v := w.Play(Generate(failure.Seed)); v == nil {
				t.Error("its seed does not fail again")
			}
			if v := w.Play(failure.Steps); v == nil || v.Rule != failure.Violation.Rule {
				t.Errorf("its steps give %v", v)
			}
			if text := failure.String(); !strings.Contains(text, "replay: make sim SCHEDULES=1 SEED=") {
				t.Errorf("it does not say how to see it again: %s", text)
			}
			if v := NewWorld(t, store.SQLite, Plant{}).Play(failure.Steps); v != nil {
				t.Errorf("without the bug it fails too: %v", v)
			}
		})
	}
}

// A seed makes the same schedule and the same history every time.
func TestSeedsRepeat(t *testing.T) {
	w := NewWorld(t, store.SQLite, Plant{})
	for seed := range uint64(10) {
		var first string
		for i := range 3 {
			if v := w.Play(Generate(seed)); v != nil {
				t.Fatal(v)
			}
			var told []string
			for _, id := range w.handoffs {
				for _, p := range w.procs {
					for _, s := range p.ledger[id].history {
						told = append(told, p.name().String()+" "+s.FromState+">"+s.ToState+" "+s.ActorID)
					}
				}
			}
			if all := strings.Join(told, "\n"); i == 0 {
				first = all
			} else if all != first {
				t.Fatalf("seed %d tells\n%s\nand then\n%s", seed, first, all)
			}
		}
	}
}
