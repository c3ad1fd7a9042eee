package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

func TestBackupOnSQLite(t *testing.T) {
	none := func() []string { return nil }
	backedUp(t, none, none)
}

// On PostgreSQL the house moves to a server that has just been made: its transaction ids are far behind those of the old one.
func TestBackupOnPostgreSQL(t *testing.T) {
	backedUp(t,
		func() []string { return []string{"--dsn", house.Template(house.Databases(t))} },
		func() []string { return []string{"--dsn", house.Template(house.StartPostgres(t).Databases(t))} })
}

// kept is a house of one process that is backed up.
type kept struct {
	*house.House
	t                      *testing.T
	program, address, data string
	storage                []string
	process                *house.Process
}

func newKept(t *testing.T, storage []string) *kept {
	t.Helper()
	k := &kept{t: t, program: filepath.Join(house.BinDir(t), "tasuki"), address: house.LastingAddress(t), storage: storage}
	k.up(t.TempDir())
	return k
}

// up runs the house on a data folder.
func (k *kept) up(data string) {
	k.t.Helper()
	k.data = data
	k.process = house.Start(k.t, k.program, k.on("up", "--listen", k.address)...)
	k.House = house.Running(k.t, "http://"+k.address, data)
	house.AwaitReady(k.t, k.URL)
}

func (k *kept) on(command string, flags ...string) []string {
	return append(append([]string{command, "--data", k.data}, flags...), k.storage...)
}

func (k *kept) backup() (dir string) {
	k.t.Helper()
	dir = filepath.Join(k.t.TempDir(), "backup")
	k.t.Log(house.Run(k.t, k.program, k.on("backup", "--to", dir)...))
	return dir
}

// reconcile compares the ledgers, and returns what was printed and whether they agree.
func (k *kept) reconcile() (string, bool) {
	k.t.Helper()
	out, err := exec.CommandContext(k.t.Context(), k.program, "reconcile", "--data", k.data, "--gateway", k.URL).CombinedOutput()
	return string(out), err == nil
}

func (k *kept) agrees() {
	k.t.Helper()
	if out, agree := k.reconcile(); !agree {
		k.t.Errorf("the ledgers do not agree:\n%s", out)
	}
}

// reader has read the feed of marketing to its end, from outside of the house.
type reader struct {
	k      *kept
	cursor string
	seen   map[string]bool
}

func (r *reader) read() {
	r.k.t.Helper()
	viewer := rest.Client{URL: r.k.URL + "/marketing", Token: r.k.Token("viewer")}
	for {
		var page feedv1.ListEventsResponse
		viewer.Must(r.k.t, http.MethodGet, "/v1/events?pageSize=1000&pageToken="+url.QueryEscape(r.cursor), nil, &page)
		for _, e := range page.GetEvents() {
			if r.seen[e.GetId()] {
				r.k.t.Errorf("the feed shows event %s twice", e.GetId())
			}
			r.seen[e.GetId()] = true
		}
		if r.cursor = page.GetNextPageToken(); len(page.GetEvents()) == 0 {
			return
		}
	}
}

func leadIDs(t *testing.T, r *scenario.Relay) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	scenario.All(t, r.Marketing, "/v1/leads", func(page *marketingv1.ListLeadsResponse) {
		for _, lead := range page.GetLeads() {
			ids[lead.GetId()] = true
		}
	})
	return ids
}

// backedUp is the life of a house over a disaster: it is backed up while leads come in, works on, and is killed. On other storage it
// comes back as it was at the moment of the backup, with leads at every station, and they go on to the end.
func backedUp(t *testing.T, storage, other func() []string) {
	k := newKept(t, storage())
	relay := scenario.NewRelay(t, k.House)
	load := scenario.StartLoad(t, k.House, false)
	var begun []*scenario.Journey
	for station := scenario.StationOffered; station <= scenario.StationOnboarded; station++ {
		j := relay.Begin(fmt.Sprintf("station%d", station))
		j.To(station)
		begun = append(begun, j)
	}
	load.More()
	before := leadIDs(t, relay)
	dir := k.backup()
	load.More()
	relay.Begin("lost").To(scenario.StationMeeting)
	load.End("backup") // nobody was refused anything meanwhile
	after := leadIDs(t, relay)
	outside := &reader{k: k, seen: map[string]bool{}}
	outside.read()
	k.process.Kill()

	k.storage = other()
	k.data = filepath.Join(t.TempDir(), "restored")
	t.Log(house.Run(t, k.program, k.on("restore", "--from", dir)...))
	k.up(k.data)
	scenario.Settled(t, relay) // with the tokens of before: the issuer's key is back, too
	k.agrees()
	now := leadIDs(t, relay)
	for id := range before {
		if !now[id] {
			t.Errorf("lead %s was there before the backup, and is lost", id)
		}
	}
	for id := range now {
		if !after[id] {
			t.Errorf("lead %s came from nowhere", id)
		}
	}
	t.Logf("%d leads before the backup, %d in it, %d when the house was killed", len(before), len(now), len(after))
	if len(now) >= len(after) {
		t.Error("what came after the backup is there")
	}
	again := &reader{k: k, seen: map[string]bool{}}
	again.read()
	restored := len(again.seen)

	for _, j := range begun {
		j.To(scenario.StationOnboarded)
	}
	relay.Begin("fresh").To(scenario.StationOnboarded)
	scenario.Settled(t, relay)
	scenario.EveryHandoffOnce(t, relay)
	k.agrees()
	// The reader from outside remembers more than the backup has, and misses nothing of what is new.
	lost := 0
	for id := range outside.seen {
		if !again.seen[id] {
			lost++
		}
	}
	again.read()
	outside.read()
	for id := range again.seen {
		if !outside.seen[id] {
			t.Fatalf("the reader has missed event %s", id)
		}
	}
	t.Logf("the reader has %d events that are lost, and %d that are new", lost, len(again.seen)-restored)
	if lost == 0 || len(again.seen) == restored {
		t.Error("nothing was tried")
	}
}

// TestOneDepartmentRestored brings marketing alone back from a backup. The others know more than it does; what it can learn
// from them it learns, everything new flows, and what nobody can mend is named.
func TestOneDepartmentRestored(t *testing.T) {
	k := newKept(t, nil)
	relay := scenario.NewRelay(t, k.House)
	known := relay.Begin("known")
	load := scenario.StartLoad(t, k.House, false)
	load.More()
	dir := k.backup()
	load.More()
	load.End("backup")
	lead := relay.Capture("forgotten")
	item := relay.ToMeeting(lead)
	known.To(scenario.StationOnboarded)
	k.process.Kill()

	path := filepath.Join(k.data, "marketing.db")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	t.Log(house.Run(t, k.program, k.on("restore", "--from", dir, "--only", "marketing")...))
	k.up(k.data)

	// Marketing reads again what the others decided after the backup.
	known.To(scenario.StationOnboarded)
	scenario.All(t, relay.Marketing, "/v1/leads", func(page *marketingv1.ListLeadsResponse) {
		for _, l := range page.GetLeads() {
			if strings.HasPrefix(l.GetPerson().GetMail(), "known@") {
				relay.AwaitLead(l.GetId(), marketingv1.Lead_STATE_CUSTOMER)
			}
		}
	})
	// What is new flows, in the feed of marketing, too, whose readers are ahead of it.
	scenario.Erase(t, k.House)
	relay.Begin("fresh").To(scenario.StationOnboarded)
	// The lead that marketing has forgotten is still worked on, and named.
	if w := relay.WorkItem(item); w.GetJourneyId() != lead.GetJourneyId() {
		t.Errorf("the work item of the forgotten lead is %v", w)
	}
	out, agree := k.reconcile()
	if agree || !strings.Contains(out, "The receiver has a handoff of which the sender knows nothing") {
		t.Errorf("nothing is said of the forgotten lead:\n%s", out)
	}
	t.Log(out)
}
