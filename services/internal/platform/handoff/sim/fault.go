package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// sleeves holds the fault of the present step, and lets it out at the right commit or hook.
type sleeves struct {
	fault Fault
	left  int
	// fired tells that it happened; crashing is the process that dies of it.
	fired    bool
	crashing *process
	// total counts the faults that have happened in the schedule: what runs through several steps looks at it.
	total int
}

var errPlanned = fmt.Errorf("sim: a planned failure: %w", store.ErrUnavailable)

var errHook = errors.New("sim: a planned failure of a hook")

// crash is the panic by which a process dies.
type crash struct{}

func (s *sleeves) arm(f Fault, nth int) {
	*s = sleeves{fault: f, left: max(nth, 1), total: s.total}
}

// due counts down where one of the faults can happen.
func (s *sleeves) due(at ...Fault) bool {
	for _, f := range at {
		if f == s.fault && !s.fired {
			s.left--
			if s.left == 0 {
				s.fired = true
				s.total++
			}
			return s.fired
		}
	}
	return false
}

func (s *sleeves) die(p *process) {
	s.crashing = p
	panic(crash{})
}

// faulty is what the store of a process calls around its commits.
func (p *process) faulty() store.Commits {
	s := &p.w.sleeves
	return store.Commits{
		Before: func(context.Context) error {
			switch {
			case s.crashing == p: // something caught the panic; the dead do not write
				panic(crash{})
			case s.fault == FailBefore && s.due(FailBefore):
				return errPlanned
			case s.fault == CrashBefore && s.due(CrashBefore):
				s.die(p)
			}
			return nil
		},
		After: func(context.Context) error {
			p.dirty = true
			p.commits++
			switch {
			case s.fault == FailAfter && s.due(FailAfter):
				return errPlanned
			case s.fault == CrashAfter && s.due(CrashAfter):
				s.die(p)
			}
			return nil
		},
	}
}

// hook is called in every hook of a process.
func (s *sleeves) hook(p *process) {
	if s.due(HookCrashes) {
		s.die(p)
	}
}

func (s *sleeves) hookFailure() error {
	if s.due(HookFails) {
		return errHook
	}
	return nil
}

// living runs code of a process, which may die of it; then it is started again.
func (w *World) living(p *process, fn func()) (died bool) {
	defer func() {
		if v := recover(); v != nil && w.sleeves.crashing != p {
			panic(v)
		}
		if w.sleeves.crashing == p {
			died = true
			w.restart(p, true)
		}
	}()
	fn()
	return false
}

// restart ends a process and starts it again. Its requests may be on their way already.
func (w *World) restart(p *process, sent bool) {
	w.sleeves.crashing = nil
	var rest []*run
	for _, r := range w.runs {
		if r.p != p {
			rest = append(rest, r)
			continue
		}
		if sent && !r.executed {
			w.met["message: outlives its sender"]++
			w.strays = append(w.strays, r.request)
		}
		r.stop()
	}
	w.runs = rest
	p.start()
}
