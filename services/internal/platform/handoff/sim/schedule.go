package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Op is what a step does.
type Op string

// The operations. Pick chooses among what there is: handoffs in the order of their offers, jobs and calls in the order of
// their beginning.
const (
	// Offer offers a new handoff: Pick chooses the route, N the payload.
	Offer Op = "offer"
	// Work runs a due job of Dept. How is what becomes of its calls; N is 1 when the runner forgets that it is done.
	Work Op = "work"
	// Compare lets Dept compare its ledger with those of its receivers, and mend it. How is as for Work.
	Compare Op = "compare"
	// Net decides about an open call or a stray message.
	Net Op = "net"
	// Decide gives command How on a handoff; N chooses the etag, and now and then the wrong side.
	Decide Op = "decide"
	// Race lets N people decide on one handoff, who all have seen the same.
	Race Op = "race"
	// Feed lets Dept take in up to N events of one of its sources.
	Feed Op = "feed"
	// Rewind puts a subscription of Dept back to the beginning: every event comes again.
	Rewind Op = "rewind"
	// Cut cuts Dept off from department N; Mend ends all cuts.
	Cut  Op = "cut"
	Mend Op = "mend"
	// Jump sets the clock of Dept forward or back by N seconds.
	Jump Op = "jump"
	// Crash ends the process of Dept and starts it again. With N=1 its open requests stay in the network.
	Crash Op = "crash"
)

// What can become of a call: its request or its answer passes or is lost, its request comes twice, or arrives after the
// caller has given up. Pause leaves the call open for later steps, deaf executes the request and loses the answer.
const (
	pass  = "pass"
	lose  = "lose"
	twice = "twice"
	late  = "late"
	deaf  = "deaf"
	pause = "pause"
)

// Fault is what goes wrong in a step, at its Nth commit or hook.
type Fault string

// The faults.
const (
	None        Fault = ""
	FailBefore  Fault = "commit fails"
	FailAfter   Fault = "commit succeeds and reports failure"
	CrashBefore Fault = "crash before commit"
	CrashAfter  Fault = "crash after commit"
	HookFails   Fault = "hook fails"
	HookCrashes Fault = "crash in hook"
)

var faults = []Fault{FailBefore, FailAfter, CrashBefore, CrashAfter, HookFails, HookCrashes}

// Step is one thing that happens.
type Step struct {
	Op    Op
	Dept  int
	Pick  int
	How   string
	N     int
	Fault Fault
	Nth   int
}

// String is the step on one line.
func (s Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-7s", s.Op)
	switch s.Op {
	case Offer:
		r := routes[s.Pick%len(routes)]
		fmt.Fprintf(&b, " %s to %s n=%d", departments[r.from], departments[r.to], s.N)
	case Work:
		fmt.Fprintf(&b, " job %d of %s: %s n=%d", s.Pick, departments[s.Dept], s.How, s.N)
	case Net:
		fmt.Fprintf(&b, " message %d: %s", s.Pick, s.How)
	case Decide:
		fmt.Fprintf(&b, " handoff %d: %s n=%d", s.Pick, s.How, s.N)
	case Race:
		fmt.Fprintf(&b, " handoff %d: %d people", s.Pick, s.N)
	case Compare:
		fmt.Fprintf(&b, " ledgers of %s: %s", departments[s.Dept], s.How)
	case Feed, Rewind:
		fmt.Fprintf(&b, " source %d of %s n=%d", s.Pick, departments[s.Dept], s.N)
	case Cut:
		fmt.Fprintf(&b, " %s from %s", departments[s.Dept], departments[s.N])
	case Jump:
		fmt.Fprintf(&b, " clock of %s by %d s", departments[s.Dept], s.N)
	case Crash:
		fmt.Fprintf(&b, " %s n=%d", departments[s.Dept], s.N)
	}
	if s.Fault != None {
		fmt.Fprintf(&b, " [%s, at %d]", s.Fault, s.Nth)
	}
	return b.String()
}

// Generate makes the schedule of a seed.
func Generate(seed uint64) []Step {
	r := rand.New(rand.NewPCG(seed, 0x7461_7375_6b69)) //nolint:gosec // to be repeated, not to be secret
	busy := r.IntN(len(routes))                        // one route has most of the traffic
	steps := make([]Step, 0, 65)
	calm := 4 + r.IntN(20) // one step in so many goes wrong
	for range 15 + r.IntN(50) {
		s := generate(r, busy)
		if r.IntN(calm) == 0 {
			s.Fault, s.Nth = faults[r.IntN(len(faults))], 1+r.IntN(2)
			if s.Fault == HookFails || s.Fault == HookCrashes { // hooks are rarer than commits
				s.Op, s.How, s.Nth = []Op{Work, Feed}[r.IntN(2)], pass, 1
			}
		}
		steps = append(steps, s)
	}
	return steps
}

var weights = []struct {
	op Op
	w  int
}{
	{Offer, 7}, {Work, 28}, {Compare, 3}, {Net, 14}, {Decide, 28}, {Race, 3}, {Feed, 24}, {Rewind, 1}, {Cut, 2}, {Mend, 3}, {Jump, 5}, {Crash, 3},
}

func generate(r *rand.Rand, busy int) Step {
	total := 0
	for _, w := range weights {
		total += w.w
	}
	at := r.IntN(total)
	s := Step{Pick: r.IntN(8), N: r.IntN(64), Dept: r.IntN(len(departments))}
	for _, w := range weights {
		if at -= w.w; at < 0 {
			s.Op = w.op
			break
		}
	}
	on := routes[busy]
	switch s.Op {
	case Offer:
		if r.IntN(3) > 0 {
			s.Pick = busy
		}
		s.Pick %= len(routes)
		s.Dept = routes[s.Pick].from
	case Work:
		s.How = []string{pass, pass, pass, pass, pass, pause, pause, pause, lose, deaf, twice, late}[r.IntN(12)]
		s.N = 0
		if r.IntN(12) == 0 {
			s.N = 1
		}
		if r.IntN(3) > 0 {
			s.Dept = on.from
		}
	case Compare:
		s.How = []string{pass, pass, pause, pause, lose, deaf, twice, late}[r.IntN(8)]
		if r.IntN(2) > 0 {
			s.Dept = on.from
		}
	case Net:
		s.How = []string{pass, pass, pass, pass, lose, twice, late}[r.IntN(7)]
	case Decide:
		s.How = fitting
		if r.IntN(4) == 0 {
			s.How = []string{accept, reject, giveBack, assign, fulfil, recall, resubmit}[r.IntN(7)]
		}
	case Race:
		s.N = 2 + r.IntN(5)
	case Feed:
		if r.IntN(3) > 0 {
			s.Dept = on.from
		}
	case Cut:
		s.N = r.IntN(len(departments))
	case Jump:
		s.N = []int{1, 30, 3600, 86400, 7 * 86400, 7 * 86400, -30, -7200}[r.IntN(8)]
	case Crash:
		s.N = r.IntN(2)
	}
	return s
}
