package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river/rivertype"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Waiting is a job that is not done.
type Waiting struct {
	ID   int64
	Kind string
	// RunAt is when it is due: the RunAt of its Opts, or when it was inserted, by the clock of the machine.
	RunAt time.Time
}

// Manual works the jobs of a service one at a time and when it is told to, instead of Start: a simulation decides what runs
// when, and what the runner forgets. Nothing is retried by itself.
type Manual struct{ j *Jobs }

// ByHand is the manual runner of jobs that are not started.
func ByHand(j *Jobs) Manual { return Manual{j} }

// Waiting are the jobs that are not done, in the order in which they were inserted.
func (m Manual) Waiting(ctx context.Context) ([]Waiting, error) {
	return store.Read(ctx, m.j.db, func(tx store.Tx) ([]Waiting, error) {
		return store.Select[Waiting](ctx, tx, `SELECT id, kind, scheduled_at AS run_at FROM river_job
			WHERE state IN ('available', 'pending', 'retryable', 'running', 'scheduled') ORDER BY id`)
	})
}

// Work runs the worker of a job and returns what it returned. The job stays as it is: see Complete. Running it again, even
// meanwhile, is what a runner does that died before it could note the end.
func (m Manual) Work(ctx context.Context, id int64) error {
	type row struct {
		Kind      string
		Args      []byte
		CreatedAt time.Time
	}
	r, err := store.Read(ctx, m.j.db, func(tx store.Tx) (row, error) {
		return store.Get[row](ctx, tx, `SELECT kind, args, created_at FROM river_job WHERE id = $1`, id)
	})
	if err != nil {
		return fmt.Errorf("jobs: job %d: %w", id, err)
	}
	m.j.mu.Lock()
	work := m.j.byHand[r.Kind]
	m.j.mu.Unlock()
	if work == nil {
		return fmt.Errorf("jobs: no worker is registered for %q", r.Kind)
	}
	return work(ctx, &rivertype.JobRow{
		ID: id, Kind: r.Kind, EncodedArgs: r.Args, Attempt: 1, CreatedAt: r.CreatedAt, MaxAttempts: endless,
	})
}

// Complete notes that a job is done.
func (m Manual) Complete(ctx context.Context, id int64) error {
	_, err := store.Write(store.WithoutGuard(ctx), m.j.db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(`UPDATE river_job SET state = 'completed', finalized_at = `+m.j.sqlNow()+` WHERE id = $1`, id)
		return struct{}{}, nil
	})
	return err
}
