package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// lookEvery is how often the alarm looks for due times that nobody told it of: those of retries, and of other processes.
	// What is due within schedulerInterval is available already and found by the poll, so sooner than that is soon enough.
	lookEvery = 4 * time.Second
	// lookAhead is how far a look sees: beyond the next one, which may be late. What comes due in between, and was made available
	// by River's scheduler, would not be seen ahead by either.
	lookAhead = lookEvery + 2*time.Second
	// dueBatch is how many jobs at the most become available in one transaction: at nine o'clock many clocks ring.
	dueBatch = 1000
	// early is how far the clock of the database, which counts milliseconds on SQLite, may be ahead of what we make of it.
	early = 2 * time.Millisecond
	// breath is the least pause between two looks.
	breath = 10 * time.Millisecond
)

// alarm is when jobs are next due. River's own scheduler looks every 5 s, and only in one process, which may just have died.
type alarm struct {
	mu   sync.Mutex
	at   time.Time
	poke chan struct{}
}

// set notes when the alarm looks next.
func (a *alarm) set(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = at
}

// add tells of a job that is due before the alarm would look. Without a running alarm it does nothing.
func (a *alarm) add(due time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !due.Before(a.at) {
		return
	}
	select {
	case a.poke <- struct{}{}:
	default:
	}
}

// keepTime wakes the workers whenever jobs become due, until ctx ends.
func (j *Jobs) keepTime(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer j.alarm.set(time.Time{})
	rings := map[string]time.Time{} // when the next job of a queue is due
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-j.alarm.poke:
		}
		j.alarm.set(time.Now().Add(lookEvery)) // what is inserted from here on may not be seen below
		wait := lookEvery
		for queue := range j.queues {
			next, err := j.ringDue(ctx, queue)
			if err != nil && ctx.Err() == nil {
				j.logger.WarnContext(ctx, "jobs: looking for due jobs failed", slog.Any("error", err))
			}
			// After that look: what it no longer saw ahead, the workers see. A ring too many does no harm, one too few would.
			if at, ok := rings[queue]; ok && time.Until(at) < early {
				j.wakeup.add(queue)
			}
			delete(rings, queue)
			if next < lookAhead {
				rings[queue] = time.Now().Add(next)
			}
			wait = min(wait, next)
		}
		j.alarm.set(time.Now().Add(wait))
		timer.Reset(wait)
	}
}

// ringDue makes the due jobs of a queue available and returns how long until the next is due, at the most lookAhead.
func (j *Jobs) ringDue(ctx context.Context, queue string) (time.Duration, error) {
	for {
		next, err := j.nextDue(ctx, queue)
		if err != nil || next > 0 {
			return next, err
		}
		n, err := store.Write(store.WithoutGuard(ctx), j.db, func(tx store.Tx) (int64, error) {
			return tx.Exec(ctx, `UPDATE river_job SET state = 'available' WHERE id IN (
				SELECT id FROM river_job WHERE state IN ('retryable', 'scheduled') AND queue = $1 AND priority = 1
				AND scheduled_at <= `+j.sqlNow()+` ORDER BY scheduled_at LIMIT $2`+tx.Dialect().ForUpdateSkipLocked()+`)`,
				queue, int64(dueBatch))
		})
		if err != nil {
			return lookAhead, fmt.Errorf("jobs: make due jobs available: %w", err)
		}
		j.wakeup.add(queue)
		if n == 0 { // another process is at it
			return breath, nil
		}
	}
}

// nextDue tells how long until a job of a queue is due, by the clock of the database: zero when one is that is not available
// yet, at the most lookAhead. It reads the first entries of an index.
func (j *Jobs) nextDue(ctx context.Context, queue string) (time.Duration, error) {
	first := func(state, and string) string {
		return `(SELECT ` + j.sqlUntil() + ` FROM river_job
			WHERE state = '` + state + `' AND queue = $1 AND priority = 1 ` + and + ` ORDER BY scheduled_at LIMIT 1)`
	}
	var scheduled, retryable, available *float64
	_, err := store.Read(ctx, j.db, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, tx.QueryRow(ctx, `SELECT `+first("scheduled", "")+`, `+first("retryable", "")+`, `+
			first("available", "AND scheduled_at > "+j.sqlNow()), queue).Scan(&scheduled, &retryable, &available)
	})
	if err != nil {
		return lookAhead, fmt.Errorf("jobs: look for the next due job: %w", err)
	}
	wait := lookAhead
	for _, seconds := range []*float64{scheduled, retryable, available} {
		if seconds != nil && *seconds < wait.Seconds() {
			wait = max(0, time.Duration(*seconds*float64(time.Second)))
		}
	}
	return wait, nil
}

// sqlNow is the clock that decides what is due.
func (j *Jobs) sqlNow() string {
	if j.db.Engine() == store.Postgres {
		return "now()"
	}
	return "datetime('now', 'subsec')"
}

// sqlUntil is how many seconds are left until a job is due.
func (j *Jobs) sqlUntil() string {
	if j.db.Engine() == store.Postgres {
		return "CAST(EXTRACT(EPOCH FROM scheduled_at - now()) AS double precision)"
	}
	return "(julianday(scheduled_at) - julianday('now')) * 86400"
}
