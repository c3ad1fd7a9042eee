package event_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// run executes statements.
func run(t *testing.T, db *store.DB, statements ...string) {
	t.Helper()
	_, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
		for _, sql := range statements {
			tx.Queue(sql)
		}
		return struct{}{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// countFrom lets transaction ids of PostgreSQL begin so far ahead, as those of another server may.
func countFrom(t *testing.T, db *store.DB, shift int64) {
	t.Helper()
	run(t, db, fmt.Sprintf(`UPDATE feed_clock SET shift = %d`, shift), fmt.Sprintf(`ALTER TABLE events ALTER COLUMN xid
		SET DEFAULT CAST(CAST(CAST(CAST(pg_current_xact_id() AS text) AS bigint) + %d AS text) AS xid8)`, shift))
}

func resume(t *testing.T, db *store.DB, restored, want bool) {
	t.Helper()
	leapt, err := event.Resume(t.Context(), db, restored, time.Now())
	if err != nil || leapt != want {
		t.Fatalf("it leapt: %v, %v; want %v", leapt, err, want)
	}
}

// The feed is restored from a backup that is older than its reader's cursor. Without Resume the reader misses what is new, and
// with it nothing.
func TestResumeAfterRestore(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		log := newLog(db)
		feed := serve(t, log)
		if db.Engine() == store.Postgres {
			resume(t, db, false, false) // notes which server this is
			countFrom(t, db, 1_000_000_000)
		}
		appendEvents(t, db, log, number("kept/1", 1), number("kept/1", 2))
		after := func(cursor string, want int) []*feedv1.Event {
			t.Helper()
			return list(t, feed, &feedv1.ListEventsRequest{PageToken: cursor}, want)
		}
		after("", 2)
		appendEvents(t, db, log, number("lost/1", 1), number("lost/1", 2))
		var seen *feedv1.ListEventsResponse
		eventually(t, "the reader has seen all", func() bool {
			var err error
			if seen, err = feed.ListEvents(t.Context(), &feedv1.ListEventsRequest{}); err != nil {
				t.Fatal(err)
			}
			return len(seen.GetEvents()) == 4
		})

		run(t, db, `DELETE FROM events WHERE subject = 'lost/1'`) // the backup did not have them
		if db.Engine() == store.Postgres {
			countFrom(t, db, 0) // a new server
		} else {
			run(t, db, `UPDATE sqlite_sequence SET seq = 2 WHERE name = 'events'`)
		}
		appendEvents(t, db, log, number("missed/1", 1))
		if got, err := feed.ListEvents(t.Context(), &feedv1.ListEventsRequest{PageToken: seen.GetNextPageToken()}); err != nil || len(got.GetEvents()) != 0 {
			t.Fatalf("nothing to mend: the reader gets %v, %v", got, err)
		}
		run(t, db, `DELETE FROM events WHERE subject = 'missed/1'`)

		// PostgreSQL notices events from the future; that a file is another one, it must be told.
		resume(t, db, db.Engine() == store.SQLite, true)
		resume(t, db, false, false)
		appendEvents(t, db, log, number("kept/1", 3), number("new/1", 1))
		for cursor, want := range map[string][]string{
			seen.GetNextPageToken(): {"kept/1:3", "new/1:1"},
			"":                      {"kept/1:1", "kept/1:2", "kept/1:3", "new/1:1"},
		} {
			got := after(cursor, len(want))
			for i, ev := range got {
				if i >= len(want) || key(ev.GetSubject(), valueOf(t, ev)) != want[i] {
					t.Errorf("after %q: event %d is %v", cursor, i, ev)
				}
			}
		}
		stream, err := feed.StreamEvents(t.Context(), &feedv1.StreamEventsRequest{After: seen.GetNextPageToken()})
		if err != nil {
			t.Fatal(err)
		}
		var streamed []*feedv1.Event
		for len(streamed) < 2 {
			msg, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			streamed = append(streamed, msg.GetEvents()...)
		}
		if streamed[0].GetSubject() != "kept/1" || valueOf(t, streamed[0]) != 3 {
			t.Errorf("the stream gives %v", streamed)
		}
		resume(t, db, true, true) // once more, and nothing is out of order
		appendEvents(t, db, log, number("kept/1", 4))
		for i, ev := range after("", 5) {
			if i == 4 && valueOf(t, ev) != 4 {
				t.Errorf("the last is %v", ev)
			}
		}
	})
}

// An older file is put back, and nobody says so: the first subscription that connects is ahead of it, and the feed leaps.
func TestOlderFileUnderItsReaders(t *testing.T) {
	t.Parallel()
	there := testkit.SQLite(t, event.Migrations())
	here := database(t, there)
	effects(t, here)
	log := newLog(there)
	background(t, log.Run)
	feed := feedv1.NewFeedServiceClient(connect(t, log.RegisterServer, grpc.StreamInterceptor(asService)))
	for n := range int64(5) {
		appendEvents(t, there, log, number("lead/1", n+1))
	}
	read(t, here, feed, 0, nil).waitFor(t, here, 5).stop()
	last := read(t, here, feed, 0, nil) // connects where it is, which is no reason to leap
	leaps := func() (n int64) {
		t.Helper()
		n, err := store.Read(t.Context(), there, func(tx store.Tx) (int64, error) {
			return store.Get[int64](t.Context(), tx, `SELECT leaps FROM feed_clock`)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	appendEvents(t, there, log, number("lead/1", 6))
	last.waitFor(t, here, 6).stop()
	if n := leaps(); n != 0 {
		t.Errorf("it leapt %d times for nothing", n)
	}

	for i, older := range [][]string{
		{`DELETE FROM events WHERE seq > 3`, `UPDATE sqlite_sequence SET seq = 3 WHERE name = 'events'`},
		{`DELETE FROM events`, `DELETE FROM sqlite_sequence WHERE name = 'events'`}, // one that never had an event
	} {
		run(t, there, older...)
		r := read(t, here, feed, 0, nil)
		eventually(t, "the feed leaps", func() bool { return leaps() == int64(i)+1 })
		n := int64(7 + i)
		appendEvents(t, there, log, number("lead/1", n))
		r.waitFor(t, here, int(n)).stop()
		if got := done(t, here); got[n-1] != key("lead/1", n) {
			t.Errorf("the effects are %v", got)
		}
	}
}

// A subscription goes on over a leap: nothing twice, nothing left out, while others write.
func TestSubscriptionOverLeaps(t *testing.T) {
	each(t, func(t *testing.T, there *store.DB) {
		here := database(t, there)
		effects(t, here)
		log := newLog(there)
		feed := serve(t, log)
		r := read(t, here, feed, 0, nil)
		const events, leaps = 120, 3
		wrote := make(chan error, 1)
		go func() {
			for n := range int64(events) {
				if err := tryAppend(t.Context(), there, log, number("lead/1", n+1)); err != nil {
					wrote <- err
					return
				}
			}
			wrote <- nil
		}()
		for i := range leaps {
			eventually(t, "events have come", func() bool { return len(done(t, here)) > i*events/(leaps+1) })
			resume(t, there, true, true)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		r.waitFor(t, here, events)
		for i, k := range done(t, here) {
			if k != key("lead/1", int64(i+1)) {
				t.Fatalf("effect %d is %s", i+1, k)
			}
		}
	})
}

// Another server, or another timeline of the same: a promoted standby, a recovery to a point in time.
func TestResumeOnAnotherServer(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t, event.Migrations())
	resume(t, db, false, false)
	var server string
	_, err := store.Read(t.Context(), db, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, tx.QueryRow(t.Context(), `SELECT server FROM feed_clock`).Scan(&server)
	})
	if err != nil || len(server) < 10 {
		t.Fatalf("it is noted as %q, %v", server, err)
	}
	for _, last := range []string{"7000000000000000000/00000001", server[:len(server)-1] + "F"} {
		run(t, db, `UPDATE feed_clock SET server = '`+last+`'`)
		resume(t, db, false, true)
		resume(t, db, false, false)
	}
}
