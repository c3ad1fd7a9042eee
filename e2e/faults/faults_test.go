package faults

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

const (
	// visitEvery is how far leads part.
	visitEvery = 400 * time.Millisecond
	// still is how long nothing may happen while something is not finished, although nothing is broken any more.
	still = 90 * time.Second
	// settleWithin bounds how long the people may take to finish everything.
	settleWithin = 10 * time.Minute
	// defaultFaults are those of a run of all tests.
	defaultFaults = 5
	// enoughFaults take so long that some customers buy more meanwhile.
	enoughFaults = 20
)

// departments by their prefix, with the role of their people.
var departments = []struct{ prefix, role string }{
	{"/marketing", "marketing"}, {"/inside-sales", "inside-sales"}, {"/field-sales", "field-sales"}, {"/customer-success", "customer-success"},
}

// number reads a setting from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, text)
	}
	return n
}

func TestFaults(t *testing.T) {
	n := int(number(t, "TASUKI_FAULTS", defaultFaults))
	seed := number(t, "TASUKI_FAULTS_SEED", uint64(time.Now().UnixNano()))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the same faults again: make faults FAULTS=%d SEED=%d (their moments are as near as the machine lets them be)", n, seed)
		}
	})
	s := newStage(t)
	began := time.Now()
	say := func(format string, args ...any) {
		if testing.Verbose() {
			fmt.Printf("%6.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
		}
	}
	say("%d faults from SEED=%d", n, seed)

	working, goHome := context.WithCancel(t.Context())
	var background sync.WaitGroup
	finish := func() {
		goHome()
		s.crowd.wait()
		background.Wait()
	}
	defer finish()
	for _, k := range s.injector.keepers {
		background.Go(func() { k.run(working) })
	}
	for _, f := range s.followers {
		background.Go(func() { f.run(working) })
	}
	s.crowd.work(working)
	visiting, lastVisit := context.WithCancel(working)
	var visitors sync.WaitGroup
	visitors.Go(func() { s.crowd.visit(visiting, working, visitEvery) })
	s.injector.run(working, newPlan(n, seed), say)
	lastVisit()
	visitors.Wait()

	mended := time.Now()
	say("all is mended; the people finish their work")
	problems := s.settle(working, say)
	settled := time.Now()
	finish()
	s.compare(t, problems)
	s.figures(t, n, seed, settled.Sub(mended), time.Since(began))
}

// stage is everything that takes part.
type stage struct {
	house     *house.House
	relay     *scenario.Relay
	journal   *journal
	crowd     *crowd
	injector  *injector
	followers []*follower
	books     *books
	events    int
}

func newStage(t *testing.T) *stage {
	t.Helper()
	postgres := house.StartPostgres(t)
	net := newNetwork(t)
	h := house.Wire(t, postgres.Databases(t), net.wiring())
	s := &stage{house: h, relay: scenario.NewRelay(t, h), journal: newJournal()}
	s.crowd = newCrowd(h, s.relay, s.journal)
	s.injector = &injector{
		house: h, postgres: postgres, network: net, journal: s.journal, keepers: map[string]*keeper{}, probes: map[string]rest.Client{},
		targets: map[string]*sync.Mutex{}, counts: map[kind]int{},
	}
	for name, p := range h.Programs {
		s.injector.keepers[name] = &keeper{program: p, journal: s.journal}
	}
	for _, d := range departments {
		s.injector.probes[d.prefix] = rest.Client{URL: h.URL + d.prefix, Token: h.Token(d.role)}
		reader := person{rest.Client{URL: h.URL + d.prefix, Token: h.TokenOf("viewer", "reader")}, "reader", s.journal}
		s.followers = append(s.followers, &follower{person: reader, department: strings.TrimPrefix(d.prefix, "/")})
	}
	return s
}

// settle waits until the books agree and everything is finished, and returns what is not.
func (s *stage) settle(ctx context.Context, say func(string, ...any)) []string {
	began := time.Now()
	moved, before := began, -1
	for {
		found := &findings{}
		b, err := readBooks(ctx, s.relay)
		if err != nil {
			found.add("%s", rest.Explain(err))
		} else {
			s.books = b
			found = b.problems(s.journal)
		}
		if found.count != before {
			moved, before = time.Now(), found.count
		}
		if found.count == 0 || time.Since(moved) > still || time.Since(began) > settleWithin {
			return found.texts
		}
		say("still %d things to do or to wait for, for instance: %s", found.count, found.texts[0])
		pause(ctx, time.Second)
	}
}

// compare asks all that can be asked when everything has come to rest.
func (s *stage) compare(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Errorf("not finished after all faults: %s", p)
	}
	found, told := &findings{}, tally{}
	for _, f := range s.followers {
		if err := checkFeed(t.Context(), found, f, told); err != nil {
			t.Errorf("the feed of %s: %s", f.department, rest.Explain(err))
		}
		s.events += len(f.ids)
	}
	if s.books != nil {
		checkEvents(found, told, s.books, s.journal)
	}
	scenario.EveryHandoffOnce(t, s.relay)
	for _, d := range departments {
		admin := rest.Client{URL: s.house.URL + d.prefix, Token: s.house.Token("admin")}
		var report handoffv1.ReconcileHandoffsResponse
		admin.Must(t, http.MethodPost, "/v1/handoffs:reconcile", &handoffv1.ReconcileHandoffsRequest{DryRun: true}, &report)
		for _, p := range report.GetPeers() {
			if p.GetDifferent() > 0 || p.GetError() != "" {
				t.Errorf("reconciliation of %s with %s: %d of %d differ, %q: %v", d.prefix, p.GetTo(), p.GetDifferent(), p.GetCompared(), p.GetError(), p.GetDifferences())
			}
		}
	}
	for _, text := range append(found.texts, s.journal.wrongs...) {
		t.Error(text)
	}
}

// figures prints what the run was.
func (s *stage) figures(t *testing.T, n int, seed uint64, settling, took time.Duration) {
	t.Helper()
	var out strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "  %-44s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&out, "%d faults, SEED=%d\n", n, seed)
	for _, k := range kinds {
		line(string(k.kind), "%d", s.injector.counts[k.kind])
	}
	j := s.journal
	acknowledged, starts := 0, 0
	for _, lead := range j.captures {
		if lead != nil {
			acknowledged++
		}
	}
	for _, k := range s.injector.keepers {
		starts += k.falseStarts
	}
	if s.books != nil {
		line("captures", "%d tried in %d requests, %d acknowledged, %d leads", len(j.captures), j.sent, acknowledged, len(s.books.leads))
		for _, l := range s.books.legs {
			if len(l.sent) > 0 {
				line(strings.TrimPrefix(l.kind.String(), "KIND_"), "%d sent, %d received: %s", len(l.sent), len(l.received), states(l.received))
			}
		}
		won, expansions := s.books.expansions()
		line("customers", "%d", size(s.books.customers))
		line("expansions", "%s", expansions)
		if n >= enoughFaults && won == 0 {
			t.Error("no expansion was won: this run says nothing of them")
		}
	}
	line("answers that callers had to repeat for", "%v", j.answers)
	line("events, each seen once by two readers", "%d", s.events)
	line("starts while a database was away", "%d", starts)
	line("longest until people were served again", "%v after %s", s.injector.slowest.Round(time.Millisecond), s.injector.slowestAfter)
	line("until everything was finished", "%v after the last fault", settling.Round(time.Millisecond))
	line("duration", "%v", took.Round(time.Second))
	fmt.Print(out.String())
}
