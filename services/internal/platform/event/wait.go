package event

import (
	"context"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// breath is the least time between two looks at the table: under load events come in batches.
	breath = 3 * time.Millisecond
	// lastBreath is how far looks part while a running transaction hides events: nobody tells when it ends.
	lastBreath = 100 * time.Millisecond
)

// slowLook is after how long a stream looks although nothing woke it.
func (l *Log) slowLook() time.Duration {
	switch {
	case l.db.Engine() == store.SQLite:
		return 5 * time.Second // one process writes, and it wakes us
	case l.listening.Load():
		return time.Second
	}
	return 200 * time.Millisecond
}

// waiter is when a stream looks again.
type waiter struct {
	ctx    context.Context
	log    *Log
	woken  <-chan struct{}
	looked time.Time
	spoke  time.Time
	soon   time.Duration
	timer  *time.Timer
}

func newWaiter(ctx context.Context, l *Log) *waiter {
	return &waiter{ctx: ctx, log: l, spoke: time.Now(), soon: breath, timer: time.NewTimer(time.Hour)}
}

func (w *waiter) stop() { w.timer.Stop() }

// look must be called right before the table is read: wake-ups from here on end the next wait.
func (w *waiter) look() {
	w.woken = w.log.wakeup.waiting()
	w.looked = time.Now()
}

// wait returns when it is time to look again; silent tells that a sign of life is due.
func (w *waiter) wait(b batch) (silent bool, err error) {
	if len(b.events) > 0 {
		w.spoke = time.Now()
	}
	d := w.log.slowLook()
	switch {
	case b.full:
		return false, w.ctx.Err()
	case b.pending:
		d, w.soon = w.soon, min(2*w.soon, lastBreath)
	default:
		w.soon = breath
	}
	woken, err := w.sleep(min(d, time.Until(w.spoke.Add(heartbeat))), w.woken)
	if err == nil && woken {
		_, err = w.sleep(breath-time.Since(w.looked), nil)
	}
	if err != nil {
		return false, err
	}
	if time.Since(w.spoke) >= heartbeat {
		w.spoke = time.Now()
		return true, nil
	}
	return false, nil
}

func (w *waiter) sleep(d time.Duration, woken <-chan struct{}) (bool, error) {
	if d <= 0 && woken == nil {
		return false, w.ctx.Err()
	}
	w.timer.Reset(max(d, 0))
	select {
	case <-w.ctx.Done():
		return false, w.ctx.Err()
	case <-w.log.stopped:
		return false, problem.Unavailable("the feed")
	case <-woken:
		return true, nil
	case <-w.timer.C:
		return false, nil
	}
}
