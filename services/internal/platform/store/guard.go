package store

import (
	"context"
	"sync/atomic"
)

// Guard wraps the first Write under a context, inside its transaction: the idempotency layer stores a key with the effect.
type Guard interface {
	// Before runs first in the transaction. With replay, Write returns result as its own (it must be of Write's result
	// type), the closure does not run, and what Before wrote is committed.
	Before(ctx context.Context, tx Tx) (result any, replay bool, err error)
	// After runs last in the transaction, with the closure's result. It does not run when the closure fails.
	After(ctx context.Context, tx Tx, result any) error
}

type guardKey struct{}

type guardSlot struct {
	guard Guard
	taken atomic.Bool
}

// WithGuard makes the first Write under the context run inside g; later ones run without, unless the first has failed:
// then g waits for the next. Attempts that Write retries call g again. When an attempt fails after a unique violation, Write tries once more, so that the second of two parallel
// calls finds what the first has stored.
func WithGuard(ctx context.Context, g Guard) context.Context {
	return context.WithValue(ctx, guardKey{}, &guardSlot{guard: g})
}

// WithoutGuard makes Writes under the context run without a guard.
func WithoutGuard(ctx context.Context) context.Context {
	return context.WithValue(ctx, guardKey{}, (*guardSlot)(nil))
}

// takeGuard takes the guard of the context. A Write that fails gives it back.
func takeGuard(ctx context.Context) (guard Guard, giveBack func()) {
	slot, _ := ctx.Value(guardKey{}).(*guardSlot)
	if slot == nil || !slot.taken.CompareAndSwap(false, true) {
		return nil, func() {}
	}
	return slot.guard, func() { slot.taken.Store(false) }
}
