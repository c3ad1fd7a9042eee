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
		// What else the machine does may hold a few up. River's scheduler alone, every 5 s, would hold up most.
		if d := all[len(all)*9/10]; d > slowdown*time.Second {
			t.Errorf("one in ten starts more than %v late", d)
		}
		t.Logf("late at the most %v, half of them %v", all[len(all)-1], all[len(all)/2])
	})
}
