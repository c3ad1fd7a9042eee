package store

import (
	"context"
	"errors"
)

// Each does n things in the caller's transaction, one after the other, each wholly or not at all. The outcomes are their errors, nil
// for what is done. The error is for all: the transaction must fail with it.
//
// prepare may read in one go what the things need; do runs under the context that it returns. When one fails after it has written,
// what all did is undone, and each runs again behind a savepoint of its own, under ctx: do keeps its effects in the transaction
// and in AfterCommit.
func Each(ctx context.Context, tx Tx, n int, prepare func(context.Context) (context.Context, error), do func(ctx context.Context, i int) error) ([]error, error) {
	t, ok := tx.(transaction)
	if !ok {
		return nil, errors.New("store: Each needs the transaction itself")
	}
	outcomes := make([]error, n)
	forget := t.mark()
	spoiled, err := eachTogether(ctx, t, prepare, do, outcomes)
	if err != nil || !spoiled {
		return outcomes, err
	}
	if err := undo(ctx, t, forget); err != nil {
		return nil, err
	}
	for i := range outcomes {
		forget := t.mark()
		if outcomes[i], err = eachAlone(ctx, t, i, do); err != nil {
			return nil, err
		}
		if outcomes[i] == nil {
			t.Queue("RELEASE " + savepoint)
		} else if err := undo(ctx, t, forget); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// undo takes back what came after the latest savepoint, and it with that.
func undo(ctx context.Context, t transaction, forget func()) error {
	forget()
	_, err := t.Exec(ctx, "ROLLBACK TO "+savepoint)
	t.Queue("RELEASE " + savepoint)
	return err
}

// eachTogether is spoiled when what was done cannot be told from what was not.
func eachTogether(ctx context.Context, t transaction, prepare func(context.Context) (context.Context, error), do func(ctx context.Context, i int) error, outcomes []error) (spoiled bool, err error) {
	prepared, err := prepare(ctx)
	if err != nil {
		return false, err
	}
	if err := t.Flush(ctx); err != nil { // the savepoint, as below, when nothing was read
		return false, err
	}
	for i := range outcomes {
		before := t.written()
		outcomes[i] = escaped(do(prepared, i))
		if err := hopeless(ctx, t); err != nil {
			return false, err
		}
		if spoils(t, outcomes[i], t.written() != before) {
			return true, nil
		}
	}
	if t.Flush(ctx) != nil {
		return true, hopeless(ctx, t)
	}
	return false, nil
}

// spoils tells whether the outcome of one thing leaves a transaction in which others cannot be told from it.
func spoils(t transaction, outcome error, wrote bool) bool {
	return t.failure() != nil || outcome != nil && wrote
}

func eachAlone(ctx context.Context, t transaction, i int, do func(ctx context.Context, i int) error) (outcome, err error) {
	if err := t.Flush(ctx); err != nil { // the savepoint: what is not sent cannot be gone back to
		return nil, err
	}
	outcome = escaped(do(ctx, i))
	if outcome == nil {
		outcome = t.Flush(ctx)
	}
	return outcome, hopeless(ctx, t)
}

// hopeless is why nothing more can be done in a transaction, savepoints or not.
func hopeless(ctx context.Context, t transaction) error {
	if err := t.failure(); retryable(err) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return ctx.Err()
}
