package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// forgottenAfter is when a job that is marked as running, and that this process does not work on, counts as forgotten. River
// tries for around 7 s to write down how a job has ended.
const forgottenAfter = 10 * time.Second

// atWork knows the jobs that this process works on. Nobody else does: a database that goes away at the wrong moment marks
// jobs as running for a process that never heard of them, or that could not tell how they ended.
type atWork struct {
	river.MiddlewareDefaults
	mu sync.Mutex
	// ended is when a job has ended; zero while it runs.
	ended map[int64]time.Time
}

// Work implements rivertype.WorkerMiddleware.
func (a *atWork) Work(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
	a.note(job.ID, time.Time{})
	defer func() { a.note(job.ID, time.Now()) }()
	return work(ctx)
}

func (a *atWork) note(id int64, ended time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended[id] = ended
}

// ids are the jobs at work, and those whose end may not be written down yet.
func (a *atWork) ids() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := make([]int64, 0, len(a.ended))
	for id, ended := range a.ended {
		if !ended.IsZero() && time.Since(ended) > forgottenAfter {
			delete(a.ended, id)
			continue
		}
		ids = append(ids, id)
	}
	return ids
}
