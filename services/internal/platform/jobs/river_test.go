package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

type probe struct {
	A string   `json:"a"`
	B []string `json:"b"`
}

func (probe) Kind() string { return "test.probe" }

// Our own insertion writes the row that River would: a new version of River that changes it fails here.
func TestRowIsRivers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		j := newJobs(db, Config{})
		Register(j, func(context.Context, *Job[probe]) error { return nil })
		args := probe{A: "日本", B: []string{"x"}}
		at := time.Now().Add(time.Hour).Truncate(time.Second)
		for _, c := range []struct {
			name string
			ours Opts
			opts river.InsertOpts
		}{
			{"plain", Opts{}, river.InsertOpts{MaxAttempts: endless}},
			{"bounded", Opts{MaxAttempts: 3, Queue: "default"}, river.InsertOpts{MaxAttempts: 3}},
			{"later", Opts{RunAt: at, MaxAttempts: 3}, river.InsertOpts{MaxAttempts: 3, ScheduledAt: at}},
			{"unique", Opts{UniqueKey: "k", MaxAttempts: 3}, river.InsertOpts{MaxAttempts: 3, UniqueOpts: river.UniqueOpts{
				ByArgs: true, ByState: []rivertype.JobState{"available", "pending", "running", "retryable", "scheduled"},
			}}},
		} {
			t.Run(c.name, func(t *testing.T) {
				rows, err := store.Write(ctx, db, func(tx store.Tx) ([]map[string]string, error) {
					if err := j.Insert(ctx, tx, args, c.ours); err != nil {
						return nil, err
					}
					if err := insertByRiver(ctx, tx, args, &c.opts); err != nil {
						return nil, err
					}
					return lastTwo(ctx, tx)
				})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(rows[1], rows[0]); diff != "" {
					t.Errorf("River's row (-) and ours (+) differ:\n%s", diff)
				}
			})
		}
	}, Migrations())
}

func insertByRiver(ctx context.Context, tx store.Tx, args river.JobArgs, opts *river.InsertOpts) error {
	if pgxTx := tx.PgxTx(); pgxTx != nil {
		c, err := river.NewClient(riverpgxv5.New(nil), &river.Config{})
		if err != nil {
			return err
		}
		_, err = c.InsertTx(ctx, pgxTx, args, opts)
		return err
	}
	c, err := river.NewClient(riversqlite.New(nil), &river.Config{})
	if err != nil {
		return err
	}
	_, err = c.InsertTx(ctx, tx.SQLTx(), args, opts)
	return err
}

// lastTwo are our row and River's, without what differs by chance: ids, the values of keys, River's nonce, and times that
// are not given, of which only the form is compared.
func lastTwo(ctx context.Context, tx store.Tx) ([]map[string]string, error) {
	sqlText := `SELECT CAST(args AS text), CAST(attempt AS text), coalesce(CAST(attempted_by AS text), 'NULL'),
		CAST(created_at > now() - interval '1 minute' AS text), coalesce(CAST(errors AS text), 'NULL'), kind, CAST(max_attempts AS text), CAST(metadata AS text), CAST(priority AS text), queue,
		CAST(state AS text), CASE WHEN scheduled_at > now() + interval '1 minute' THEN CAST(scheduled_at AS text) ELSE CAST(scheduled_at > now() - interval '1 minute' AS text) END, CAST(tags AS text), CAST(coalesce(length(unique_key), -1) AS text), coalesce(CAST(unique_states AS text), 'NULL')
		FROM river_job ORDER BY id DESC LIMIT 2`
	if tx.Dialect().Name() == string(store.SQLite) {
		sqlText = `SELECT typeof(args) || CAST(args AS text), CAST(attempt AS text), typeof(attempted_by),
		typeof(created_at) || length(created_at) || substr(created_at, 1, 13), typeof(errors), kind, CAST(max_attempts AS text), typeof(metadata) || json_remove(metadata, '$."river:unique_nonce"'),
		CAST(priority AS text), queue, state, typeof(scheduled_at) || CASE WHEN scheduled_at > datetime('now', '+1 minute') THEN scheduled_at ELSE length(scheduled_at) || substr(scheduled_at, 1, 13) END,
		typeof(tags) || tags, typeof(unique_key) || coalesce(length(unique_key), -1), typeof(unique_states) || coalesce(unique_states, 'NULL')
		FROM river_job ORDER BY id DESC LIMIT 2`
	}
	rows, err := tx.Query(ctx, sqlText)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []map[string]string
	for rows.Next() {
		values := make([]string, 15)
		dest := make([]any, len(values))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		m := map[string]string{}
		for i, v := range values {
			m[fmt.Sprintf("%02d", i)] = v
		}
		out = append([]map[string]string{m}, out...)
	}
	return out, rows.Err()
}

// A poll that finds nothing leaves SQLite's file alone.
func TestIdleSQLiteDoesNotWrite(t *testing.T) {
	db := testkit.SQLite(t, Migrations())
	pilot := &sqlitePilot{db: db}
	version := func() int64 {
		t.Helper()
		var n int64
		if err := db.Writer().QueryRowContext(t.Context(), "SELECT total_changes()").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := version()
	for range 3 {
		jobs, err := pilot.JobGetAvailable(t.Context(), nil, nil, &riverdriver.JobGetAvailableParams{MaxToLock: 5, Queue: "default"})
		if err != nil || jobs != nil { // the executor is nil: reaching for it would panic
			t.Fatal(jobs, err)
		}
	}
	if after := version(); after != before {
		t.Errorf("%d changes", after-before)
	}
}

// The client tells in time that it has heard of its election: Stop relies on it.
func TestElectionIsHeard(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		j := New(db, Config{Logger: slog.New(slog.DiscardHandler)})
		Register(j, func(context.Context, *Job[probe]) error { return nil })
		if err := j.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			won, err := store.Read(t.Context(), db, func(tx store.Tx) (int64, error) {
				return store.Get[int64](t.Context(), tx, `SELECT count(*) FROM river_leader`)
			})
			if err != nil {
				t.Fatal(err)
			}
			j.leadership.mu.Lock()
			heard := j.leadership.heard == nil
			j.leadership.mu.Unlock()
			if won == 1 && heard {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after 20 s: %d leaders, heard of it: %t", won, heard)
			}
		}
		if err := j.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if won, err := j.leadership.elect(func() (bool, error) { return true, nil }); won || err != nil {
			t.Errorf("an election after the end: %t, %v", won, err)
		}
	}, Migrations())
}

// Insertions must not pay for indexes that nobody reads, and all others of River are there.
func TestIndexes(t *testing.T) {
	db := testkit.Postgres(t, Migrations())
	got, err := store.Read(t.Context(), db, func(tx store.Tx) ([]string, error) {
		return store.Select[string](t.Context(), tx, `SELECT CAST(indexname AS text) FROM pg_indexes WHERE tablename = 'river_job' ORDER BY 1`)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"river_job_kind", "river_job_pkey", "river_job_prioritized_fetching_index", "river_job_state_and_finalized_at_index",
		"river_job_unique_idx",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("indexes (- want, + got):\n%s", diff)
	}
}
