package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Part is something that starts and stops.
type Part struct {
	// Name is shown in logs and errors.
	Name string
	// Start brings the part up and returns; nil when there is nothing to do. Its context ends early when the program is
	// told to stop while Start runs, and otherwise lives until the part has stopped, so the part may keep it.
	Start func(context.Context) error
	// Run works until Stop is called, for instance a server's Serve; nil for parts that only start and stop. It gets a
	// context that ends when Stop has returned. Returning early with an error, or returning at all before the stop,
	// ends the program.
	Run func(context.Context) error
	// Stop ends the part within the deadline of the context; nil when there is nothing to do. A Run without Stop ends by
	// its context.
	Stop func(context.Context) error
}

// Options of a Group.
type Options struct {
	Logger *slog.Logger
	// DrainDelay is the time between readiness off and the first stop. Zero for none.
	DrainDelay time.Duration
	// StopTimeout bounds the stop of each part; zero is 10 s.
	StopTimeout time.Duration
	// Signals end Run; nil is SIGINT and SIGTERM. An empty list catches none.
	Signals []os.Signal
}

// Group holds the parts of a program.
type Group struct {
	opts  Options
	parts []Part
	ready []func(bool)
}

// New makes an empty group.
func New(opts Options) *Group {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.StopTimeout == 0 {
		opts.StopTimeout = 10 * time.Second
	}
	if opts.Signals == nil {
		opts.Signals = []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	return &Group{opts: opts}
}

// Add appends a part. Parts start in the order in which they were added.
func (g *Group) Add(p Part) { g.parts = append(g.parts, p) }

// OnReady registers what tells the world whether the program is ready, for instance rpc.Server.SetServing.
func (g *Group) OnReady(set func(bool)) { g.ready = append(g.ready, set) }

// errSignal is the end by signal: no error of the program.
var errSignal = errors.New("signal")

// Run starts all parts, waits until the context ends, a signal comes, or a part fails, and stops all parts. It returns
// nil after a signal or the end of the context, else what failed.
func (g *Group) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	force, stopSignals := g.catch(ctx, cancel)
	defer stopSignals()

	runners := make([]*runner, 0, len(g.parts))
	var failed error
	for _, p := range g.parts {
		r, err := g.start(ctx, p, cancel)
		if err != nil {
			if ctx.Err() == nil { // else the program was told to stop meanwhile
				failed = fmt.Errorf("%s does not start: %w", p.Name, err)
			}
			break
		}
		runners = append(runners, r)
	}
	if failed == nil && ctx.Err() == nil {
		g.setReady(true)
		g.opts.Logger.Debug("ready")
		<-ctx.Done()
		g.setReady(false)
		g.drain(force)
	}
	if cause := context.Cause(ctx); failed == nil && !errors.Is(cause, errSignal) && !errors.Is(cause, context.Canceled) &&
		!errors.Is(cause, context.DeadlineExceeded) {
		failed = cause
	}
	for i := len(runners) - 1; i >= 0; i-- {
		failed = errors.Join(failed, g.stop(force, runners[i]))
	}
	return failed
}

// catch turns the first signal into the end of the group, and the second into the end of its patience.
func (g *Group) catch(ctx context.Context, end context.CancelCauseFunc) (force context.Context, stop func()) {
	force, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if len(g.opts.Signals) == 0 {
		return force, cancel
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, g.opts.Signals...)
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case s := <-signals:
				if n == 0 {
					g.opts.Logger.Info("stopping", "signal", s.String())
					end(errSignal)
				} else {
					g.opts.Logger.Warn("stopping at once", "signal", s.String())
					cancel()
				}
			case <-force.Done():
				return
			}
		}
	})
	return force, func() {
		signal.Stop(signals)
		cancel()
		wg.Wait()
	}
}

// runner is a part that was started.
type runner struct {
	Part
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned; nil without Run
}

func (g *Group) start(ctx context.Context, p Part, end context.CancelCauseFunc) (*runner, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	began := time.Now()
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, cancel)
	if p.Start != nil {
		if err := p.Start(own); err != nil {
			release()
			cancel()
			return nil, err
		}
	}
	release()
	r := &runner{Part: p, cancel: cancel}
	if p.Run != nil {
		r.done = make(chan struct{})
		go func() {
			defer close(r.done)
			if err := p.Run(own); err != nil {
				end(fmt.Errorf("%s failed: %w", p.Name, err))
			} else {
				end(fmt.Errorf("%s ended by itself", p.Name)) // no effect when the group is ending already
			}
		}()
	}
	g.opts.Logger.Debug("started", "component", p.Name, "took", time.Since(began))
	return r, nil
}

func (g *Group) stop(force context.Context, r *runner) error {
	ctx, cancel := context.WithTimeout(force, g.opts.StopTimeout)
	defer cancel()
	began := time.Now()
	var err error
	if r.Stop != nil {
		err = r.Stop(ctx)
	}
	r.cancel()
	if r.done != nil {
		select {
		case <-r.done:
		case <-ctx.Done():
			err = errors.Join(err, ctx.Err())
		}
	}
	g.opts.Logger.Debug("stopped", "component", r.Name, "took", time.Since(began))
	if err != nil {
		return fmt.Errorf("%s does not stop: %w", r.Name, err)
	}
	return nil
}

func (g *Group) setReady(on bool) {
	for _, set := range g.ready {
		set(on)
	}
}

func (g *Group) drain(force context.Context) {
	if g.opts.DrainDelay <= 0 {
		return
	}
	t := time.NewTimer(g.opts.DrainDelay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-force.Done():
	}
}
