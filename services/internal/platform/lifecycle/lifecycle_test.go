package lifecycle

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// os/signal keeps its own goroutine for the life of the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.signal_recv"), goleak.IgnoreTopFunction("os/signal.loop"))
}

// diary writes down what happens, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) want(t *testing.T, lines ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, lines) {
		t.Errorf("\n got %v\nwant %v", d.lines, lines)
	}
}

func (d *diary) part(name string) Part {
	return Part{
		Name:  name,
		Start: func(context.Context) error { d.add("start " + name); return nil },
		Stop:  func(context.Context) error { d.add("stop " + name); return nil },
	}
}

// server is a part that runs until it is stopped.
func (d *diary) server(name string) Part {
	p, quit := d.part(name), make(chan struct{})
	p.Run = func(context.Context) error { <-quit; return nil }
	p.Stop = func(context.Context) error { d.add("stop " + name); close(quit); return nil }
	return p
}

func (d *diary) ready(on bool) {
	if on {
		d.add("ready")
	} else {
		d.add("unready")
	}
}

func quiet() Options { return Options{Signals: []os.Signal{}} }

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		opts := quiet()
		opts.DrainDelay = 3 * time.Second
		g := New(opts)
		for _, name := range []string{"telemetry", "store", "subscriptions", "jobs"} {
			g.Add(d.part(name))
		}
		g.Add(d.server("server"))
		var unready time.Time
		ctx, cancel := context.WithCancel(t.Context())
		g.OnReady(func(on bool) {
			d.ready(on)
			if unready = time.Now(); on {
				cancel()
			}
		})
		if err := g.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(unready); took != opts.DrainDelay {
			t.Errorf("drained for %v", took)
		}
		d.want(t, "start telemetry", "start store", "start subscriptions", "start jobs", "start server", "ready",
			"unready", "stop server", "stop jobs", "stop subscriptions", "stop store", "stop telemetry")
	})
}

func TestStartFails(t *testing.T) {
	var d diary
	g := New(quiet())
	g.Add(d.part("store"))
	g.Add(d.server("server"))
	bad := errors.New("address in use")
	g.Add(Part{Name: "gateway", Start: func(context.Context) error { return bad }})
	g.Add(d.part("never"))
	g.OnReady(d.ready)
	err := g.Run(t.Context())
	if !errors.Is(err, bad) || !strings.Contains(err.Error(), "gateway does not start") {
		t.Errorf("%v", err)
	}
	d.want(t, "start store", "start server", "stop server", "stop store")
}

func TestRunFails(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(context.Context) error
		want string
	}{
		"error":          {func(context.Context) error { return errors.New("broken pipe") }, "server failed: broken pipe"},
		"ends by itself": {func(context.Context) error { return nil }, "server ended by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			g := New(quiet())
			g.Add(d.part("store"))
			g.Add(Part{Name: "server", Run: c.run})
			if err := g.Run(t.Context()); err == nil || err.Error() != c.want {
				t.Errorf("%v", err)
			}
			d.want(t, "start store", "stop store")
		})
	}
}

func TestPartMayKeepTheStartContext(t *testing.T) {
	var d diary
	g := New(quiet())
	g.Add(d.part("store"))
	g.Add(Part{
		Name: "jobs",
		Run: func(ctx context.Context) error {
			<-ctx.Done()
			d.add("jobs ended")
			return nil
		},
		Stop: func(context.Context) error { d.add("stop jobs"); return nil },
	})
	ctx, cancel := context.WithCancel(t.Context())
	g.OnReady(func(on bool) {
		if on {
			cancel()
		}
	})
	if err := g.Run(ctx); err != nil {
		t.Fatal(err)
	}
	d.want(t, "start store", "stop jobs", "jobs ended", "stop store")
}

func TestStopWhileStarting(t *testing.T) {
	var d diary
	g := New(quiet())
	g.Add(d.part("store"))
	ctx, cancel := context.WithCancel(t.Context())
	g.Add(Part{Name: "migrations", Start: func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}})
	g.OnReady(d.ready)
	if err := g.Run(ctx); err != nil {
		t.Error(err)
	}
	d.want(t, "start store", "stop store")
}

func TestHangingPartDoesNotKeepTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		opts := quiet()
		opts.StopTimeout = 2 * time.Second
		g := New(opts)
		g.Add(d.part("store"))
		g.Add(Part{Name: "jobs", Stop: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		g.OnReady(d.ready)
		ran := false
		g.Add(Part{Name: "late", Start: func(context.Context) error { ran = true; return nil }})
		if err := g.Run(ctx); err != nil || ran {
			t.Errorf("%v %v", err, ran) // nothing was started, so nothing hangs
		}

		live, end := context.WithCancel(t.Context())
		g.OnReady(func(on bool) {
			if on {
				end()
			}
		})
		began := time.Now()
		err := g.Run(live)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "jobs does not stop") {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != opts.StopTimeout {
			t.Errorf("took %v", took)
		}
		d.want(t, "start store", "ready", "unready", "stop store")
	})
}

func TestSignals(t *testing.T) {
	var d diary
	g := New(Options{Signals: []os.Signal{syscall.SIGUSR1}, DrainDelay: time.Hour})
	g.Add(d.part("store"))
	kill := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			t.Error(err)
		}
	}
	g.OnReady(func(on bool) {
		d.ready(on)
		kill() // once when ready: stop; once when draining: stop at once
	})
	if err := g.Run(t.Context()); err != nil {
		t.Error(err)
	}
	d.want(t, "start store", "ready", "unready", "stop store")
}
