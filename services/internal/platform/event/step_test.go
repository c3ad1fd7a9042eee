package event_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Step takes what it is told to, goes on where it stood, and leaves what failed for the next time.
func TestStep(t *testing.T) {
	each(t, func(t *testing.T, there *store.DB) {
		here := database(t, there)
		effects(t, here)
		log := newLog(there)
		appendEvents(t, there, log, number("a", 1), number("b", 1), number("a", 2))
		var broken error
		s := event.NewSubscriber(here, clock.System{}, quiet())
		s.Subscribe(event.Subscription{
			Name: subscription, Source: "there", Client: serve(t, log),
			Handler: func(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
				effect(ctx, tx, key(ev.GetSubject(), valueOf(t, ev)))
				return broken
			},
		})
		steps := func(n int) (taken int) {
			t.Helper()
			eventually(t, "all events can be seen", func() bool { // another transaction of the server may hide them
				var err error
				taken, err = s.Step(t.Context(), subscription, n)
				if err != nil {
					t.Fatal(err)
				}
				return taken > 0
			})
			return taken
		}
		if n := steps(1); n != 1 {
			t.Errorf("it took %d", n)
		}
		broken = errors.New("broken")
		if n, err := s.Step(t.Context(), subscription, 9); n != 0 || !errors.Is(err, broken) {
			t.Errorf("it took %d, %v", n, err)
		}
		broken = nil
		if n := steps(9); n != 2 {
			t.Errorf("it took %d", n)
		}
		if n, err := s.Step(t.Context(), subscription, 9); n != 0 || err != nil {
			t.Errorf("it took %d, %v", n, err)
		}
		if got := strings.Join(done(t, here), " "); got != "a:1 b:1 a:2" {
			t.Errorf("it did %s", got)
		}
		if _, err := s.Step(t.Context(), "another", 1); err == nil {
			t.Error("a subscription that is not there was taken")
		}
	})
}
