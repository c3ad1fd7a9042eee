package faults

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

const (
	// atOnce is how many faults there are at a time.
	atOnce = 3
	// patience is how long a department may take to serve again after a fault.
	patience = time.Minute
)

// injector carries out a plan.
type injector struct {
	house    *house.House
	postgres *house.Postgres
	network  *network
	journal  *journal
	keepers  map[string]*keeper
	// probes ask a department, by its prefix, through the gateway and down to its database.
	probes map[string]rest.Client

	mu      sync.Mutex
	targets map[string]*sync.Mutex
	counts  map[kind]int
	slowest time.Duration
	// slowestAfter is the fault after which a department took longest to serve again.
	slowestAfter string
}

// run carries out the plan, and returns when everything is mended and serves again.
func (i *injector) run(ctx context.Context, plan []fault, say func(format string, args ...any)) {
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, f := range plan {
		pause(ctx, f.gap)
		slots <- struct{}{}
		wg.Go(func() {
			target := i.target(f)
			target.Lock()
			say("%s", f)
			err := i.inject(ctx, f)
			target.Unlock()
			<-slots
			if err != nil {
				i.journal.wrong("%s: %v", f, err)
				return
			}
			i.recovered(ctx, f)
		})
	}
	wg.Wait()
}

// target is what a fault has for itself: what is killed cannot be stopped meanwhile.
func (i *injector) target(f fault) *sync.Mutex {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.counts[f.kind]++
	name := f.program + f.link.String()
	if i.targets[name] == nil {
		i.targets[name] = &sync.Mutex{}
	}
	return i.targets[name]
}

// inject does a fault and undoes it.
func (i *injector) inject(ctx context.Context, f fault) error {
	switch f.kind {
	case kill:
		return i.keepers[f.program].kill(ctx, f.lasts)
	case stop:
		p := i.house.Programs[f.program]
		p.Pause()
		pause(ctx, f.lasts)
		p.Continue()
		return nil
	case cutPeer, cutDatabase:
		i.network.cut(f.link)
		pause(ctx, f.lasts)
		return i.network.mend(f.link)
	case restart, killPostgres:
		sig := syscall.SIGINT
		if f.kind == killPostgres {
			sig = syscall.SIGQUIT
			if f.hard {
				sig = syscall.SIGKILL
			}
		}
		i.postgres.Stop(sig)
		pause(ctx, f.lasts)
		return i.postgres.Start(ctx)
	}
	if err := i.network.poison(f.link, f.toxic); err != nil {
		return err
	}
	pause(ctx, f.lasts)
	return i.network.cure(ctx, f.link)
}

// touched are the departments, by their prefix, that a fault can have stopped from serving.
func (f fault) touched() []string {
	prefixes := map[string]string{
		"marketing": "/marketing", "insidesales": "/inside-sales", "fieldsales": "/field-sales", "customersuccess": "/customer-success",
	}
	switch {
	case f.program == "gateway":
		return []string{"/marketing"}
	case f.program != "":
		return []string{prefixes[f.program]}
	case f.link.to == database:
		return []string{prefixes[f.link.from]}
	case f.link.from == "gateway":
		return []string{"/" + f.link.to}
	case f.link.from != "":
		return nil // people are served all the time
	}
	return []string{"/marketing", "/inside-sales", "/field-sales", "/customer-success"}
}

// recovered measures how long it takes until people are served again. Faults that come meanwhile count, too.
func (i *injector) recovered(ctx context.Context, f fault) {
	began := time.Now()
	for _, prefix := range f.touched() {
		for {
			err := i.probe(ctx, prefix)
			if err == nil {
				break
			}
			if ctx.Err() != nil || time.Since(began) > patience {
				i.journal.wrong("%s: %s does not serve %v later: %s", f, prefix, patience, rest.Explain(err))
				return
			}
			pause(ctx, 20*time.Millisecond)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if took := time.Since(began); took > i.slowest {
		i.slowest, i.slowestAfter = took, f.String()
	}
}

func (i *injector) probe(ctx context.Context, prefix string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return i.probes[prefix].Call(ctx, http.MethodGet, "/v1/handoffs?pageSize=1", nil, &handoffv1.ListHandoffsResponse{})
}

// keeper starts a program again that has ended, as an orchestrator does. A program may end by itself only before it has
// served, for instance because its database is away.
type keeper struct {
	program *house.Program
	journal *journal

	mu          sync.Mutex
	served      bool
	falseStarts int
}

func (k *keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, k.look(ctx))
	}
}

// look returns after what time to look again.
func (k *keeper) look(ctx context.Context) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.program.Done():
		if k.served {
			k.journal.wrong("%s ended by itself while it served", k.program.Name)
		}
		k.falseStarts++
		k.start()
		return 500 * time.Millisecond
	default:
	}
	k.served = k.served || k.program.Serving(ctx) == nil
	return 100 * time.Millisecond
}

func (k *keeper) start() {
	k.served = false
	if err := k.program.Start(); err != nil {
		k.journal.wrong("%v", err)
	}
}

func (k *keeper) kill(ctx context.Context, down time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.program.Kill()
	pause(ctx, down/2)
	k.served = false
	if err := k.program.Start(); err != nil {
		return fmt.Errorf("after a kill: %w", err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
