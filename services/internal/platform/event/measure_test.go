package event_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry/telemetrytest"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// moody is a feed that can be away.
type moody struct {
	feedv1.FeedServiceClient
	away atomic.Bool
}

func (m *moody) StreamEvents(ctx context.Context, req *feedv1.StreamEventsRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[feedv1.StreamEventsResponse], error) {
	if m.away.Load() {
		return nil, status.Error(codes.Unavailable, "away")
	}
	return m.FeedServiceClient.StreamEvents(ctx, req, opts...)
}

// The lag is the age of what is not handled, or for how long nothing is known; parked events are no lag, but are counted.
func TestLag(t *testing.T) {
	telemetrytest.On()
	each(t, func(t *testing.T, there *store.DB) {
		here, now, name := database(t, there), testkit.NewClock(time.Time{}), string(there.Engine())
		log := event.NewLog(there, now)
		feed := &moody{FeedServiceClient: serve(t, log)}
		feed.away.Store(true)
		var broken atomic.Bool
		s := event.NewSubscriber(here, now, quiet())
		s.Subscribe(event.Subscription{
			Name: subscription, Source: "there", Client: feed, Attempts: 5,
			Handler: func(context.Context, store.Tx, *feedv1.Event) error {
				if broken.Load() {
					return errors.New("broken")
				}
				return nil
			},
		})
		t.Cleanup(s.Measure(name))
		t.Cleanup(log.Measure(name))
		stop := background(t, s.Run)
		is := func(metric string, want int64) {
			t.Helper()
			key := fmt.Sprintf("tasuki.feed.%s{department=%s,source=there,subscription=%s}", metric, name, subscription)
			eventually(t, fmt.Sprintf("%s is %d", key, want), func() bool {
				v, ok := telemetrytest.Values(t)[key]
				return ok && v == want
			})
		}
		is("lag", 0)
		now.Advance(40 * time.Second) // it was never reached
		is("lag", 40)
		appendEvents(t, there, log, number("lead/1", 1), number("lead/2", 1))
		now.Advance(20 * time.Second)
		feed.away.Store(false)
		is("lag", 0)

		broken.Store(true)
		appendEvents(t, there, log, number("lead/1", 2), number("lead/2", 2))
		now.Advance(90 * time.Second)
		is("lag", 90)
		is("parked.events", 2)
		is("parked.subjects", 2)
		is("lag", 0)
		if key := "tasuki.feed.held_back{department=" + name + "}"; telemetrytest.Values(t)[key] != 0 {
			t.Errorf("%s is %d", key, telemetrytest.Values(t)[key])
		}
		stop()
		if v, ok := telemetrytest.Values(t)["tasuki.feed.lag{department="+name+",source=there,subscription="+subscription+"}"]; ok {
			t.Errorf("a replica that does not hold the subscription reports a lag of %d", v)
		}
	})
}
