package allinone

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
)

// callers notes who opens a connection to whom. Whoever offers a handoff also reads the receiver's feed, so the feeds that a
// department reads are all that it calls.
type callers struct {
	mu    sync.Mutex
	graph map[string]bool
	seen  chan struct{}
}

type peer struct {
	*callers
	edge string
}

func (p peer) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	p.note()
	return status.Error(codes.Unavailable, "nobody is here")
}

func (p peer) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	p.note()
	return nil, status.Error(codes.Unavailable, "nobody is here")
}

func (p peer) note() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.graph[p.edge] {
		p.graph[p.edge] = true
		p.seen <- struct{}{}
	}
}

func (c *callers) edges() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.graph))
}

// TestCallsAreThoseOfTheChart runs every department with all others as peers, and holds whom it calls against the chart's call
// graph, of which peers and network policies are made there.
func TestCallsAreThoseOfTheChart(t *testing.T) {
	text, err := os.ReadFile("../../deploy/helm/tasuki/files/calls.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(text)) {
		from, list, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), "]"), ": [")
		if !ok || strings.HasPrefix(line, "#") || from == "gateway" {
			continue
		}
		for to := range strings.SplitSeq(list, ", ") {
			want = append(want, from+" "+to)
		}
	}
	slices.Sort(want)
	program := func(d access.Department) string { return strings.ReplaceAll(d.String(), "-", "") }

	c := &callers{graph: map[string]bool{}, seen: make(chan struct{}, 100)}
	for _, def := range Definitions() {
		peers := map[access.Department]grpc.ClientConnInterface{}
		for _, other := range Definitions() {
			if other.Name != def.Name {
				peers[other.Name] = peer{c, program(def.Name) + " " + program(other.Name)}
			}
		}
		verifier, err := access.NewVerifier(access.TrustIssuer(access.EphemeralIssuer()))
		if err != nil {
			t.Fatal(err)
		}
		service, err := department.Open(t.Context(), def, department.Settings{
			DSN: "sqlite:" + t.TempDir() + "/" + program(def.Name) + ".db", Migrate: true, Verifier: verifier, Peers: peers,
		})
		if err != nil {
			t.Fatal(err)
		}
		group := lifecycle.New(lifecycle.Options{Signals: []os.Signal{}})
		for _, p := range service.Parts(nil) {
			if !strings.HasSuffix(p.Name, " server") { // nobody calls
				group.Add(p)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			if err := group.Run(ctx); err != nil {
				t.Errorf("%s: %v", def.Name, err)
			}
		})
		t.Cleanup(func() { stop(); done.Wait() })
	}
	deadline := time.After(time.Minute)
	for len(c.edges()) < len(want) {
		select {
		case <-c.seen:
		case <-deadline:
			t.Fatalf("they call\n  %s\nand the chart says\n  %s", strings.Join(c.edges(), "\n  "), strings.Join(want, "\n  "))
		}
	}
	// All readers start together: whoever is not in the graph gets a moment more.
	quiet := time.After(500 * time.Millisecond)
	for waiting := true; waiting; {
		select {
		case <-c.seen:
		case <-quiet:
			waiting = false
		}
	}
	if got := c.edges(); !slices.Equal(got, want) {
		t.Errorf("they call\n  %s\nand the chart says\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
