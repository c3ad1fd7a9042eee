package event_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

const (
	// benchEvents are how many events each reader reads, of so many subjects, so many of them a transaction.
	benchEvents   = 20_000
	benchSubjects = 1_000
	benchBatch    = 100
)

// BenchmarkSystemFeed reads a feed from its beginning over gRPC in memory, by one and by eight readers: bare streams, and
// subscriptions that write an effect and the cursor of each event into a database of their own.
func BenchmarkSystemFeed(b *testing.B) {
	for _, engine := range []store.Engine{store.SQLite, store.Postgres} {
		b.Run(string(engine), func(b *testing.B) {
			open := testkit.SQLite
			if engine == store.Postgres {
				open = testkit.Postgres
			}
			source := open(b, event.Migrations())
			log := newLog(source)
			feed := serve(b, log)
			for n := 0; n < benchEvents; n += benchBatch {
				events := make([]event.Event, benchBatch)
				for i := range events {
					events[i] = number(fmt.Sprintf("s/%d", (n+i)%benchSubjects), int64(n+i))
				}
				appendEvents(b, source, log, events...)
			}
			for _, readers := range []int{1, 8} {
				b.Run(fmt.Sprintf("stream/readers=%d", readers), func(b *testing.B) {
					inParallel(b, readers, func(ctx context.Context, _ int) error { return streamAll(ctx, feed) })
				})
				b.Run(fmt.Sprintf("subscription/readers=%d", readers), func(b *testing.B) {
					dbs := make([]*store.DB, readers)
					for i := range dbs {
						dbs[i] = open(b, event.Migrations())
						effects(b, dbs[i])
					}
					inParallel(b, readers, func(ctx context.Context, i int) error { return subscribeAll(ctx, dbs[i], feed) })
				})
			}
		})
	}
}

// inParallel runs readers once, and reports what all of them have read together. It does not mind b.N.
func inParallel(b *testing.B, readers int, read func(ctx context.Context, i int) error) {
	b.Helper()
	errs := make([]error, readers)
	began := time.Now()
	var all sync.WaitGroup
	for i := range readers {
		all.Go(func() { errs[i] = read(b.Context(), i) })
	}
	all.Wait()
	took := time.Since(began)
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(readers*benchEvents)/took.Seconds(), "events/s")
}

func streamAll(ctx context.Context, feed feedv1.FeedServiceClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := feed.StreamEvents(ctx, &feedv1.StreamEventsRequest{})
	if err != nil {
		return err
	}
	for read := 0; read < benchEvents; {
		msg, err := stream.Recv()
		if err != nil {
			return err
		}
		read += len(msg.GetEvents())
	}
	return nil
}

// subscribeAll takes in all events, and ends when the last one is committed.
func subscribeAll(ctx context.Context, db *store.DB, feed feedv1.FeedServiceClient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var taken atomic.Int64
	sub := event.NewSubscriber(db, clock.System{}, quiet())
	sub.Subscribe(event.Subscription{
		Name: subscription, Source: "there", Client: feed,
		Handler: func(_ context.Context, tx store.Tx, ev *feedv1.Event) error {
			tx.Queue(`INSERT INTO effects (place, what, actor, cause) VALUES (0, $1, '', '')`, ev.GetId())
			tx.AfterCommit(func() {
				if taken.Add(1) == benchEvents {
					cancel()
				}
			})
			return nil
		},
	})
	return sub.Run(ctx)
}
