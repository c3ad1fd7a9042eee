package jobs_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// appointment is a job that carries when it is due.
type appointment struct {
	DueAt time.Time `json:"due_at"`
}

func (appointment) Kind() string { return "test.appointment" }

// Jobs start within a second of the time they are due: soon or late, one by one or many at the same moment, and those of
// another process that only left them.
func TestDueJobsStartWithinASecond(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		t.Parallel()
		const scattered, atOnce = 60, 30 // few: it is about when, not about how many
		late := make(chan time.Duration, scattered+atOnce)
		worker := func(_ context.Context, job *jobs.Job[appointment]) error {
			late <- time.Since(job.Args.DueAt)
			return nil
		}
		j := jobs.New(db, jobs.Config{Logger: quiet()})
		jobs.Register(j, worker)
		start(t, j)
		from := j
		if db.Engine() == store.Postgres { // the process that leaves the jobs does not work on them
			from = jobs.New(db, jobs.Config{Logger: quiet()})
			jobs.Register(from, worker)
		}
		now, random := time.Now(), rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not for secrets
		_, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
			for i := range scattered + atOnce {
				due := now.Add(6500 * time.Millisecond)
				if i < scattered {
					due = now.Add(100*time.Millisecond + time.Duration(random.Int64N(int64(7*time.Second))))
				}
				if err := from.Insert(t.Context(), tx, appointment{DueAt: due}, jobs.Opts{RunAt: due}); err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all := make([]time.Duration, scattered+atOnce)
		for i := range all {
			all[i] = receive(t, late)
		}
		slices.Sort(all)
		if all[0] < -time.Millisecond { // SQLite rounds times to milliseconds
			t.Errorf("%v too early", -all[0])
		}
		// What else the machine does may hold a few up. That the alarm wakes the workers, and not the poll, is shown below.
		if d := all[len(all)*9/10]; d > slowdown*time.Second {
			t.Errorf("one in ten starts more than %v late", d)
		}
		t.Logf("late at the most %v, half of them %v", all[len(all)-1], all[len(all)/2])
	})
}

// Without the poll the alarm alone lets jobs begin, those included that River holds as scheduled.
func TestAlarmAlone(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		t.Parallel()
		began := make(chan time.Time, 4)
		j := jobs.New(db, jobs.Config{Logger: quiet()})
		j.PollEvery(time.Hour)
		jobs.Register(j, func(_ context.Context, job *jobs.Job[appointment]) error {
			began <- job.Args.DueAt
			return nil
		})
		start(t, j)
		now := time.Now()
		dues := []time.Time{now.Add(300 * time.Millisecond), now.Add(time.Second), now.Add(2 * time.Second), now.Add(6 * time.Second)}
		_, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
			for _, due := range dues {
				if err := j.Insert(t.Context(), tx, appointment{DueAt: due}, jobs.Opts{RunAt: due}); err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for range dues {
			if due := receive(t, began); time.Now().Before(due.Add(-time.Millisecond)) { // SQLite rounds to milliseconds
				t.Errorf("the job of %s began too early", due)
			}
		}
	})
}
