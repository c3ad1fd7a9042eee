package together_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
	"github.com/tasuki-project/tasuki/services/internal/platform/together"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// eventually waits for a condition that others bring about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// Those who come while the gate is taken go together, in the order in which they came, and no more than a batch holds; whoever
// no longer waits is left out.
func TestGate(t *testing.T) {
	g := together.NewGate[int](1, 3)
	carrying, letGo := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	var carried [][]int
	note := func(batch []int) { carried = append(carried, slices.Clone(batch)) } // one at a time
	wg.Go(func() {
		if err := g.Pass(t.Context(), 0, func(batch []int) { note(batch); close(carrying); <-letGo }); err != nil {
			t.Error(err)
		}
	})
	<-carrying
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if err := g.Pass(ctx, -1, func([]int) { t.Error("it should not carry") }); !errors.Is(err, context.Canceled) {
			t.Errorf("the impatient: %v", err)
		}
	})
	eventually(t, "one waits", func() bool { return g.Waiting() == 1 })
	cancel()
	eventually(t, "it has gone", func() bool { return g.Waiting() == 0 })
	for i := range 4 {
		wg.Go(func() {
			if err := g.Pass(t.Context(), i+1, note); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "it waits", func() bool { return g.Waiting() == i+1 })
	}
	close(letGo)
	wg.Wait()
	if len(carried) != 3 || !slices.Equal(carried[1], []int{1, 2, 3}) || !slices.Equal(carried[2], []int{4}) {
		t.Errorf("carried %v", carried)
	}
}

// A carry that panics or ends its goroutine lets those go whom it had taken along, and the gate is open again.
func TestCarryThatDoesNotReturn(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("a bug") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			g := together.NewGate[int](1, 10)
			carrying, letGo := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				_ = g.Pass(t.Context(), 0, func([]int) { close(carrying); <-letGo })
			})
			<-carrying
			var returned atomic.Int32
			for i := range 3 {
				wg.Go(func() {
					defer func() { _ = recover() }()
					if err := g.Pass(t.Context(), i, func([]int) { end() }); err != nil {
						t.Error(err)
					}
					returned.Add(1)
				})
				eventually(t, "it waits", func() bool { return g.Waiting() == i+1 })
			}
			close(letGo)
			wg.Wait()
			if returned.Load() != 2 {
				t.Errorf("%d of the two that were taken along came back", returned.Load())
			}
			free := false
			if err := g.Pass(t.Context(), 0, func([]int) { free = true }); err != nil || !free {
				t.Errorf("the gate is shut: %v", err)
			}
		})
	}
}

// As many batches as it was made for pass at once.
func TestSeveralBatches(t *testing.T) {
	g := together.NewGate[int](2, 10)
	var inside sync.WaitGroup
	inside.Add(2)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			_ = g.Pass(t.Context(), i, func([]int) { inside.Done(); inside.Wait() }) // each waits for the other
		})
	}
	wg.Wait()
}
