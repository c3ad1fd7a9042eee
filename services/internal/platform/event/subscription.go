package event

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// silence is when a connection without a sign of life is given up: three heartbeats.
	silence = 3 * heartbeat
	// chunk is how many events at the most share a transaction.
	chunk = 50
)

// errLost says that another replica has the subscription now.
var errLost = errors.New("event: the subscription was taken over")

// subscription is a Subscription at work. Its fields below the line belong to the goroutine of run.
type subscription struct {
	Subscription
	s      *Subscriber
	logger *slog.Logger

	cursor string
	// wrong is the error that is shown, as it is in the table.
	wrong string
	// parked has every subject with parked events, and perhaps some that were replayed meanwhile.
	parked map[string]bool
	// behind is for Measure.
	behind behind
}

// backoff is the pause after failure n: doubling from 50 ms to 5 s, less up to a quarter by chance.
func backoff(n int) time.Duration {
	d := 50 * time.Millisecond << min(max(n-1, 0), 7)
	d = min(d, 5*time.Second)
	return d - rand.N(d/4)
}

func (sub *subscription) run(ctx context.Context) {
	for ctx.Err() == nil {
		held, err := sub.acquire(ctx)
		if err != nil && ctx.Err() == nil {
			sub.logger.WarnContext(ctx, "event: taking the subscription failed", slog.Any("error", err))
		}
		if !held {
			pause(ctx, sub.s.lease/3)
			continue
		}
		sub.behind.since(sub.s.clock.Now()) // not heard of the source yet
		sub.follow(ctx)
		sub.behind.notOurs()
	}
	sub.release(context.WithoutCancel(ctx))
}

// follow reads the feed again and again until ctx ends or the lease is lost.
func (sub *subscription) follow(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		moved, err := sub.stream(ctx)
		if errors.Is(err, errLost) {
			return
		}
		if moved {
			failures = 0
		}
		failures++
		sub.behind.atLeastSince(sub.s.clock.Now())
		sub.report(ctx, err)
		pause(ctx, backoff(failures))
	}
}

// stream reads one connection to its end. moved tells that something arrived.
func (sub *subscription) stream(parent context.Context) (moved bool, err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() { cancel(errors.New("no sign of life from " + sub.Source)) })
	defer watchdog.Stop()

	stream, err := sub.Client.StreamEvents(ctx, &feedv1.StreamEventsRequest{After: sub.cursor, Types: sub.Types, Subscriber: sub.Name})
	if err != nil {
		return false, err
	}
	for {
		msg, err := stream.Recv()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil && parent.Err() == nil {
				err = cause
			}
			return moved, err
		}
		watchdog.Stop() // handling may take its time
		moved = true
		if err := sub.take(ctx, msg); err != nil {
			return moved, err
		}
		sub.report(ctx, nil)
		watchdog.Reset(silence)
	}
}

// take handles what a message brought, in transactions of several events; where one of those fails, event by event.
func (sub *subscription) take(ctx context.Context, msg *feedv1.StreamEventsResponse) error {
	events, cursors := msg.GetEvents(), msg.GetCursors()
	if len(events) == 1 && len(cursors) == 0 {
		cursors = []string{msg.GetCursor()}
	}
	if len(cursors) != len(events) {
		return fmt.Errorf("event: the feed of %s sent %d events with %d cursors", sub.Source, len(events), len(cursors))
	}
	for len(events) > 0 {
		sub.behind.since(events[0].GetAt().AsTime())
		n := min(chunk, len(events))
		if err := sub.takeChunk(ctx, events[:n], cursors[:n]); err != nil {
			return err
		}
		events, cursors = events[n:], cursors[n:]
	}
	if msg.GetCursor() != sub.cursor { // events of other types may have passed
		if err := sub.commit(ctx, nil, msg.GetCursor()); err != nil {
			return err
		}
	}
	sub.behind.caughtUp()
	return nil
}

func (sub *subscription) takeChunk(ctx context.Context, events []*feedv1.Event, cursors []string) error {
	if len(events) > 1 && !sub.anyParked(events) {
		err := sub.commit(ctx, events, cursors[len(cursors)-1])
		if err == nil || errors.Is(err, errLost) || ctx.Err() != nil {
			return err
		}
	}
	for i, ev := range events {
		if err := sub.takeOne(ctx, ev, cursors[i]); err != nil {
			return err
		}
	}
	return nil
}

// takeOne tries one event until it is handled or parked.
func (sub *subscription) takeOne(ctx context.Context, ev *feedv1.Event, cursor string) error {
	for failures := 1; ; {
		var err error
		if sub.parked[ev.GetSubject()] {
			err = sub.takeBehindParked(ctx, ev, cursor)
		} else {
			err = sub.commit(ctx, []*feedv1.Event{ev}, cursor)
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errLost):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		sub.logger.WarnContext(ctx, "event: handling failed", slog.String("event", ev.GetId()), slog.String("type", ev.GetType()),
			slog.Int("attempt", failures), slog.Any("error", err))
		sub.report(ctx, err)
		// An event is not to blame for a database that is away.
		if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrRetry) {
			if failures >= sub.Attempts {
				return sub.park(ctx, ev, cursor, failures, err)
			}
			failures++
		}
		pause(ctx, backoff(failures))
	}
}

// commit handles the events and moves the cursor, in one transaction.
func (sub *subscription) commit(ctx context.Context, events []*feedv1.Event, cursor string) error {
	return sub.write(ctx, func(tx store.Tx) error {
		ctx := ctx
		if sub.Prepare != nil && len(events) > 1 {
			var err error
			if ctx, err = sub.Prepare(ctx, tx, events); err != nil {
				return err
			}
		}
		for _, ev := range events {
			if err := sub.handle(ctx, tx, ev); err != nil {
				return err
			}
		}
		return sub.move(ctx, tx, events, cursor)
	}, cursor)
}

// write runs fn in a transaction; when it has committed, the cursor is the new one.
func (sub *subscription) write(ctx context.Context, fn func(tx store.Tx) error, cursor string) error {
	_, err := store.Write(ctx, sub.s.db, func(tx store.Tx) (struct{}, error) { return struct{}{}, fn(tx) })
	if err == nil {
		sub.cursor = cursor
	}
	return err
}

// move stores the cursor, but only for the holder and from where it was: whatever else happens, no event counts twice.
func (sub *subscription) move(ctx context.Context, tx store.Tx, events []*feedv1.Event, cursor string) error {
	var last *time.Time
	if len(events) > 0 {
		t := events[len(events)-1].GetAt().AsTime()
		last = &t
	}
	n, err := tx.Exec(ctx, `UPDATE subscriptions SET cursor = $1, moved_at = $2, last_event_at = COALESCE($3, last_event_at)
		WHERE name = $4 AND holder = $5 AND cursor = $6`, cursor, sub.s.clock.Now(), last, sub.Name, sub.s.holder, sub.cursor)
	if err == nil && n != 1 {
		err = errLost
	}
	return err
}

// handle calls the handler as what it is: an automatic step of this service, caused by the event.
func (sub *subscription) handle(ctx context.Context, tx store.Tx, ev *feedv1.Event) (err error) {
	ctx, span := startSpan(ctx, sub.Name, ev)
	defer span.End()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("event: the handler panicked: %v\n%s", p, debug.Stack())
		}
	}()
	ctx = WithCause(access.WithActor(ctx, access.System(sub.Name)), ev.GetId())
	return sub.Handler(ctx, tx, ev)
}

// report keeps the last error in the table, for people to see. It writes only what changed.
func (sub *subscription) report(ctx context.Context, err error) {
	text := errorText(ctx, err)
	if text == sub.wrong || ctx.Err() != nil {
		return
	}
	_, werr := store.Write(ctx, sub.s.db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(`UPDATE subscriptions SET last_error = $1 WHERE name = $2 AND holder = $3`, text, sub.Name, sub.s.holder)
		return struct{}{}, nil
	})
	if werr == nil {
		sub.wrong = text
	}
}

// errorText is what people may see of an error; the log has the rest.
func errorText(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.EOF):
		return "the source ended the connection"
	}
	return problem.Status(ctx, err).Message()
}

// acquire takes the lease, unless another replica holds it, and reads where to go on.
func (sub *subscription) acquire(ctx context.Context) (bool, error) {
	now := sub.s.clock.Now()
	free := "holder = $1 OR holder = '' OR lease_until < $2"
	if sub.s.db.Engine() == store.SQLite { // one process owns the file: whoever held it is dead
		free = "$2 = $2"
	}
	return store.Write(ctx, sub.s.db, func(tx store.Tx) (bool, error) {
		tx.Queue(`INSERT INTO subscriptions (name, source, cursor, holder, lease_until, last_error)
			VALUES ($1, $2, '', '', $3, '') ON CONFLICT (name) DO NOTHING`, sub.Name, sub.Source, now)
		n, err := tx.Exec(ctx, `UPDATE subscriptions SET holder = $1, lease_until = $3, source = $4
			WHERE name = $5 AND (`+free+`)`, sub.s.holder, now, now.Add(sub.s.lease), sub.Source, sub.Name)
		if err != nil || n == 0 {
			return false, err
		}
		row := tx.QueryRow(ctx, `SELECT cursor, last_error FROM subscriptions WHERE name = $1`, sub.Name)
		if err := row.Scan(&sub.cursor, &sub.wrong); err != nil {
			return false, err
		}
		subjects, err := store.Select[string](ctx, tx,
			`SELECT DISTINCT subject FROM parked_events WHERE subscription = $1`, sub.Name)
		if err != nil {
			return false, err
		}
		sub.parked = map[string]bool{}
		for _, subject := range subjects {
			sub.parked[subject] = true
		}
		return true, nil
	})
}

// release gives the lease back, so that another replica need not wait for its end.
func (sub *subscription) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := store.Write(ctx, sub.s.db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(`UPDATE subscriptions SET holder = '' WHERE name = $1 AND holder = $2`, sub.Name, sub.s.holder)
		return struct{}{}, nil
	})
	if err != nil {
		sub.logger.WarnContext(ctx, "event: giving the subscription back failed", slog.Any("error", err))
	}
}
