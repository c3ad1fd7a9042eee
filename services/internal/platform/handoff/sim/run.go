package sim

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Failure is a schedule that broke a rule.
type Failure struct {
	Seed      uint64
	Engine    store.Engine
	Violation *Violation
	// Steps is the shortest schedule that was found to break the rule.
	Steps []Step
	// From is how many steps the seed's schedule has.
	From int
}

// String says what happened and how to see it again.
func (f *Failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nseed %d on %s, cut down from %d steps to %d:\n", f.Violation, f.Seed, f.Engine, f.From, len(f.Steps))
	for i, s := range f.Steps {
		fmt.Fprintf(&b, "  %2d. %s\n", i+1, s)
	}
	fmt.Fprintf(&b, "\nreplay: make sim SCHEDULES=1 SEED=%d ENGINE=%s\n", f.Seed, f.Engine)
	return b.String()
}

// Run plays the schedules of n seeds from the first on, as many at a time as there are processors, and stops at the first
// failure. It returns that, or nil, and how many were played.
func Run(t testing.TB, engine store.Engine, plant Plant, seed uint64, n int) (*Failure, int) {
	t.Helper()
	workers := max(1, min(runtime.GOMAXPROCS(0), n))
	worlds := make([]*World, workers)
	for i := range worlds {
		worlds[i] = NewWorld(t, engine, plant)
	}
	var next, played atomic.Int64
	var mu sync.Mutex
	var failure *Failure
	play := func(w *World, seed uint64) *Failure {
		steps := Generate(seed)
		v := w.Play(steps)
		if v == nil {
			return nil
		}
		short := Shrink(steps, v.Rule, w.Play)
		if again := w.Play(short); again != nil {
			v = again
		}
		return &Failure{Seed: seed, Engine: engine, Violation: v, Steps: short, From: len(steps)}
	}
	var wg sync.WaitGroup
	for _, w := range worlds {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f := play(w, seed+uint64(i))
				played.Add(1)
				if f == nil {
					continue
				}
				next.Store(int64(n)) // the others end with what they are at
				mu.Lock()
				if failure == nil || f.Seed < failure.Seed {
					failure = f
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failure, int(played.Load())
}

// Report plays schedules and fails the test with the first failure; it logs how many it played in a second.
func Report(t *testing.T, engine store.Engine, seed uint64, n int) {
	t.Helper()
	began := time.Now()
	failure, played := Run(t, engine, Plant{}, seed, n)
	took := time.Since(began)
	if failure != nil {
		t.Fatal(failure)
	}
	t.Logf("%s: %d schedules from seed %d in %.1f s, %.0f a second", engine, played, seed, took.Seconds(), float64(played)/took.Seconds())
}
