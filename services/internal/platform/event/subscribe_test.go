package event_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

const subscription = "here.from.there"

// effects is a table that handlers write what they did to.
func effects(t testing.TB, db *store.DB) {
	t.Helper()
	_, err := store.Write(t.Context(), db, func(tx store.Tx) (int64, error) {
		return tx.Exec(t.Context(), `CREATE TABLE effects (place bigint NOT NULL, what text NOT NULL, actor text NOT NULL, cause text NOT NULL)`)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// done are the effects in order.
func done(t *testing.T, db *store.DB) []string {
	t.Helper()
	all, err := store.Read(t.Context(), db, func(tx store.Tx) ([]string, error) {
		return store.Select[string](t.Context(), tx, `SELECT what FROM effects ORDER BY place`)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func effect(ctx context.Context, tx store.Tx, what string) {
	tx.Queue(`INSERT INTO effects SELECT count(*), $1, $2, $3 FROM effects`, what, access.ActorOf(ctx).ID, event.Cause(ctx))
}

// reader is a subscriber whose handler writes effects, and fails or panics where broken says so.
type reader struct {
	*event.Subscriber
	stop func()
}

func read(t *testing.T, db *store.DB, feed feedv1.FeedServiceClient, attempts int, before func(ctx context.Context, key string) error, opts ...event.SubscriberOption) *reader {
	t.Helper()
	s := event.NewSubscriber(db, clock.System{}, quiet(), opts...)
	s.Subscribe(event.Subscription{
		Name: subscription, Source: "there", Client: feed, Attempts: attempts,
		Handler: func(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
			k := key(ev.GetSubject(), valueOf(t, ev))
			effect(ctx, tx, k) // first, so that a failure must undo it
			if before == nil {
				return nil
			}
			return before(ctx, k)
		},
	})
	return &reader{s, background(t, s.Run)}
}

func TestSubscription(t *testing.T) {
	each(t, func(t *testing.T, there *store.DB) {
		here := database(t, there)
		effects(t, here)
		log := newLog(there)
		feed := serve(t, log)
		const n = 120
		for i := int64(1); i <= n/2; i++ { // some before it begins
			appendEvents(t, there, log, number("a/1", i))
		}
		first := read(t, here, feed, 3, nil)
		for i := int64(n/2 + 1); i <= n; i++ {
			appendEvents(t, there, log, number("a/1", i))
		}
		eventually(t, "all events are handled", func() bool { return len(done(t, here)) >= n })
		first.stop()
		appendEvents(t, there, log, number("a/1", n+1)) // while nobody reads
		second := read(t, here, feed, 3, nil)
		eventually(t, "the next one resumes", func() bool { return len(done(t, here)) >= n+1 })
		for i, what := range done(t, here) {
			if what != key("a/1", int64(i+1)) {
				t.Fatalf("effect %d is %s", i, what)
			}
		}
		client := feedv1.NewSubscriptionServiceClient(connect(t, second.RegisterServer))
		resp, err := client.ListSubscriptions(t.Context(), &feedv1.ListSubscriptionsRequest{})
		if err != nil || len(resp.GetSubscriptions()) != 1 {
			t.Fatal(resp, err)
		}
		sub := resp.GetSubscriptions()[0]
		if sub.GetName() != subscription || sub.GetSource() != "there" || sub.GetCursor() == "" || sub.GetHolder() == "" ||
			sub.GetLastError() != "" || sub.GetLastEventAt() == nil || sub.GetMovedAt() == nil {
			t.Errorf("got %v", sub)
		}
		actor, err := store.Read(t.Context(), here, func(tx store.Tx) (string, error) {
			return store.Get[string](t.Context(), tx, `SELECT DISTINCT actor FROM effects WHERE cause <> ''`)
		})
		if err != nil || actor != subscription {
			t.Errorf("the actor is %q, %v", actor, err)
		}
	})
}

// unreliable is a feed whose streams break after a few messages.
type unreliable struct {
	feedv1.FeedServiceClient
	opened atomic.Int32
}

func (u *unreliable) StreamEvents(ctx context.Context, req *feedv1.StreamEventsRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[feedv1.StreamEventsResponse], error) {
	n := u.opened.Add(1)
	if n%3 == 0 {
		return nil, status.Error(codes.Unavailable, "away")
	}
	stream, err := u.FeedServiceClient.StreamEvents(ctx, req, opts...)
	return &shortStream{stream, int(n)}, err
}

type shortStream struct {
	grpc.ServerStreamingClient[feedv1.StreamEventsResponse]
	left int
}

func (s *shortStream) Recv() (*feedv1.StreamEventsResponse, error) {
	if s.left--; s.left < 0 {
		return nil, status.Error(codes.Unavailable, "broken")
	}
	return s.ServerStreamingClient.Recv()
}

// Streams that break, transactions that are cut off before their commit, and processes that die between the two: every
// event has its effect exactly once, in order.
func TestExactlyOnce(t *testing.T) {
	each(t, func(t *testing.T, there *store.DB) {
		here := database(t, there)
		effects(t, here)
		log := newLog(there)
		feed := &unreliable{FeedServiceClient: serve(t, log)}
		const n = 60
		for life := range 4 {
			stopped := make(chan struct{})
			var once sync.Once
			r := read(t, here, feed, 1000, func(ctx context.Context, k string) error {
				if !strings.HasSuffix(k, "7") {
					return nil
				}
				once.Do(func() { close(stopped) })
				<-ctx.Done() // dies with the transaction open
				return ctx.Err()
			})
			for i := life * n / 4; i < (life+1)*n/4; i++ {
				appendEvents(t, there, log, number("a/1", int64(i+1)))
			}
			select {
			case <-stopped:
			case <-time.After(20 * time.Second):
				t.Fatal("it never crashed")
			}
			r.stop()
		}
		read(t, here, feed, 1000, nil)
		eventually(t, "all events are handled", func() bool { return len(done(t, here)) >= n })
		for i, what := range done(t, here) {
			if what != key("a/1", int64(i+1)) {
				t.Fatalf("effect %d is %s", i, what)
			}
		}
	})
}

func TestParkingAndReplay(t *testing.T) {
	each(t, func(t *testing.T, there *store.DB) {
		here := database(t, there)
		effects(t, here)
		log := newLog(there)
		feed := serve(t, log)
		var mended atomic.Bool
		r := read(t, here, feed, 2, func(_ context.Context, k string) error {
			if mended.Load() {
				return nil
			}
			switch k {
			case "bad/1:2":
				return errors.New("secret driver text")
			case "bad/2:1":
				panic("oh")
			}
			return nil
		})
		for i := int64(1); i <= 4; i++ {
			appendEvents(t, there, log, number("bad/1", i), number("good/1", i), number("bad/2", i))
		}
		want := []string{"bad/1:1", "good/1:1", "good/1:2", "good/1:3", "good/1:4"}
		eventually(t, "the rest flows on", func() bool { return len(done(t, here)) >= len(want) })
		if got := done(t, here); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("effects: %v", got)
		}
		client := feedv1.NewSubscriptionServiceClient(connect(t, r.RegisterServer))
		var parked []*feedv1.ParkedEvent
		eventually(t, "seven events are parked", func() bool {
			parked = listParked(t, client)
			return len(parked) == 7
		})
		for i, k := range []string{"bad/2:1", "bad/1:2"} {
			ev := parked[i]
			if got := key(ev.GetEvent().GetSubject(), valueOf(t, ev.GetEvent())); got != k || ev.GetAttempts() != 2 || ev.GetError() != "internal error" {
				t.Errorf("parked %d is %s: %v", i, got, ev)
			}
		}
		if parked[6].GetAttempts() != 0 || !strings.Contains(parked[6].GetError(), "earlier event") {
			t.Errorf("the last one is %v", parked[6])
		}
		replay := func(subject string) string {
			t.Helper()
			resp, err := client.ReplayParkedEvents(t.Context(), &feedv1.ReplayParkedEventsRequest{Subscription: subscription, Subject: subject})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(resp.GetReplayedCount(), " ", resp.GetParkedCount())
		}
		if got := replay(""); got != "0 7" { // still broken
			t.Errorf("replayed and left: %s", got)
		}
		mended.Store(true)
		if got := replay("bad/1"); got != "3 4" {
			t.Errorf("replayed and left: %s", got)
		}
		if got := replay(""); got != "4 0" {
			t.Errorf("replayed and left: %s", got)
		}
		want = append(want, "bad/1:2", "bad/1:3", "bad/1:4", "bad/2:1", "bad/2:2", "bad/2:3", "bad/2:4")
		if got := done(t, here); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("effects: %v", got)
		}
		appendEvents(t, there, log, number("bad/1", 5)) // no longer behind parked ones
		eventually(t, "the subject flows again", func() bool { return len(done(t, here)) == len(want)+1 })
		if _, err := client.ListParkedEvents(t.Context(), &feedv1.ListParkedEventsRequest{Subscription: "nobody"}); status.Code(err) == codes.OK {
			t.Error("an unknown subscription is listed")
		}
	})
}

func listParked(t *testing.T, c feedv1.SubscriptionServiceClient) []*feedv1.ParkedEvent {
	t.Helper()
	var all []*feedv1.ParkedEvent
	for token := ""; ; {
		resp, err := c.ListParkedEvents(t.Context(), &feedv1.ListParkedEventsRequest{Subscription: subscription, PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, resp.GetParkedEvents()...)
		if token = resp.GetNextPageToken(); token == "" {
			return all
		}
	}
}

// Two replicas: one holds the subscription; when it stops the other goes on at once, and when it dies, after the lease.
func TestOneReplicaHolds(t *testing.T) {
	there, here := testkit.Postgres(t, event.Migrations()), testkit.Postgres(t, event.Migrations())
	effects(t, here)
	log := newLog(there)
	feed := serve(t, log)
	lease := event.LeaseFor(300 * time.Millisecond)
	first := read(t, here, feed, 3, nil, lease, event.Holder("first"))
	holder := func() string {
		name, err := store.Read(t.Context(), here, func(tx store.Tx) (string, error) {
			return store.Get[string](t.Context(), tx, `SELECT COALESCE(MAX(holder), '') FROM subscriptions`)
		})
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	eventually(t, "the first holds it", func() bool { return holder() == "first" })
	read(t, here, feed, 3, nil, lease, event.Holder("second"))
	for i := int64(1); i <= 20; i++ {
		appendEvents(t, there, log, number("a/1", i))
	}
	eventually(t, "all is handled", func() bool { return len(done(t, here)) == 20 })
	if h := holder(); h != "first" {
		t.Errorf("%q holds it", h)
	}
	first.stop()
	eventually(t, "the second takes it", func() bool { return holder() == "second" })
	// A dead replica: its name is in the row, and nobody renews.
	if _, err := store.Write(t.Context(), here, func(tx store.Tx) (int64, error) {
		return tx.Exec(t.Context(), `UPDATE subscriptions SET holder = 'dead', lease_until = $1`, time.Now().Add(400*time.Millisecond))
	}); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, there, log, number("a/1", 21)) // the second notices that it lost the lease
	eventually(t, "the second takes it back", func() bool { return holder() == "second" && len(done(t, here)) == 21 })
	if got := done(t, here); got[20] != "a/1:21" {
		t.Errorf("effects: %v", got)
	}
}

// A source that cannot be reached shows, and is tried again.
func TestUnreachableSource(t *testing.T) {
	each(t, func(t *testing.T, here *store.DB) {
		effects(t, here)
		r := read(t, here, away{}, 3, nil)
		client := feedv1.NewSubscriptionServiceClient(connect(t, r.RegisterServer))
		eventually(t, "the error shows", func() bool {
			resp, err := client.ListSubscriptions(t.Context(), &feedv1.ListSubscriptionsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return len(resp.GetSubscriptions()) == 1 && resp.GetSubscriptions()[0].GetLastError() != ""
		})
	})
}

type away struct{ feedv1.FeedServiceClient }

func (away) StreamEvents(context.Context, *feedv1.StreamEventsRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[feedv1.StreamEventsResponse], error) {
	return nil, status.Error(codes.Unavailable, "away")
}
