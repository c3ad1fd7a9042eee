package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// kind is a way to hurt.
type kind string

const (
	kill         kind = "service killed (SIGKILL)"
	stop         kind = "service stopped (SIGSTOP)"
	cutPeer      kind = "connections between services cut"
	cutDatabase  kind = "connections to a database cut"
	slowPeer     kind = "connections between services slowed"
	slowDatabase kind = "connections to a database slowed"
	tearPeer     kind = "connections between services broken"
	tearDatabase kind = "connections to a database broken"
	restart      kind = "PostgreSQL restarted"
	killPostgres kind = "PostgreSQL killed (SIGQUIT, SIGKILL)"
)

// kinds with their weights.
var kinds = []struct {
	kind   kind
	weight int
}{
	{kill, 5},
	{stop, 4},
	{cutPeer, 4},
	{cutDatabase, 3},
	{slowPeer, 3},
	{slowDatabase, 3},
	{tearPeer, 4},
	{tearDatabase, 4},
	{restart, 1},
	{killPostgres, 1},
}

var programs = []string{"marketing", "insidesales", "fieldsales", "customersuccess", "gateway"}

// link is a way that calls go, from a program to a department or to its database.
type link struct{ from, to string }

func (l link) String() string { return l.from + " → " + l.to }

const database = "database"

// peerLinks are the ways on which there is something to say.
var peerLinks = []link{
	{"gateway", "marketing"},
	{"gateway", "inside-sales"},
	{"gateway", "field-sales"},
	{"gateway", "customer-success"},
	{"marketing", "inside-sales"},
	{"marketing", "field-sales"},
	{"insidesales", "field-sales"},
	{"fieldsales", "customer-success"},
	{"customersuccess", "field-sales"},
	{"marketing", "customer-success"},
	{"insidesales", "marketing"},
	{"fieldsales", "marketing"},
	{"customersuccess", "marketing"},
}

// toxic is what toxiproxy does to a link.
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]int `json:"attributes"`
}

// fault is one step of a plan.
type fault struct {
	n int
	// gap is how long after the one before it comes, lasts how long it stays.
	gap, lasts time.Duration
	kind       kind
	program    string
	link       link
	toxic      *toxic
	// hard ends PostgreSQL by SIGKILL.
	hard bool
}

func (f fault) String() string {
	s := fmt.Sprintf("fault %d, %s", f.n, f.kind)
	switch {
	case f.program != "":
		s += ": " + f.program
	case f.link != link{}:
		s += ": " + f.link.String()
	}
	if f.toxic != nil {
		s += fmt.Sprintf(", %s %s %v", f.toxic.Stream, f.toxic.Type, f.toxic.Attributes)
	}
	return fmt.Sprintf("%s, for %v", s, f.lasts.Round(time.Millisecond))
}

// newPlan makes n faults from a seed. The first ones are one of each kind, so that small plans have all of them.
func newPlan(n int, seed uint64) []fault {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var weighted []kind
	for _, k := range kinds {
		for range k.weight {
			weighted = append(weighted, k.kind)
		}
	}
	first := rnd.Perm(len(kinds))
	plan := make([]fault, n)
	for i := range plan {
		k := weighted[rnd.IntN(len(weighted))]
		if i < len(first) {
			k = kinds[first[i]].kind
		}
		plan[i] = newFault(i+1, k, rnd)
	}
	return plan
}

func newFault(n int, k kind, rnd *rand.Rand) fault {
	between := func(from, to int) int { return from + rnd.IntN(to-from+1) }
	ms := func(from, to int) time.Duration { return time.Duration(between(from, to)) * time.Millisecond }
	f := fault{n: n, kind: k, gap: ms(200, 2200), lasts: ms(200, 4000)}
	peer := peerLinks[rnd.IntN(len(peerLinks))]
	own := link{programs[rnd.IntN(len(programs)-1)], database} // the gateway has none
	stream := []string{"upstream", "downstream"}[rnd.IntN(2)]
	var slow, tear toxic
	switch rnd.IntN(2) {
	case 0:
		slow = toxic{"latency", stream, map[string]int{"latency": between(50, 800), "jitter": between(0, 300)}}
	default:
		slow = toxic{"bandwidth", stream, map[string]int{"rate": between(2, 40)}} // KB/s
	}
	switch rnd.IntN(4) {
	case 0:
		tear = toxic{"limit_data", stream, map[string]int{"bytes": between(1, 30_000)}}
	case 1:
		tear = toxic{"reset_peer", stream, map[string]int{"timeout": between(0, 500)}}
	case 2:
		tear = toxic{"slow_close", stream, map[string]int{"delay": between(100, 2000)}}
	default: // swallows everything, then closes
		tear = toxic{"timeout", stream, map[string]int{"timeout": between(100, 3000)}}
	}
	switch k {
	case kill, stop:
		f.program = programs[rnd.IntN(len(programs))]
	case cutPeer:
		f.link = peer
	case cutDatabase:
		f.link = own
	case slowPeer:
		f.link, f.toxic = peer, &slow
	case slowDatabase:
		f.link, f.toxic = own, &slow
	case tearPeer:
		f.link, f.toxic = peer, &tear
	case tearDatabase:
		f.link, f.toxic = own, &tear
	case restart:
		f.lasts = ms(0, 1500)
	case killPostgres:
		f.lasts, f.hard = ms(0, 1500), rnd.IntN(2) == 0
	}
	return f
}
