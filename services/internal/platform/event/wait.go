package event

import (
	"context"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// breath is the least time between two looks at the table, and manyBreaths of them after a look that has found as many
	// events: under load events come in batches, and whoever handles them needs fewer transactions.
	breath      = 3 * time.Millisecond
	manyBreaths = 8
	// lastBreath is how far looks part while a running transaction hides events: nobody tells when it ends.
	lastBreath = 100 * time.Millisecond
)

// slowLook is after how long the table is looked at although nothing woke us.
func (l *Log) slowLook() time.Duration {
	switch {
	case l.db.Engine() == store.SQLite:
		return 5 * time.Second // one process writes, and it wakes us
	case l.listening.Load():
		return time.Second
	}
	return 200 * time.Millisecond
}

// waiter is when the table is looked at again.
type waiter struct {
	ctx    context.Context
	log    *Log
	woken  <-chan struct{}
	looked time.Time
	soon   time.Duration
	timer  *time.Timer
}

func newWaiter(ctx context.Context, l *Log) *waiter {
	return &waiter{ctx: ctx, log: l, soon: breath, timer: time.NewTimer(time.Hour)}
}

func (w *waiter) stop() { w.timer.Stop() }

// look must be called right before the table is read: wake-ups from here on end the next wait.
func (w *waiter) look() {
	w.woken = w.log.wakeup.waiting()
	w.looked = time.Now()
}

// wait returns when it is time to look again, after a look that has found so many events, and whether more are pending.
func (w *waiter) wait(found int, pending bool) error {
	d := w.log.slowLook()
	if pending {
		d, w.soon = w.soon, min(2*w.soon, lastBreath)
	} else {
		w.soon = breath
	}
	woken, err := w.sleep(d, w.woken)
	if err == nil && woken {
		_, err = w.sleep(breathAfter(found)-time.Since(w.looked), nil)
	}
	return err
}

// breathAfter is the least time between a look that has found so many events and the next.
func breathAfter(found int) time.Duration {
	return breath * time.Duration(min(max(found, 1), manyBreaths))
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
