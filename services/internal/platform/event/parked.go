package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/protobuf/proto"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// errBehind is why an event is parked that was not even tried.
const errBehind = "an earlier event of the same subject is parked"

func (sub *subscription) anyParked(events []*feedv1.Event) bool {
	for _, ev := range events {
		if sub.parked[ev.GetSubject()] {
			return true
		}
	}
	return false
}

// lockParked lets parking and replaying, which may run in two replicas, follow one another.
func (sub *subscription) lockParked(tx store.Tx) { store.Lock(tx, "event.parked:"+sub.Name) }

// takeBehindParked parks an event whose subject has parked events, and handles it when those were replayed meanwhile.
func (sub *subscription) takeBehindParked(ctx context.Context, ev *feedv1.Event, cursor string) error {
	behind := false
	err := sub.write(ctx, func(tx store.Tx) error {
		sub.lockParked(tx)
		var n int64
		row := tx.QueryRow(ctx, `SELECT count(*) FROM parked_events WHERE subscription = $1 AND subject = $2`, sub.Name, ev.GetSubject())
		err := row.Scan(&n)
		if behind = n > 0; err != nil {
			return err
		}
		if behind {
			err = sub.insertParked(tx, ev, 0, errBehind)
		} else {
			err = sub.handle(ctx, tx, ev)
		}
		if err != nil {
			return err
		}
		return sub.move(ctx, tx, []*feedv1.Event{ev}, cursor)
	}, cursor)
	if err == nil && !behind {
		delete(sub.parked, ev.GetSubject())
	}
	return err
}

// park sets an event aside that failed for good, and moves on.
func (sub *subscription) park(ctx context.Context, ev *feedv1.Event, cursor string, attempts int, why error) error {
	err := sub.write(ctx, func(tx store.Tx) error {
		sub.lockParked(tx)
		if err := sub.insertParked(tx, ev, attempts, errorText(ctx, why)); err != nil {
			return err
		}
		return sub.move(ctx, tx, []*feedv1.Event{ev}, cursor)
	}, cursor)
	if err != nil {
		return err
	}
	sub.parked[ev.GetSubject()] = true
	sub.logger.ErrorContext(ctx, "event: parked", slog.String("event", ev.GetId()), slog.String("type", ev.GetType()),
		slog.String("subject", ev.GetSubject()), slog.Any("error", why))
	return nil
}

func (sub *subscription) insertParked(tx store.Tx, ev *feedv1.Event, attempts int, why string) error {
	data, err := proto.Marshal(ev)
	if err != nil {
		return fmt.Errorf("event: park: %w", err)
	}
	tx.Queue(`INSERT INTO parked_events (subscription, position, event_id, subject, event, error, attempts, parked_at)
		SELECT $1, COALESCE(MAX(position), 0) + 1, $2, $3, $4, $5, $6, $7 FROM parked_events WHERE subscription = $1`,
		sub.Name, ev.GetId(), ev.GetSubject(), data, why, int64(attempts), sub.s.clock.Now())
	return nil
}

// replay handles the parked events of a subject again, in order, until one fails or none is left.
func (sub *subscription) replay(ctx context.Context, subject string) (replayed int32, err error) {
	ctx = store.WithoutGuard(ctx)
	for {
		more, err := sub.replayNext(ctx, subject)
		if err != nil || !more {
			return replayed, err
		}
		replayed++
	}
}

// errReplay is the failure of a handler, which is kept with the event; other errors are those of the database.
type errReplay struct {
	position int64
	err      error
}

func (e *errReplay) Error() string { return e.err.Error() }
func (e *errReplay) Unwrap() error { return e.err }

func (sub *subscription) replayNext(ctx context.Context, subject string) (bool, error) {
	more, err := store.Write(ctx, sub.s.db, func(tx store.Tx) (bool, error) {
		sub.lockParked(tx)
		var position int64
		var data []byte
		err := tx.QueryRow(ctx, `SELECT position, event FROM parked_events WHERE subscription = $1 AND subject = $2
			ORDER BY position LIMIT 1`, sub.Name, subject).Scan(&position, &data)
		if errors.Is(err, store.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		ev := &feedv1.Event{}
		if err := proto.Unmarshal(data, ev); err != nil {
			return false, fmt.Errorf("event: parked event: %w", err)
		}
		if err := sub.handle(ctx, tx, ev); err != nil {
			return false, &errReplay{position, err}
		}
		tx.Queue(`DELETE FROM parked_events WHERE subscription = $1 AND position = $2`, sub.Name, position)
		return true, nil
	})
	var failed *errReplay
	if !errors.As(err, &failed) {
		return more, err
	}
	sub.logger.WarnContext(ctx, "event: replaying failed", slog.String("subject", subject), slog.Any("error", err))
	_, err = store.Write(ctx, sub.s.db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(`UPDATE parked_events SET error = $1, attempts = attempts + 1 WHERE subscription = $2 AND position = $3`,
			errorText(ctx, failed.err), sub.Name, failed.position)
		return struct{}{}, nil
	})
	return false, err
}
