package event_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

const (
	int64Type  = "google.protobuf.Int64Value"
	stringType = "google.protobuf.StringValue"
)

var errEnough = errors.New("enough")

// wanderer is a reader that leaves after a few events, and comes back where it was.
type wanderer struct {
	types   []string
	subject string
	after   string
	seen    []string
}

// read follows the feed in short visits until there are want events.
func (w *wanderer) read(ctx context.Context, log *event.Log, want int) error {
	for len(w.seen) < want {
		left := 1 + rand.IntN(100)
		err := log.Follow(ctx, event.FollowRequest{After: w.after, Types: w.types, Subject: w.subject}, func(msg *feedv1.StreamEventsResponse) error {
			for i, ev := range msg.GetEvents() {
				w.seen, w.after = append(w.seen, ev.GetId()), msg.GetCursors()[i]
				if left--; left == 0 || len(w.seen) == want {
					return errEnough
				}
			}
			w.after = msg.GetCursor()
			return nil
		})
		if !errors.Is(err, errEnough) {
			return err
		}
	}
	return nil
}

// Readers who want different events come, leave and come back, while single events and bulks are written: each sees what it
// wants, once and in the order of the feed.
func TestStreamsComeAndGo(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		const single, bulks, bulk = 150, 2, 700
		log := newLog(db)
		feed := serve(t, log)
		readers := []*wanderer{
			{},
			{types: []string{int64Type}},
			{types: []string{stringType}},
			{types: []string{int64Type, stringType}},
			{subject: "a/1"},
			{types: []string{stringType}, subject: "a/1"},
			{types: []string{stringType}},
		}
		wants := []int{
			2*single + bulks*bulk, single + bulks*bulk, single, 2*single + bulks*bulk, single, single, single,
		}
		var wg sync.WaitGroup
		for i, r := range readers {
			wg.Go(func() {
				if err := r.read(t.Context(), log, wants[i]); err != nil {
					t.Errorf("reader %d after %d events: %v", i, len(r.seen), err)
				}
			})
		}
		wg.Go(func() {
			for n := range int64(single) {
				appendEvents(t, db, log, number("b/1", n))
			}
		})
		wg.Go(func() {
			for range single {
				appendEvents(t, db, log, event.Event{Subject: "a/1", Data: wrapperspb.String("x")})
			}
		})
		wg.Go(func() {
			for n := range bulks {
				many := make([]event.Event, bulk)
				for i := range many {
					many[i] = number("c/1", int64(n*bulk+i))
				}
				appendEvents(t, db, log, many...)
			}
		})
		wg.Wait()
		all := list(t, feed, &feedv1.ListEventsRequest{PageSize: 1000}, 2*single+bulks*bulk)
		for i, r := range readers {
			var want []string
			for _, ev := range all {
				if (r.types == nil || slices.Contains(r.types, ev.GetType())) && (r.subject == "" || r.subject == ev.GetSubject()) {
					want = append(want, ev.GetId())
				}
			}
			if !slices.Equal(r.seen, want) {
				t.Errorf("reader %d saw %d events, of which %d were for it, or in another order", i, len(r.seen), len(want))
			}
		}
	})
}

// However many streams read along, the table is read once for all.
func TestStreamsReadTogether(t *testing.T) {
	each(t, func(t *testing.T, like *store.DB) {
		const streams, events = 12, 60
		var reads atomic.Int64
		db := watched(t, like.Engine(), func(sql string, _ []any) {
			if strings.Contains(sql, "FROM events_gone") && strings.Contains(sql, "LEFT JOIN") {
				reads.Add(1)
			}
		})
		log := newLog(db)
		background(t, log.Run)
		var arrived sync.WaitGroup
		for i := range streams {
			types := []string{int64Type, "only." + string(rune('a'+i))}
			came := make(chan struct{})
			background(t, func(ctx context.Context) error {
				err := log.Follow(ctx, event.FollowRequest{After: event.Now, Types: types}, func(msg *feedv1.StreamEventsResponse) error {
					if len(msg.GetEvents()) == 0 {
						close(came)
					}
					for range msg.GetEvents() {
						arrived.Done()
					}
					return nil
				})
				if ctx.Err() == nil {
					return err
				}
				return nil
			})
			<-came
		}
		// Everybody reads along once an event has come through.
		arrived.Add(streams)
		appendEvents(t, db, log, number("a/1", 0))
		arrived.Wait()
		before := reads.Load()
		for n := range events {
			arrived.Add(streams)
			appendEvents(t, db, log, number("a/1", int64(1+n)))
			arrived.Wait()
		}
		// A commit whose transaction is not over when it is looked at takes a few looks.
		if n := reads.Load() - before; n > events*streams/3 {
			t.Errorf("%d events for %d streams took %d looks at the table", events, streams, n)
		}
	})
}

// watched is an empty database whose statements are seen.
func watched(t *testing.T, engine store.Engine, see func(sql string, args []any)) *store.DB {
	t.Helper()
	dsn := testkit.SQLiteDSN
	if engine == store.Postgres {
		dsn = testkit.PostgresDSN
	}
	db, err := store.Open(t.Context(), dsn(t, event.Migrations()), store.WithoutSync(), store.WithStatements(see))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// The end of the feed is found without reading what is before it.
func TestNowReadsNoEvents(t *testing.T) {
	t.Parallel()
	var sql string
	var args []any
	db := watched(t, store.Postgres, func(s string, a []any) {
		if strings.Contains(s, "FROM events_gone") {
			sql, args = s, a
		}
	})
	log := newLog(db)
	for n := range int64(300) {
		appendEvents(t, db, log, number("a/1", n))
	}
	err := log.Follow(t.Context(), event.FollowRequest{After: event.Now}, func(*feedv1.StreamEventsResponse) error { return errEnough })
	if !errors.Is(err, errEnough) || sql == "" {
		t.Fatal(err, sql)
	}
	statement, values := sql, args
	plan, err := store.Read(t.Context(), db, func(tx store.Tx) ([]string, error) {
		return store.Select[string](t.Context(), tx, "EXPLAIN (ANALYZE, TIMING OFF) "+statement, values...)
	})
	if text := strings.Join(plan, "\n"); err != nil || strings.Contains(text, "Rows Removed by Filter") {
		t.Errorf("%v; the plan is\n%s", err, text)
	}
}
