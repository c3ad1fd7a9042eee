package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/scenario"
)

// kills is how often the demo is killed in one run.
const kills = 20

func TestKilledDemoOnSQLite(t *testing.T) {
	killedDemo(t, func() []string { return nil })
}

func TestKilledDemoOnPostgreSQL(t *testing.T) {
	killedDemo(t, func() []string { return []string{"--dsn", house.Template(house.Databases(t))} })
}

// killedDemo kills the demo with SIGKILL at random moments, starts it again, lets it end, and then compares what the
// departments have: every handoff arrived once, and made one thing. A demo that ends before it is killed is compared, too,
// and another begins on empty storage.
func killedDemo(t *testing.T, storage func() []string) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SEED=%q is no number", s)
		}
		seed = n
	}
	t.Logf("moments of the kills come from SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	d := newDemo(t, storage())
	for midway := 0; midway < kills; {
		p := house.Start(t, d.program, d.args...)
		// From before the databases are open to well into the relay.
		select {
		case <-time.After(time.Duration(rnd.Int64N(int64(1200 * time.Millisecond)))):
			midway++
			p.Kill()
		case <-p.Done():
			d.compare(t, p)
			d = newDemo(t, storage())
		}
	}
	last := house.Start(t, d.program, d.args...)
	select {
	case <-last.Done():
	case <-time.After(3 * time.Minute):
		t.Fatal("the demo does not end")
	}
	d.compare(t, last)
}

// demo is one demo on storage of its own.
type demo struct {
	program, data, address string
	args, storage          []string
}

func newDemo(t *testing.T, storage []string) *demo {
	t.Helper()
	d := &demo{program: filepath.Join(house.BinDir(t), "tasuki"), data: t.TempDir(), address: house.FreeAddress(t), storage: storage}
	d.args = append([]string{"demo", "--data", d.data, "--listen", d.address, "--leads", "testdata/leads.csv", "--exit"}, storage...)
	return d
}

// compare looks at everything after a demo that has ended.
func (d *demo) compare(t *testing.T, ended *house.Process) {
	t.Helper()
	if ended.Err() != nil {
		t.Fatalf("the demo ended with %v", ended.Err())
	}
	if !strings.Contains(ended.Output(), "From lead to onboarded customer") {
		t.Error("the demo printed no funnel")
	}
	up := house.Start(t, d.program, append([]string{"up", "--data", d.data, "--listen", d.address}, d.storage...)...)
	h := house.Running(t, "http://"+d.address, d.data)
	house.AwaitReady(t, h.URL)
	scenario.EveryHandoffOnce(t, scenario.NewRelay(t, h))
	up.Stop()
}
