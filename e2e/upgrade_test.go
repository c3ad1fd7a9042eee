package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
)

func TestUpgradeOnPostgreSQL(t *testing.T) { upgrade(t, house.Databases(t)) }

func TestUpgradeOnSQLite(t *testing.T) { upgrade(t, house.Files(t)) }

// inTurn is the order in which programs are replaced: receivers of handoffs before their senders. So on the way there senders of
// the version before offer to receivers of this one, and on the way back it is the other way round.
var inTurn = []string{"customersuccess", "fieldsales", "insidesales", "marketing", "gateway"}

// upgrade is the life of a house over an upgrade that is taken back: the version before serves, its databases are migrated under
// it, program after program is replaced by this version, and again by the version before. All the while leads come in, whole
// relays are played in every mixture, and what one version has begun is ended by the other.
func upgrade(t *testing.T, dsns map[string]string) {
	u := &upgraded{t: t, old: house.PreviousPrograms(t), now: house.BinDir(t), dsns: dsns}
	u.House = house.Wire(t, dsns, house.Wiring{Bin: u.old})
	u.relay = scenario.NewRelay(t, u.House)
	load := scenario.StartLoad(t, u.House, true)
	u.play("before")

	begun := u.begin("of the version before")
	written := u.events()
	u.migrate()
	u.play("on the new schema")
	for _, program := range inTurn { // a program that did not start on the newer schema could not be rolled back to
		u.replace(program, u.old)
	}
	u.play("restarted on the new schema")

	for _, program := range inTurn {
		u.beside(program, u.now)
		u.replace(program, u.now)
		u.play("with this version of " + program)
	}
	u.end(begun)
	u.compare(written, u.events(), func(a, b *feedv1.Event) bool { return proto.Equal(a, b) })

	begun = u.begin("of this version")
	written = u.events()
	for _, program := range inTurn {
		u.beside(program, u.old)
		u.replace(program, u.old)
		u.play("back with the version before of " + program)
	}
	u.end(begun)
	// Fields that this version has added are not known to the version before.
	u.compare(written, u.events(), func(a, b *feedv1.Event) bool {
		return a.GetType() == b.GetType() && a.GetSubject() == b.GetSubject() && a.GetSubjectVersion() == b.GetSubjectVersion()
	})
	load.More()
	load.End("upgrade and back")
	scenario.EveryHandoffOnce(t, u.relay)
}

// upgraded is a house of two versions.
type upgraded struct {
	*house.House
	t        *testing.T
	relay    *scenario.Relay
	old, now string // folders of programs
	dsns     map[string]string
	played   int
}

// play takes a lead all the way.
func (u *upgraded) play(when string) {
	u.t.Helper()
	u.t.Logf("a relay %s", when)
	u.played++
	u.relay.Begin(fmt.Sprintf("relay%d", u.played)).To(scenario.StationOnboarded)
}

// begin leaves a lead at every station.
func (u *upgraded) begin(whose string) []*scenario.Journey {
	u.t.Helper()
	u.t.Logf("leads %s at every station", whose)
	var begun []*scenario.Journey
	for station := scenario.StationOffered; station < scenario.StationOnboarded; station++ {
		u.played++
		j := u.relay.Begin(fmt.Sprintf("station%d", u.played))
		j.To(station)
		begun = append(begun, j)
	}
	return begun
}

func (u *upgraded) end(begun []*scenario.Journey) {
	u.t.Helper()
	for _, j := range begun {
		j.To(scenario.StationOnboarded)
	}
}

// migrate brings the databases to the schema of this version while the version before serves, and then lets that one migrate,
// too, as its pods do when they are started again.
func (u *upgraded) migrate() {
	u.t.Helper()
	var changed []string
	for program, dsn := range u.dsns {
		before := house.Run(u.t, filepath.Join(u.old, program), "migrate", "--dsn", dsn)
		after := house.Run(u.t, filepath.Join(u.now, program), "migrate", "--dsn", dsn)
		for set := range strings.Lines(after) {
			if !strings.Contains(before, set) {
				changed = append(changed, program+": "+strings.Join(strings.Fields(set), " "))
			}
		}
		for set := range strings.Lines(house.Run(u.t, filepath.Join(u.old, program), "migrate", "--dsn", dsn)) {
			name, _, _ := strings.Cut(set, " ")
			if strings.Contains(after, name+" ") && !strings.Contains(after, set) {
				u.t.Errorf("%s: the version before has taken %s back to %s", program, name, set)
			}
		}
	}
	slices.Sort(changed)
	u.t.Logf("migrated: %s", strings.Join(changed, ", "))
	if names := added(u.t); len(names) > 0 && len(changed) == 0 {
		u.t.Errorf("there are new migrations, and no schema has changed: %v", names)
	}
}

// beside lets a replica of another version work on the database of a department for a relay; SQLite has one program a file.
func (u *upgraded) beside(program, bin string) {
	u.t.Helper()
	if dsn, department := u.dsns[program]; !department || strings.HasPrefix(dsn, "sqlite:") {
		return
	}
	other := u.Beside(program, bin)
	if err := other.Start(); err != nil {
		u.t.Fatal(err)
	}
	house.Await(u.t, program+" serves twice", func() error { return other.Serving(u.t.Context()) })
	u.play("with two versions of " + program + " on one database")
	other.Stop()
}

func (u *upgraded) replace(program, bin string) {
	u.t.Helper()
	if err := u.Programs[program].Replace(bin); err != nil {
		u.t.Fatal(err)
	}
	house.AwaitReady(u.t, u.URL)
}

// events are what the feeds of all departments show, by department and id.
func (u *upgraded) events() map[string]*feedv1.Event {
	u.t.Helper()
	all := map[string]*feedv1.Event{}
	for _, department := range []string{"marketing", "inside-sales", "field-sales", "customer-success"} {
		viewer := rest.Client{URL: u.URL + "/" + department, Token: u.Token("viewer")}
		for token := ""; ; {
			var page feedv1.ListEventsResponse
			viewer.Must(u.t, http.MethodGet, "/v1/events?pageSize=1000&pageToken="+url.QueryEscape(token), nil, &page)
			if len(page.GetEvents()) == 0 {
				break
			}
			for _, e := range page.GetEvents() {
				if all[department+"/"+e.GetId()] != nil {
					u.t.Errorf("%s shows event %s twice", department, e.GetId())
				}
				all[department+"/"+e.GetId()] = e
			}
			token = page.GetNextPageToken()
		}
	}
	return all
}

func (u *upgraded) compare(written, read map[string]*feedv1.Event, same func(a, b *feedv1.Event) bool) {
	u.t.Helper()
	types := map[string]bool{}
	for id, w := range written {
		types[w.GetType()] = true
		if r := read[id]; !same(w, r) {
			u.t.Errorf("event %s was written as %v, and is read as %v", id, w, r)
		}
	}
	u.t.Logf("%d events of %d types are read as they were written", len(written), len(types))
	if len(types) < 10 {
		u.t.Errorf("only %v", slices.Sorted(maps.Keys(types)))
	}
}
