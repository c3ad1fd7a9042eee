package sim

import (
	"context"
	"fmt"
	"runtime/debug"
	"testing"
	"testing/fstest"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// Plant is a bug put into the world, to see that it is found. Nil functions plant nothing.
type Plant struct {
	// Handler wraps the handlers of subscriptions.
	Handler func(event.Handler) event.Handler
	// Effect takes the place of what hooks do.
	Effect func(ctx context.Context, db *store.DB, tx store.Tx, h *handoffv1.Handoff, what string) error
	// Work changes what the worker of a job returned.
	Work func(error) error
	// Lose is the kind of jobs that the runner takes for done without working them.
	Lose string
	// Request changes a request at the receiver's door.
	Request func(req any)
	// Decided runs after a command of the desk.
	Decided func(ctx context.Context, db *store.DB, id string)
}

// Violation is something that must never be.
type Violation struct {
	// Rule is the broken rule; shrinking keeps it.
	Rule   string
	Detail string
}

func (v *Violation) Error() string { return v.Rule + ": " + v.Detail }

// World is four departments on one engine. It plays one schedule after the other, and is not safe for concurrent use.
type World struct {
	ctx     context.Context //nolint:containedctx // a world plays one schedule at a time
	procs   []*process
	plant   Plant
	sleeves sleeves
	runs    []*run
	strays  []*request
	cut     map[[2]int]bool
	// handoffs are the ids in the order of their offers.
	handoffs []string
	// lastWork is what the last job returned that came to its end.
	lastWork  error
	violation *Violation
	// given counts the commands of a schedule: some are given for many.
	given int
	// met counts what has happened in all schedules of this world: faults, states, answers, messages.
	met map[string]int
}

var start = time.Date(2030, 4, 1, 0, 0, 0, 0, time.UTC) // jobs that are inserted now, by the machine's clock, are due

func effects() store.Migrations {
	const sql = "-- +goose Up\nCREATE TABLE sim_effects (handoff_id TEXT NOT NULL, attempt BIGINT NOT NULL, what TEXT NOT NULL);\n" +
		"-- +goose Down\nDROP TABLE sim_effects;\n"
	return store.Migrations{Name: "sim", FS: fstest.MapFS{
		"sqlite/0001_effects.sql": {Data: []byte(sql)}, "postgres/0001_effects.sql": {Data: []byte(sql)},
	}}
}

// NewWorld makes the databases of a world. They are removed when the test ends.
func NewWorld(t testing.TB, engine store.Engine, plant Plant) *World {
	t.Helper()
	w := &World{ctx: context.Background(), plant: plant, met: map[string]int{}}
	sets := []store.Migrations{event.Migrations(), jobs.Migrations(), handoff.Migrations(), effects()}
	for i := range departments {
		p := &process{w: w, i: i, clock: testkit.NewClock(start)}
		dsn := testkit.SQLiteDSN
		if engine == store.Postgres {
			dsn = testkit.PostgresDSN
		}
		db, err := store.Open(w.ctx, dsn(t, sets...), store.WithoutSync(), store.WithMaxConns(4), store.WithReaders(2), store.WithCommits(p.faulty()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		p.db = db
		if p.tables, err = emptyTables(w.ctx, db); err != nil {
			t.Fatal(err)
		}
		if err = expiring(w.ctx, db); err != nil {
			t.Fatal(err)
		}
		w.procs = append(w.procs, p)
	}
	return w
}

// expiring lets offers of one kind expire; the policies of the house only escalate.
func expiring(ctx context.Context, db *store.DB) error {
	_, err := store.Write(ctx, db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(`UPDATE handoff_policies SET steps = '[{"clock":"ACCEPT","step":"ESCALATE"},{"clock":"ACCEPT","after":60,"step":"EXPIRE"}]'
			WHERE kind = 'CSQL'`)
		return struct{}{}, nil
	})
	return err
}

// emptyTables are the tables that are empty after the migrations: those that a schedule fills.
func emptyTables(ctx context.Context, db *store.DB) ([]string, error) {
	list := `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name`
	if db.Engine() == store.Postgres {
		list = `SELECT CAST(table_name AS text) FROM information_schema.tables
			WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name`
	}
	return store.Read(ctx, db, func(tx store.Tx) ([]string, error) {
		all, err := store.Select[string](ctx, tx, list)
		if err != nil {
			return nil, err
		}
		var empty []string
		for _, table := range all {
			n, err := store.Get[int64](ctx, tx, "SELECT count(*) FROM "+table)
			if err != nil {
				return nil, err
			}
			if n == 0 {
				empty = append(empty, table)
			}
		}
		return empty, nil
	})
}

// Play plays a schedule in an empty world. Nil: everything held.
func (w *World) Play(steps []Step) (v *Violation) {
	if err := w.reset(); err != nil {
		return &Violation{"the world cannot be made", err.Error()}
	}
	defer func() {
		if p := recover(); p != nil {
			v = &Violation{"panic", fmt.Sprintf("%v\n%s", p, debug.Stack())}
		}
		for _, r := range w.runs {
			r.stop()
		}
		w.runs = nil
	}()
	for i, s := range steps {
		w.sleeves.arm(s.Fault, s.Nth)
		w.do(s)
		w.look()
		if w.sleeves.fired {
			w.met["fault: "+string(s.Fault)]++
		}
		if w.violation != nil {
			w.violation.Detail = fmt.Sprintf("after step %d (%s): %s", i+1, s, w.violation.Detail)
			return w.violation
		}
	}
	w.heal()
	return w.violation
}

// fail notes the first violation.
func (w *World) fail(rule, format string, args ...any) {
	if w.violation == nil {
		w.violation = &Violation{rule, fmt.Sprintf(format, args...)}
	}
}

// reset empties the databases and starts the programs.
func (w *World) reset() error {
	w.given = 0
	w.sleeves.arm(None, 0)
	w.runs, w.strays, w.cut, w.handoffs, w.violation, w.lastWork = nil, nil, map[[2]int]bool{}, nil, nil, nil
	for _, p := range w.procs {
		_, err := store.Write(w.ctx, p.db, func(tx store.Tx) (struct{}, error) {
			for _, table := range p.tables {
				tx.Queue("DELETE FROM " + table)
			}
			return struct{}{}, nil
		})
		if err != nil {
			return err
		}
		p.clock.Set(start)
		p.ledger, p.dirty, p.readTo = ledger{}, false, map[string]int64{}
	}
	for _, p := range w.procs {
		p.start()
	}
	return nil
}

// feedSettled waits until no transaction of the server hides events of the process: what a feed shows must not depend on
// what else the server does.
func (w *World) feedSettled(p *process) {
	if p.db.Engine() != store.Postgres {
		return
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		hidden, err := store.Read(w.ctx, p.db, func(tx store.Tx) (bool, error) {
			return store.Get[bool](w.ctx, tx, `SELECT EXISTS (SELECT 1 FROM events WHERE xid >= pg_snapshot_xmin(pg_current_snapshot()))`)
		})
		if err != nil {
			w.fail("the database fails", "%v", err)
			return
		}
		if !hidden {
			return
		}
		<-time.After(time.Millisecond)
	}
	w.fail("the database fails", "a transaction on this server has hidden events for 30 seconds")
}
