package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// ping is a job that carries a number.
type ping struct {
	N int `json:"n"`
}

func (ping) Kind() string { return "test.ping" }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// runner starts jobs with one worker, and stops them when the test ends.
func runner(t *testing.T, db *store.DB, w jobs.Worker[ping]) *jobs.Jobs {
	t.Helper()
	j := jobs.New(db, jobs.Config{Logger: quiet()})
	jobs.Register(j, w)
	start(t, j)
	return j
}

func start(t *testing.T, j *jobs.Jobs) {
	t.Helper()
	if err := j.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := j.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

func insert(t *testing.T, db *store.DB, j *jobs.Jobs, n int, opts jobs.Opts) {
	t.Helper()
	_, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, j.Insert(t.Context(), tx, ping{N: n}, opts)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came within 20 s")
		panic("unreachable")
	}
}

func each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	testkit.Engines(t, test, jobs.Migrations())
}

func TestRunsAfterCommitOnly(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ran := make(chan *jobs.Job[ping], 10)
		actors := make(chan access.Actor, 10)
		j := runner(t, db, func(ctx context.Context, job *jobs.Job[ping]) error {
			actors <- access.ActorOf(ctx)
			ran <- job
			return nil
		})
		_, err := store.Write(t.Context(), db, func(tx store.Tx) (int, error) {
			if err := j.Insert(t.Context(), tx, ping{N: 1}, jobs.Opts{}); err != nil {
				return 0, err
			}
			return 0, errors.New("no")
		})
		if err == nil {
			t.Fatal("the transaction should have failed")
		}
		insert(t, db, j, 2, jobs.Opts{})
		if job := receive(t, ran); job.Args.N != 2 || job.Attempt != 1 || job.ID == 0 || time.Since(job.CreatedAt).Abs() > time.Minute {
			t.Errorf("got %+v", job)
		}
		if a := receive(t, actors); a.Kind != access.KindSystem || a.ID != "test.ping" {
			t.Errorf("the actor is %+v", a)
		}
	})
}

// A commit wakes the worker: many jobs one after another take far less than a poll each.
func TestWakesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ran := make(chan int, 10)
		j := runner(t, db, func(_ context.Context, job *jobs.Job[ping]) error {
			ran <- job.Args.N
			return nil
		})
		began := time.Now()
		const n = 40
		for i := range n {
			insert(t, db, j, i, jobs.Opts{})
			if got := receive(t, ran); got != i {
				t.Fatalf("job %d ran instead of %d", got, i)
			}
		}
		if took := time.Since(began); took > n*150*time.Millisecond {
			t.Errorf("%d jobs took %s", n, took)
		} else {
			t.Logf("%s from the beginning of the transaction to the worker", took/n)
		}
	})
}

func TestRetriesAndLimits(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		attempts := make(chan int, 10)
		j := runner(t, db, func(_ context.Context, job *jobs.Job[ping]) error {
			attempts <- job.Attempt
			if job.Attempt < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		insert(t, db, j, 1, jobs.Opts{})
		for want := 1; want <= 3; want++ {
			if got := receive(t, attempts); got != want {
				t.Fatalf("attempt %d, want %d", got, want)
			}
		}
		if _, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
			return struct{}{}, j.Insert(t.Context(), tx, unknown{}, jobs.Opts{})
		}); err == nil {
			t.Error("a job without a worker was taken")
		}
		if _, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
			return struct{}{}, j.Insert(t.Context(), tx, ping{}, jobs.Opts{Queue: "nowhere"})
		}); err == nil {
			t.Error("a job for a queue that is not worked on was taken")
		}
	})
}

type unknown struct{}

func (unknown) Kind() string { return "test.unknown" }

func TestUniqueAndScheduled(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		var runs atomic.Int32
		gate := make(chan struct{})
		ran := make(chan int, 10)
		j := runner(t, db, func(ctx context.Context, job *jobs.Job[ping]) error {
			runs.Add(1)
			select {
			case <-gate:
			case <-ctx.Done():
			}
			ran <- job.Args.N
			return nil
		})
		for range 3 {
			insert(t, db, j, 1, jobs.Opts{UniqueKey: "one"})
		}
		insert(t, db, j, 2, jobs.Opts{RunAt: time.Now().Add(-time.Second), UniqueKey: "two"})
		insert(t, db, j, 3, jobs.Opts{RunAt: time.Now().Add(time.Hour)})
		close(gate)
		got := map[int]int{}
		for range 2 {
			got[receive(t, ran)]++
		}
		if got[1] != 1 || got[2] != 1 || runs.Load() != 2 {
			t.Errorf("runs: %v", got)
		}
	})
}

func TestErrorsThatPeopleSee(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		cases := map[int]error{
			1: jobs.Dead(problem.NotFound("lead", "x")),
			2: errors.New("duplicate key in table secrets"),
			3: nil,
		}
		done := make(chan int, 10)
		var fixed atomic.Bool
		j := runner(t, db, func(_ context.Context, job *jobs.Job[ping]) error {
			if fixed.Load() || cases[job.Args.N] == nil {
				done <- job.Args.N
				return nil
			}
			return cases[job.Args.N]
		})
		for n := 1; n <= 3; n++ {
			insert(t, db, j, n, jobs.Opts{MaxAttempts: 1})
		}
		receive(t, done)
		client := deadLetters(t, j)
		dead := waitForDead(t, client, 2)
		// Newest first.
		if dead[0].GetError() != "internal error" || dead[0].GetArgs() == "" || dead[0].GetKind() != "test.ping" {
			t.Errorf("got %v", dead[0])
		}
		if dead[1].GetError() != `lead "x" does not exist` || dead[1].GetAttempts() != 1 || dead[1].GetFinalizedAt() == nil {
			t.Errorf("got %v", dead[1])
		}
		fixed.Store(true)
		for _, d := range dead {
			replay(t, client, d.GetId())
		}
		if a, b := receive(t, done), receive(t, done); a+b != 3 {
			t.Errorf("replayed %d and %d", a, b)
		}
		waitForDead(t, client, 0)
	})
}

func TestAgainDoesNotCount(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		attempts := make(chan int, 10)
		var runs atomic.Int32
		j := runner(t, db, func(_ context.Context, job *jobs.Job[ping]) error {
			attempts <- job.Attempt
			if runs.Add(1) < 3 {
				return jobs.Again(time.Millisecond)
			}
			return nil
		})
		insert(t, db, j, 1, jobs.Opts{MaxAttempts: 1})
		for range 3 {
			if got := receive(t, attempts); got != 1 {
				t.Fatalf("attempt %d", got)
			}
		}
	})
}

// A process that dies leaves jobs marked as running: the next one takes them over at once.
func TestTakesOverFromTheDead(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ran := make(chan int, 10)
		j := jobs.New(db, jobs.Config{Logger: quiet()})
		jobs.Register(j, func(_ context.Context, job *jobs.Job[ping]) error {
			ran <- job.Attempt
			return nil
		})
		insert(t, db, j, 1, jobs.Opts{})
		sql := `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = ARRAY['dead']`
		if db.Engine() == store.SQLite {
			sql = `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = datetime('now', 'subsec'), attempted_by = json('["dead"]')`
		}
		if _, err := store.Write(t.Context(), db, func(tx store.Tx) (int64, error) { return tx.Exec(t.Context(), sql) }); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		start(t, j)
		if got := receive(t, ran); got != 2 {
			t.Errorf("attempt %d", got)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// A database that goes away at the wrong moment leaves jobs marked as running for a runner that lives and does not work on
// them. It finds them itself, and leaves what it works on alone.
func TestTakesUpWhatItForgot(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t, jobs.Migrations())
	ran, gate := make(chan int, 10), make(chan struct{})
	j := runner(t, db, func(_ context.Context, job *jobs.Job[ping]) error {
		ran <- job.Args.N
		if job.Args.N == 2 {
			<-gate
		}
		return nil
	})
	defer close(gate)
	insert(t, db, j, 1, jobs.Opts{})
	receive(t, ran)
	insert(t, db, j, 2, jobs.Opts{})
	receive(t, ran)
	// As if the end of the first job had not been written down, and as if both had begun a while ago: not so
	// long that River would find it strange.
	for n := int64(0); n == 0; {
		var err error
		n, err = store.Write(t.Context(), db, func(tx store.Tx) (int64, error) {
			tx.Queue(`UPDATE river_job SET attempted_at = now() - interval '1 minute'`)
			return tx.Exec(t.Context(), `UPDATE river_job SET state = 'running', finalized_at = NULL WHERE state = 'completed'`)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := receive(t, ran); got != 1 {
		t.Errorf("job %d ran again, want the forgotten one", got)
	}
	select {
	case got := <-ran:
		t.Errorf("job %d ran again, although it is at work or done", got)
	default:
	}
}

// A living runner's jobs are left alone by the others.
func TestLeavesTheLivingAlone(t *testing.T) {
	db := testkit.Postgres(t, jobs.Migrations())
	var runs atomic.Int32
	gate := make(chan struct{})
	begun, done := make(chan struct{}, 10), make(chan struct{}, 10)
	work := func(context.Context, *jobs.Job[ping]) error {
		runs.Add(1)
		begun <- struct{}{}
		<-gate
		done <- struct{}{}
		return nil
	}
	first := runner(t, db, work)
	insert(t, db, first, 1, jobs.Opts{})
	receive(t, begun)
	runner(t, db, work) // looks for the jobs of the dead when it starts
	close(gate)
	receive(t, done)
	if n := runs.Load(); n != 1 {
		t.Errorf("the job ran %d times", n)
	}
}

func TestStartNeedsTheTables(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		j := jobs.New(db, jobs.Config{Logger: quiet()})
		jobs.Register(j, func(context.Context, *jobs.Job[ping]) error { return nil })
		if err := j.Start(t.Context()); err == nil {
			t.Fatal("it started without tables")
		}
		if err := jobs.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		status, err := jobs.SchemaStatus(t.Context(), db)
		if err != nil || status.Behind() || status.Have == 0 {
			t.Fatalf("%+v, %v", status, err)
		}
		start(t, j)
	})
}

// The program of the version before lives on beside tables that the next one has migrated.
func TestTablesOfALaterVersion(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		_, err := store.Write(t.Context(), db, func(tx store.Tx) (int64, error) {
			return tx.Exec(t.Context(), `INSERT INTO river_migration (line, version) VALUES ('main', 99)`)
		})
		if err != nil {
			t.Fatal(err)
		}
		status, err := jobs.SchemaStatus(t.Context(), db)
		if err != nil || status.Behind() || status.Have != 99 {
			t.Errorf("%+v, %v", status, err)
		}
		if err := jobs.Migrate(t.Context(), db); err != nil {
			t.Error(err)
		}
		ran := make(chan int, 1)
		j := runner(t, db, func(_ context.Context, job *jobs.Job[ping]) error {
			ran <- job.Args.N
			return nil
		})
		insert(t, db, j, 7, jobs.Opts{})
		if n := receive(t, ran); n != 7 {
			t.Error(n)
		}
	})
}

// A service may be stopped the moment it has started, when River's election of a leader is still under way.
func TestStopAtOnce(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		for range 25 {
			j := jobs.New(db, jobs.Config{Logger: quiet()})
			jobs.Register(j, func(context.Context, *jobs.Job[ping]) error { return nil })
			if err := j.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := j.Stop(ctx)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// River removes completed jobs after a while, and dead ones never: somebody has to look at them.
func TestDeadJobsStay(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ago := map[store.Engine]string{store.Postgres: `now() - interval '2 hours'`, store.SQLite: `datetime('now', '-2 hours', 'subsec')`}[db.Engine()]
		j := jobs.New(db, jobs.Config{Logger: quiet()})
		jobs.Register(j, func(context.Context, *jobs.Job[ping]) error { return nil })
		for n := range 3 {
			insert(t, db, j, n, jobs.Opts{})
		}
		_, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
			for i, state := range []string{"completed", "discarded", "cancelled"} {
				tx.Queue(`UPDATE river_job SET state = '`+state+`', finalized_at = `+ago+` WHERE id = $1`, i+1)
			}
			return struct{}{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		start(t, j)
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			left, err := store.Read(t.Context(), db, func(tx store.Tx) ([]string, error) {
				return store.Select[string](t.Context(), tx, `SELECT CAST(state AS text) FROM river_job ORDER BY id`)
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(left) < 3 { // the cleaner was here
				if diff := cmp.Diff([]string{"discarded", "cancelled"}, left); diff != "" {
					t.Errorf("jobs that are left (- want, + got):\n%s", diff)
				}
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the cleaner did not come within 20 s")
			}
		}
	})
}

// Stop waits for the job at work; when the deadline comes first, it cancels it, and the job stays to be done.
func TestStop(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		j := jobs.New(db, jobs.Config{Logger: quiet()})
		begun := make(chan struct{}, 10)
		jobs.Register(j, func(ctx context.Context, _ *jobs.Job[ping]) error {
			begun <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})
		if err := j.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		insert(t, db, j, 1, jobs.Opts{})
		receive(t, begun)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := j.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		n, err := store.Read(t.Context(), db, func(tx store.Tx) (int64, error) {
			return store.Get[int64](t.Context(), tx, `SELECT count(*) FROM river_job WHERE state IN ('available', 'retryable')`)
		})
		if err != nil || n != 1 {
			t.Errorf("%d jobs wait, %v", n, err)
		}
	})
}
