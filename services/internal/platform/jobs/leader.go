package jobs

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river/riverdriver"
)

// River v0.31.0 hangs for good when a client is stopped between winning the election of a leader and hearing of it itself: the
// elector then waits for the listener to take a message, and the listener for the elector to let it go. So Stop lets no
// election begin, and waits until the client has heard of the last one.

// hearWithin bounds the waiting: an election may be won and its commit fail, and then nobody hears of it.
const hearWithin = 2 * time.Second

// leadership follows the elections of one client.
type leadership struct {
	mu       sync.Mutex // held while an election is under way
	stopping bool
	heard    chan struct{} // of the last election that was won; nil before it, and once the client has heard of it
}

// elect runs an election, unless the client is about to stop.
func (l *leadership) elect(run func() (won bool, err error)) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping {
		return false, nil
	}
	won, err := run()
	if won {
		l.heard = make(chan struct{})
	}
	return won, err
}

// hear notes that the client knows that it leads.
func (l *leadership) hear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heard != nil {
		close(l.heard)
		l.heard = nil
	}
}

// end lets no other election begin, and returns when the client may be stopped.
func (l *leadership) end(ctx context.Context) {
	l.mu.Lock()
	l.stopping = true
	heard := l.heard
	l.mu.Unlock()
	if heard == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, hearWithin)
	defer cancel()
	select {
	case <-heard:
	case <-ctx.Done():
	}
}

// mendedDriver is a driver that tells of elections, and on which jobs stay that are to be kept.
type mendedDriver[TTx any] struct {
	riverdriver.Driver[TTx]
	*leadership
}

// GetExecutor implements riverdriver.Driver.
func (d mendedDriver[TTx]) GetExecutor() riverdriver.Executor {
	return mendedExecutor{d.Driver.GetExecutor(), d.leadership}
}

type mendedExecutor struct {
	riverdriver.Executor
	leadership *leadership
}

// Begin implements riverdriver.Executor: elections are held in transactions.
func (e mendedExecutor) Begin(ctx context.Context) (riverdriver.ExecutorTx, error) {
	tx, err := e.Executor.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return mendedTx{tx, e.leadership}, nil
}

// JobDeleteBefore implements riverdriver.Executor. River's driver for SQLite of this version deletes jobs of states, too, that it was
// told to keep.
func (e mendedExecutor) JobDeleteBefore(ctx context.Context, params *riverdriver.JobDeleteBeforeParams) (int, error) {
	kept := *params
	for _, state := range []struct {
		remove  bool
		horizon *time.Time
	}{
		{kept.CancelledDoDelete, &kept.CancelledFinalizedAtHorizon},
		{kept.CompletedDoDelete, &kept.CompletedFinalizedAtHorizon},
		{kept.DiscardedDoDelete, &kept.DiscardedFinalizedAtHorizon},
	} {
		if !state.remove {
			*state.horizon = time.Time{} // nothing ended before it
		}
	}
	return e.Executor.JobDeleteBefore(ctx, &kept)
}

type mendedTx struct {
	riverdriver.ExecutorTx
	leadership *leadership
}

// LeaderAttemptElect implements riverdriver.Executor.
func (t mendedTx) LeaderAttemptElect(ctx context.Context, params *riverdriver.LeaderElectParams) (bool, error) {
	return t.leadership.elect(func() (bool, error) { return t.ExecutorTx.LeaderAttemptElect(ctx, params) })
}

// riverLog passes on what River logs from a level on, and hears from the rest that the client knows that it leads: River tells it
// nowhere else at once.
type riverLog struct {
	slog.Handler
	min        slog.Level
	leadership *leadership
}

// Enabled implements slog.Handler.
func (h riverLog) Enabled(ctx context.Context, l slog.Level) bool {
	return l == slog.LevelDebug || l >= h.min && h.Handler.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h riverLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= h.min {
		return h.Handler.Handle(ctx, r)
	}
	if strings.HasSuffix(r.Message, "Election change received") {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "is_leader" && a.Value.Bool() {
				h.leadership.hear()
			}
			return true
		})
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h riverLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return riverLog{h.Handler.WithAttrs(attrs), h.min, h.leadership}
}

// WithGroup implements slog.Handler.
func (h riverLog) WithGroup(name string) slog.Handler {
	return riverLog{h.Handler.WithGroup(name), h.min, h.leadership}
}
