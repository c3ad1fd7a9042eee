package event_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// identified is a stream as a service opens it.
type identified struct{ grpc.ServerStream }

func (s identified) Context() context.Context {
	return access.WithActor(s.ServerStream.Context(), access.Actor{Kind: access.KindService, ID: "here"})
}

func asService(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	err := handler(srv, identified{stream})
	if err != nil {
		err = problem.Status(stream.Context(), err).Err()
	}
	return err
}

func explained(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	if err != nil {
		err = problem.Status(ctx, err).Err()
	}
	return resp, err
}

// waitFor waits until the reader has handled n events.
func (r *reader) waitFor(t *testing.T, db *store.DB, n int) *reader {
	t.Helper()
	eventually(t, "the events are handled", func() bool { return len(done(t, db)) == n })
	return r
}

// Old events go once every subscription is past them, never before, and a cursor before them is told so.
func TestRetention(t *testing.T) {
	each(t, func(t *testing.T, there *store.DB) {
		here, now := database(t, there), testkit.NewClock(time.Time{})
		effects(t, here)
		log := event.NewLog(there, now)
		background(t, log.Run)
		feed := feedv1.NewFeedServiceClient(connect(t, log.RegisterServer, grpc.StreamInterceptor(asService), grpc.UnaryInterceptor(explained)))
		for n := range int64(4) {
			appendEvents(t, there, log, number("lead/1", n+1))
		}
		early, err := feed.ListEvents(t.Context(), &feedv1.ListEventsRequest{PageSize: 2})
		if err != nil {
			t.Fatal(err)
		}
		now.Advance(40 * 24 * time.Hour)
		appendEvents(t, there, log, number("lead/1", 5), number("lead/1", 6))
		old := now.Now().Add(-30 * 24 * time.Hour)
		prune := func(before time.Time, want int64, holder string) {
			t.Helper()
			deleted, holding, err := log.Prune(t.Context(), before)
			if err != nil || deleted != want || (holding != nil) != (holder != "") || holding != nil && holding.Name != holder {
				t.Errorf("%d are deleted, held back by %v, %v; want %d, %q", deleted, holding, err, want, holder)
			}
		}
		read(t, here, feed, 0, nil).waitFor(t, here, 6).stop()
		prune(old, 0, subscription) // when it connected, it was at the beginning
		last := read(t, here, feed, 0, nil)
		eventually(t, "the subscription says where it is", func() bool {
			deleted, holding, err := log.Prune(t.Context(), old)
			return err == nil && holding == nil && deleted == 4
		})

		kept, err := feed.ListEvents(t.Context(), &feedv1.ListEventsRequest{})
		if err != nil || len(kept.GetEvents()) != 2 || valueOf(t, kept.GetEvents()[0]) != 5 {
			t.Errorf("kept are %v, %v", kept.GetEvents(), err)
		}
		_, err = feed.ListEvents(t.Context(), &feedv1.ListEventsRequest{PageToken: early.GetNextPageToken()})
		if problem.ReasonOf(err) != problem.ReasonCursorExpired {
			t.Errorf("a page behind what is kept: %v", err)
		}
		for _, name := range []string{"", "other"} {
			stream, err := feed.StreamEvents(t.Context(), &feedv1.StreamEventsRequest{After: early.GetNextPageToken(), Subscriber: name})
			if err == nil {
				_, err = stream.Recv()
			}
			if problem.ReasonOf(err) != problem.ReasonCursorExpired {
				t.Errorf("a stream of %q behind what is kept: %v", name, err)
			}
		}

		appendEvents(t, there, log, number("lead/1", 7))
		last.waitFor(t, here, 7).stop()
		read(t, here, feed, 0, nil)
		eventually(t, "all but the newest are gone", func() bool {
			_, holding, err := log.Prune(t.Context(), now.Now().Add(time.Hour))
			return err == nil && holding == nil
		})
		if kept, err = feed.ListEvents(t.Context(), &feedv1.ListEventsRequest{}); err != nil || len(kept.GetEvents()) != 1 {
			t.Errorf("kept are %v, %v", kept.GetEvents(), err)
		}
	})
}
