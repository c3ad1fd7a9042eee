package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// attempts bounds how often Write and Read run their closure.
const attempts = 5

// Write runs fn in one transaction and commits it. It rolls back when fn returns an error, panics (the panic goes on after
// the rollback) or ends its goroutine. Serialization failures, deadlocks and a busy SQLite are retried, five attempts with
// jitter, after which the error matches ErrRetry: fn may run several times and must keep its effects in the transaction or
// in AfterCommit. Errors of queued statements come from Write, not from fn: ask UniqueOn of Write's error. See Sharing for
// contexts that let several Writes share a transaction.
//
// fn must not open another Write with the same database: on SQLite it would wait for itself.
func Write[T any](ctx context.Context, db *DB, fn func(tx Tx) (T, error)) (_ T, failed error) {
	guard, giveBack := takeGuard(ctx)
	defer func() {
		if failed != nil {
			giveBack()
		}
	}()
	if !shares(ctx) {
		return writeAlone(ctx, db, guard, fn)
	}
	var result T
	var err error
	ended := db.writeShared(&member{
		ctx:   ctx,
		alone: func() { result, err = writeAlone(ctx, db, guard, fn) },
		run: func(tx Tx) error {
			result, err = inside(ctx, tx, guard, fn)
			return err
		},
	})
	if ended != nil {
		return *new(T), ended
	}
	return result, err
}

func writeAlone[T any](ctx context.Context, db *DB, guard Guard, fn func(tx Tx) (T, error)) (T, error) {
	guarded := guard != nil // one more attempt after a unique violation
	for attempt := 1; ; attempt++ {
		result, hooks, unique, err := writeOnce(ctx, db, guard, fn)
		switch {
		case err == nil:
			for _, hook := range hooks {
				hook()
			}
			return result, nil
		case guarded && unique && ctx.Err() == nil:
			guarded = false
		case retryable(err) && attempt < attempts:
			if err := pause(ctx, attempt); err != nil {
				return *new(T), err
			}
		default:
			return *new(T), err
		}
	}
}

func writeOnce[T any](ctx context.Context, db *DB, guard Guard, fn func(Tx) (T, error)) (result T, hooks []func(), unique bool, err error) {
	var none T
	tx := db.begin(ctx, false)
	done := false
	defer func() {
		if !done { // an error, a panic or Goexit
			tx.rollback()
		}
	}()
	if result, err = inside(ctx, tx, guard, fn); err == nil {
		err = db.end(ctx, tx)
	}
	var answer *lostAnswer
	if errors.As(err, &answer) {
		done = true
		return none, nil, false, answer.err
	}
	if err != nil {
		return none, nil, tx.sawUnique() || errors.Is(err, ErrUnique), cause(tx, escaped(err))
	}
	done = true
	return result, tx.committed(), false, nil
}

// inside runs fn in a transaction, within its guard.
func inside[T any](ctx context.Context, tx Tx, guard Guard, fn func(Tx) (T, error)) (result T, err error) {
	if guard == nil {
		return fn(tx)
	}
	stored, replay, err := guard.Before(ctx, tx)
	if err != nil {
		return result, err
	}
	if replay {
		var ok bool
		if result, ok = stored.(T); !ok && stored != nil {
			return result, fmt.Errorf("store: the guard replays a %T where Write returns a %T", stored, result)
		}
		return result, nil
	}
	if result, err = fn(tx); err != nil {
		return result, err
	}
	return result, guard.After(ctx, tx, result)
}

// lostAnswer is an error of Commits.After: all is stored, and nobody is told.
type lostAnswer struct{ err error }

func (l *lostAnswer) Error() string { return l.err.Error() }

// end commits, with what is to be called around it.
func (db *DB) end(ctx context.Context, tx transaction) error {
	if before := db.commits.Before; before != nil {
		if err := before(ctx); err != nil {
			return err
		}
	}
	if err := tx.commit(ctx); err != nil {
		return err
	}
	if after := db.commits.After; after != nil {
		if err := after(ctx); err != nil {
			return &lostAnswer{err}
		}
	}
	return nil
}

// Read runs fn on one snapshot of the database; statements that write fail. It retries like Write. AfterCommit functions
// run when fn succeeded.
func Read[T any](ctx context.Context, db *DB, fn func(tx Tx) (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		result, hooks, err := readOnce(ctx, db, fn)
		if retryable(err) && attempt < attempts {
			if err := pause(ctx, attempt); err != nil {
				return *new(T), err
			}
			continue
		}
		if err != nil {
			return *new(T), err
		}
		for _, hook := range hooks {
			hook()
		}
		return result, nil
	}
}

func readOnce[T any](ctx context.Context, db *DB, fn func(Tx) (T, error)) (T, []func(), error) {
	tx := db.begin(ctx, true)
	defer tx.rollback()
	result, err := fn(tx)
	if err == nil {
		err = tx.Flush(ctx)
	}
	if err != nil {
		return *new(T), nil, cause(tx, escaped(err))
	}
	return result, tx.committed(), nil
}

// cause prefers what a retry can mend over what the closure made of it.
func cause(tx transaction, err error) error {
	if failed := tx.failure(); retryable(failed) {
		return failed
	}
	return err
}

// pause waits before the attempt after n: around 5, 10, 20, 40 ms, so that rivals part.
func pause(ctx context.Context, n int) error {
	base := 5 * time.Millisecond << (n - 1)
	return pauseFor(ctx, base/2+rand.N(base))
}
