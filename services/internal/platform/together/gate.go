package together

import (
	"context"
	"slices"
	"sync"
)

// Gate is a door for batches of T. It is safe for concurrent use.
type Gate[T any] struct {
	most int

	mu      sync.Mutex
	free    int
	waiting []*waiter[T]
}

// waiter is one who waits. batch brings what to carry when it is its turn, and is closed when another has carried it.
type waiter[T any] struct {
	item  T
	batch chan []*waiter[T]
}

// NewGate makes a gate that so many batches pass at once, each of at most so many items.
func NewGate[T any](batches, most int) *Gate[T] { return &Gate[T]{free: batches, most: most} }

// Pass returns nil when the item was carried: by carry in this goroutine, with those that it takes along, or by the carry of
// another. A carry that panics or ends its goroutine counts as having carried its batch, so what became of an item must be
// noted in the item. The error is that of the context when it ended first; then the item was not carried.
func (g *Gate[T]) Pass(ctx context.Context, item T, carry func(batch []T)) error {
	w := &waiter[T]{item: item}
	batch := []*waiter[T]{w}
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
	} else {
		w.batch = make(chan []*waiter[T], 1)
		g.waiting = append(g.waiting, w)
		g.mu.Unlock()
		var err error
		if batch, err = g.wait(ctx, w); batch == nil {
			return err
		}
	}
	defer g.open(w, batch)
	items := make([]T, len(batch))
	for i, b := range batch {
		items[i] = b.item
	}
	carry(items)
	return nil
}

// wait returns what to carry, nil when there is nothing to do any more.
func (g *Gate[T]) wait(ctx context.Context, w *waiter[T]) ([]*waiter[T], error) {
	select {
	case batch := <-w.batch:
		return batch, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	if i := slices.Index(g.waiting, w); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.mu.Unlock()
		return nil, ctx.Err()
	}
	g.mu.Unlock()
	return <-w.batch, nil // somebody has it in hand
}

// open tells those who were carried, and lets the next batch go.
func (g *Gate[T]) open(carrier *waiter[T], carried []*waiter[T]) {
	for _, w := range carried {
		if w != carrier {
			close(w.batch)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), g.most)
	if n == 0 {
		g.free++
		return
	}
	next := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	next[0].batch <- next
}

// Waiting is how many wait now.
func (g *Gate[T]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}
