package event

import (
	"context"
	"fmt"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
)

// Step takes the subscription and up to n of the events behind its cursor, handles them as Run does, and returns how many it
// has handled. It is for simulations, which decide what happens when: the first error ends it, nothing is parked, and the
// next Step goes on from the stored cursor.
func (s *Subscriber) Step(ctx context.Context, name string, n int) (taken int, err error) {
	sub := s.find(name)
	if sub == nil {
		return 0, fmt.Errorf("event: there is no subscription %q", name)
	}
	held, err := sub.acquire(ctx)
	if err != nil {
		return 0, err
	}
	if !held {
		return 0, errLost
	}
	got, err := sub.Client.ListEvents(ctx, &feedv1.ListEventsRequest{PageSize: int32(n), PageToken: sub.cursor, Types: sub.Types})
	if err != nil {
		return 0, err
	}
	if got.GetNextPageToken() == sub.cursor {
		return 0, nil
	}
	if err := sub.commit(ctx, got.GetEvents(), got.GetNextPageToken()); err != nil {
		return 0, err
	}
	return len(got.GetEvents()), nil
}
