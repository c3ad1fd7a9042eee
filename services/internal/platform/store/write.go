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
// in AfterCommit. Errors of queued statements come from Write, not from fn: ask UniqueOn of Write's error.
//
// fn must not open another Write with the same database: on SQLite it would wait for itself.
func Write[T any](ctx context.Context, db *DB, fn func(tx Tx) (T, error)) (_ T, failed error) {
	guard, giveBack := takeGuard(ctx)
	defer func() {
		if failed != nil {
			giveBack()
		}
	}()
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
	fail := func(err error) (T, []func(), bool, error) {
		return none, nil, tx.sawUnique() || errors.Is(err, ErrUnique), cause(tx, err)
	}

	replay := false
	if guard != nil {
		var stored any
		stored, replay, err = guard.Before(ctx, tx)
		if err != nil {
			return fail(escaped(err))
		}
		if replay {
			var ok bool
			if result, ok = stored.(T); !ok && stored != nil {
				return fail(fmt.Errorf("store: the guard replays a %T where Write returns a %T", stored, none))
			}
		}
	}
	if !replay {
		if result, err = fn(tx); err != nil {
			return fail(escaped(err))
		}
		if guard != nil {
			if err = guard.After(ctx, tx, result); err != nil {
				return fail(escaped(err))
			}
		}
	}
	if before := db.commits.Before; before != nil {
		if err := before(ctx); err != nil {
			return fail(err)
		}
	}
	if err = tx.commit(ctx); err != nil {
		return fail(err)
	}
	done = true
	if after := db.commits.After; after != nil {
		if err := after(ctx); err != nil {
			return none, nil, false, err
		}
	}
	return result, tx.committed(), false, nil
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
	timer := time.NewTimer(base/2 + rand.N(base))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
