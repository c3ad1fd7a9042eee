package event_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// waysToInsert write an event of each subject in one statement.
var waysToInsert = map[string]func(ctx context.Context, tx pgx.Tx, subjects []string) error{
	"INSERT SELECT": func(ctx context.Context, tx pgx.Tx, subjects []string) error {
		_, err := tx.Exec(ctx, `INSERT INTO events (id, type, subject, subject_version, journey_id, actor_kind, actor_id, actor_name, cause,
			traceparent, at, data) SELECT gen_random_uuid(), 't', s, 1, '', '', '', '', '', '', now(), '' FROM unnest($1::text[]) AS s`, subjects)
		return err
	},
	"COPY": func(ctx context.Context, tx pgx.Tx, subjects []string) error {
		columns := []string{"id", "type", "subject", "subject_version", "journey_id", "actor_kind", "actor_id", "actor_name", "cause", "traceparent", "at", "data"}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"events"}, columns, pgx.CopyFromSlice(len(subjects), func(i int) ([]any, error) {
			return []any{uuid.New(), "t", subjects[i], 1, "", "", "", "", "", "", time.Now(), []byte{}}, nil
		}))
		return err
	},
}

// tooLate inserts events in a transaction that has its number before others write theirs, and tells whether it is refused, so
// that it may come again with a later number.
func tooLate(t *testing.T, db *store.DB, others func(), insert func(ctx context.Context, tx pgx.Tx) error) bool {
	t.Helper()
	tx, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }() // whatever was inserted is looked at no more
	if _, err := tx.Exec(t.Context(), `SELECT pg_current_xact_id()`); err != nil {
		t.Fatal(err)
	}
	others()
	var refused *pgconn.PgError
	err = insert(t.Context(), tx)
	if err != nil && (!errors.As(err, &refused) || refused.Code != "40001") {
		t.Fatal(err)
	}
	return err != nil
}

// However many events a statement writes, wherever among them one comes too late, and from wherever the feed counts: the
// statement is refused, and only then.
func TestOrderOfManySubjects(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t, event.Migrations())
	log := newLog(db)
	subjects := make([]string, 16)
	for i := range subjects {
		subjects[i] = key("a", int64(i))
		appendEvents(t, db, log, number(subjects[i], 1))
	}
	for _, leaps := range []bool{false, true} {
		if leaps {
			resume(t, db, true, true)
		}
		for way, insert := range waysToInsert {
			for _, c := range []struct {
				name     string
				subjects []string
				others   []string
				refused  bool
			}{
				{"one", subjects[:1], subjects[:1], true},
				{"the first of three", subjects[:3], subjects[:1], true},
				{"the last of sixteen", subjects, subjects[15:], true},
				{"all", subjects, subjects, true},
				{"one that comes twice", []string{"b", "c", "b"}, []string{"b"}, true},
				{"another one", subjects[:1], subjects[1:2], false},
				{"other ones", subjects[:8], subjects[8:], false},
				{"nobody", subjects, nil, false},
				{"one that comes twice, of nobody", []string{"d", "d"}, nil, false},
				{"nothing", nil, subjects, false},
			} {
				refused := tooLate(t, db, func() {
					for _, s := range c.others {
						appendEvents(t, db, log, number(s, 2))
					}
				}, func(ctx context.Context, tx pgx.Tx) error { return insert(ctx, tx, c.subjects) })
				if refused != c.refused {
					t.Errorf("%s, %s, after a leap %v: refused %v", way, c.name, leaps, refused)
				}
			}
		}
	}
}

// A transaction that others follow while it runs is refused only for what they have written: not for those that came to nothing,
// nor for its own events.
func TestOrderAmongUnfinished(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t, event.Migrations())
	log := newLog(db)
	insert := waysToInsert["INSERT SELECT"]
	refused := tooLate(t, db, func() {
		_, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
			return struct{}{}, errors.Join(log.Append(t.Context(), tx, number("a", 1)), tx.Flush(t.Context()), context.Canceled)
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		appendEvents(t, db, log, number("b", 1))
	}, func(ctx context.Context, tx pgx.Tx) error {
		return errors.Join(insert(ctx, tx, []string{"a"}), insert(ctx, tx, slices.Repeat([]string{"a"}, 3)))
	})
	if refused {
		t.Error("it is refused")
	}
}

// Many transactions that have their numbers long before they get hold of one of a few subjects: those of a subject are in the
// feed as they got hold of it.
func TestOrderOfContestedSubjects(t *testing.T) {
	t.Parallel()
	const writers, each, contested = 8, 30, 3
	db := testkit.Postgres(t, event.Migrations())
	log := newLog(db)
	feed := serve(t, log)
	run(t, db, `CREATE TABLE versions AS SELECT 's:' || i AS subject, 0 AS version FROM generate_series(0, 2) AS i`)
	write := func(tx store.Tx, subject, own string) error {
		if _, err := tx.Exec(t.Context(), `SELECT pg_current_xact_id()`); err != nil {
			return err
		}
		version, err := store.Get[int64](t.Context(), tx, `UPDATE versions SET version = version + 1 WHERE subject = $1 RETURNING CAST(version AS bigint)`, subject)
		if err != nil {
			return err
		}
		return log.Append(t.Context(), tx, number(own, 1), number(subject, version), number(own, 2))
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				for { // rivals may come first more often than a Write tries
					_, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
						return struct{}{}, write(tx, key("s", int64((w+n)%contested)), key("own", int64(w)))
					})
					if err == nil {
						break
					}
					if !errors.Is(err, store.ErrRetry) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	last := map[string]int64{}
	for _, ev := range list(t, feed, &feedv1.ListEventsRequest{}, 3*writers*each) {
		if s := ev.GetSubject(); strings.HasPrefix(s, "s:") && ev.GetSubjectVersion() != last[s]+1 {
			t.Errorf("version %d of %s comes after %d", ev.GetSubjectVersion(), s, last[s])
		}
		last[ev.GetSubject()] = ev.GetSubjectVersion()
	}
}

// It is the trigger that refuses: without it, the tests above fail.
func TestOrderNeedsItsTrigger(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t, event.Migrations())
	run(t, db, `DROP TRIGGER events_in_order ON events`)
	refused := tooLate(t, db, func() { appendEvents(t, db, newLog(db), number("a", 1)) }, func(ctx context.Context, tx pgx.Tx) error {
		return waysToInsert["COPY"](ctx, tx, []string{"a"})
	})
	if refused {
		t.Error("something else has refused it")
	}
}
