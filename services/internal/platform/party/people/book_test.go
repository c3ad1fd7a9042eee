package people_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/idempotency"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// A department with cards, what is written on them, and seats that hold one person once.
const schema = `-- +goose Up
CREATE TABLE cards (
	id TEXT NOT NULL PRIMARY KEY, person_id TEXT NOT NULL, account_id TEXT NOT NULL, journey_id TEXT NOT NULL, mail TEXT NOT NULL,
	remark TEXT NOT NULL, doc TEXT
);
CREATE TABLE lines (card_id TEXT NOT NULL, seq BIGINT NOT NULL, line TEXT NOT NULL, PRIMARY KEY (card_id, seq));
CREATE TABLE seats (room TEXT NOT NULL, seat_key TEXT NOT NULL, person_id TEXT NOT NULL, PRIMARY KEY (room, seat_key));
`

var tables = []people.Table{
	{
		Name: "cards", Key: []string{"id"}, Person: "person_id", Account: "account_id", Journey: "journey_id", Mail: "mail",
		Subject: "card", Facts: []string{"mail"}, Text: []string{"remark"}, JSON: []string{"doc"},
	},
	{Name: "lines", Key: []string{"card_id", "seq"}, Of: "cards", By: "card_id", Text: []string{"line"}},
	{Name: "seats", Key: []string{"room", "seat_key"}, Person: "person_id", Mail: "seat_key", Unique: "seat_key", Collides: true},
}

func sets() []store.Migrations {
	file := &fstest.MapFile{Data: []byte(schema)}
	return []store.Migrations{
		event.Migrations(), idempotency.Migrations, handoff.Migrations(), people.Migrations(),
		{Name: "cards", FS: fstest.MapFS{"sqlite/0001_cards.sql": file, "postgres/0001_cards.sql": file}},
	}
}

func TestSchemasMatch(t *testing.T) { testkit.SchemasMatch(t, people.Migrations()) }

type desk struct {
	*people.Book
	clock *testkit.Clock
}

func desks(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		c := testkit.NewClock(time.Time{})
		test(t, &desk{clock: c, Book: &people.Book{
			Department: "inside-sales", DB: db, Clock: c, Events: event.NewLog(db, c), Tables: tables,
		}})
	}, sets()...)
}

func (d *desk) write(t *testing.T, do func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	_, err := store.Write(t.Context(), d.DB, func(tx store.Tx) (struct{}, error) { return struct{}{}, do(t.Context(), tx) })
	if err != nil {
		t.Fatal(err)
	}
}

func (d *desk) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	d.write(t, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}

func (d *desk) texts(t *testing.T, sql string, args ...any) []string {
	t.Helper()
	out, err := store.Read(t.Context(), d.DB, func(tx store.Tx) ([]string, error) { return store.Select[string](t.Context(), tx, sql, args...) })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// hear handles an event of marketing.
func (d *desk) hear(t *testing.T, version int64, m proto.Message) {
	t.Helper()
	data, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, func(ctx context.Context, tx store.Tx) error {
		return d.Follow(ctx, tx, &feedv1.Event{Id: party.NewID(), SubjectVersion: version, Data: data})
	})
}

func (d *desk) permissions(t *testing.T, id string) *partyv1.ContactPermissions {
	t.Helper()
	p, err := (&people.Server{Book: d.Book}).GetContactPermissions(t.Context(), &partyv1.GetContactPermissionsRequest{PersonId: id})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// allowed are the channels that may be used.
func (d *desk) allowed(t *testing.T, id string) string {
	t.Helper()
	var out []string
	for _, c := range d.permissions(t, id).GetChannels() {
		if c.GetAllowed() {
			out = append(out, c.GetChannel())
		}
	}
	return strings.Join(out, " ")
}

func granted(channel string) *handoffv1.Consent {
	return &handoffv1.Consent{Channel: channel, Granted: true, Basis: people.OptIn}
}

func TestConsentsAreAnsweredFromTheProjection(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		id := party.NewID()
		if got := d.allowed(t, id); got != "PHONE" {
			t.Errorf("of nobody known %q is allowed", got)
		}
		d.hear(t, 1, &partyv1.ConsentChanged{PersonId: id, Consents: []*handoffv1.Consent{granted("MAIL")}})
		if got := d.allowed(t, id); got != "MAIL PHONE" {
			t.Errorf("after the consent %q is allowed", got)
		}
		d.hear(t, 3, &partyv1.ConsentChanged{PersonId: id, Consents: []*handoffv1.Consent{{Channel: "MAIL"}, {Channel: "PHONE"}}})
		d.hear(t, 2, &partyv1.ConsentChanged{PersonId: id, Consents: []*handoffv1.Consent{granted("MAIL")}}) // replayed late
		if got := d.allowed(t, id); got != "" {
			t.Errorf("after the withdrawal %q is allowed", got)
		}
	})
}

func TestMergedIDsResolveForEver(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		a, b, c := party.NewID(), party.NewID(), party.NewID()
		d.hear(t, 1, &partyv1.ConsentChanged{PersonId: a, Consents: []*handoffv1.Consent{granted("MAIL")}})
		d.hear(t, 2, &partyv1.PersonMerged{SurvivorId: b, MergedId: a, Consents: []*handoffv1.Consent{granted("MAIL")}})
		d.hear(t, 2, &partyv1.PersonMerged{SurvivorId: c, MergedId: b, Consents: []*handoffv1.Consent{{Channel: "MAIL"}}})
		for _, id := range []string{a, b, c} {
			p := d.permissions(t, id)
			if p.GetPersonId() != c || p.GetChannels()[0].GetAllowed() {
				t.Errorf("%s answers %v", id, p)
			}
		}
		d.hear(t, 9, &partyv1.ConsentChanged{PersonId: a, Consents: []*handoffv1.Consent{granted("MAIL")}}) // of the merged record
		if got := d.allowed(t, c); got != "PHONE" {
			t.Errorf("a word on the merged record allows %q", got)
		}
	})
}

func TestMergeMovesEveryRow(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		goes, stays, other := party.NewID(), party.NewID(), party.NewID()
		d.exec(t, `INSERT INTO cards VALUES ('c1', $1, 'acc', 'j', '', '', $2), ('c2', $3, 'acc', 'j', '', '', NULL)`,
			goes, `{"id":"`+goes+`"}`, other)
		d.exec(t, `INSERT INTO seats VALUES ('r1', $1, $1), ('r1', $2, $2), ('r2', $1, $1)`, goes, stays)
		moves, err := store.Read(t.Context(), d.DB, func(tx store.Tx) ([]people.Moved, error) { return d.Moves(t.Context(), tx, goes) })
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		for _, m := range moves {
			rows = append(rows, m.Table+" "+m.Row)
		}
		want := []string{"cards c1", "seats r1/" + goes, "seats r2/" + goes, "person_redirects " + goes}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("the dry run says (- want, + got):\n%s", diff)
		}
		d.hear(t, 1, &partyv1.PersonMerged{SurvivorId: stays, MergedId: goes})
		d.hear(t, 1, &partyv1.PersonMerged{SurvivorId: stays, MergedId: goes}) // told twice
		if diff := cmp.Diff([]string{stays + " " + `{"id":"` + stays + `"}`, other + " "},
			d.texts(t, `SELECT person_id || ' ' || COALESCE(doc, '') FROM cards ORDER BY id`)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"r1 " + stays, "r2 " + stays}, d.texts(t, `SELECT room || ' ' || seat_key FROM seats ORDER BY 1`)); diff != "" {
			t.Error(diff)
		}
	})
}

const mail = "hanako.sato@example.co.jp"

// settle writes a person everywhere: cards under two ids with one mail address, a handoff, events, a kept answer.
func (d *desk) settle(t *testing.T, id string) {
	t.Helper()
	other, journey, handoffID := party.NewID(), party.NewID(), party.NewID()
	now := d.clock.Now()
	who := &typev1.Person{Id: id, Mail: mail, Name: &typev1.PersonName{Full: "佐藤 花子"}}
	d.exec(t, `INSERT INTO cards VALUES ('c1', $1, 'acc', $2, $3, 'call 佐藤花子', $4), ('c2', $5, 'acc', $2, $3, $3, NULL),
		('c3', $6, 'acc', 'j', 'jiro@example.co.jp', 'knows 佐藤 花子', NULL)`,
		id, journey, mail, `{"id":"`+id+`","full":"佐藤 花子"}`, other, party.NewID())
	d.exec(t, `INSERT INTO lines VALUES ('c1', 1, $1), ('c2', 1, $1), ('c3', 1, 'nothing')`, "wrote to "+mail)
	d.exec(t, `INSERT INTO seats VALUES ('r1', $1, '')`, mail)
	h := &handoffv1.Handoff{
		Id: handoffID, PersonId: id, JourneyId: journey,
		Payload: &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{Person: who, Notes: "from " + mail}}},
	}
	body, err := proto.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	d.exec(t, `INSERT INTO handoffs (id, side, kind, chain_id, attempt, journey_id, person_id, account_id, from_department, to_department,
		queue, assignee, state, delivery, reason, completeness, offered_at, policy, calendar, sender_subject, receiver_subject, version,
		updated_at, body) VALUES ($1, 'IN', 'MQL', $1, 1, $2, $3, '', 'marketing', 'inside-sales', '', '', 'OFFERED', '', '', 0, $4, '', '',
		'', '', 1, $4, $5)`, handoffID, journey, id, now, body)
	d.exec(t, `INSERT INTO handoff_transitions VALUES ($1, 1, 1, '', 'OFFERED', $2, 'PERSON', 'ito', '', '', $3, 0)`, handoffID, now, "for "+mail)
	d.exec(t, `INSERT INTO idempotency_keys VALUES ('ito', 'm', 'k', $1, 'tasuki.handoff.v1.Handoff', $2, $3, $3)`, []byte{1}, body, now)
	d.write(t, func(ctx context.Context, tx store.Tx) error {
		return d.Events.Append(ctx, tx,
			event.Event{Subject: "handoff/" + handoffID, SubjectVersion: 1, Data: &handoffv1.HandoffReceived{Handoff: h}},
			event.Event{Subject: "card/c2", SubjectVersion: 1, Data: &handoffv1.HandoffReceived{Handoff: h}},
			event.Event{Subject: "card/c3", SubjectVersion: 1, Data: &handoffv1.HandoffReceived{Handoff: &handoffv1.Handoff{Id: "c3"}}})
	})
}

func TestErasureLeavesNothing(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		id := party.NewID()
		d.settle(t, id)
		before := d.texts(t, `SELECT CAST(id AS TEXT) || type || subject FROM events ORDER BY seq`)
		ask := &partyv1.ErasureRequested{ErasureId: party.NewID(), PersonId: id, PersonIds: []string{id}}
		d.hear(t, 1, ask)
		d.hear(t, 1, ask) // told twice: nothing is left to erase
		wantGone(t, d)
		want := []string{"cards 2", "events 2", "handoffs 2", "idempotency_keys 1", "lines 2", "seats 1"}
		acks := d.acks(t)
		if len(acks) != 2 || len(acks[1].GetErased()) != 0 {
			t.Fatalf("acknowledged %v", acks)
		}
		var got []string
		for _, c := range acks[0].GetErased() {
			got = append(got, c.GetTable()+" "+strings.Repeat("I", int(c.GetRows())))
		}
		for i := range want {
			want[i] = strings.NewReplacer(" 2", " II", " 1", " I").Replace(want[i])
		}
		if diff := cmp.Diff(want, got); diff != "" || acks[0].GetDepartment() != "inside-sales" {
			t.Errorf("erased (- want, + got):\n%s", diff)
		}
		if after := d.texts(t, `SELECT CAST(id AS TEXT) || type || subject FROM events ORDER BY seq`); !slices.Equal(before, after[:len(before)]) {
			t.Error("the erasure has changed more of the events than their data")
		}
		if left := d.texts(t, `SELECT remark FROM cards WHERE id = 'c3'`); left[0] != "knows 佐藤 花子" {
			t.Errorf("somebody else's card has become %q", left)
		}
		if p := d.permissions(t, id); !p.GetErased() || p.GetChannels()[1].GetAllowed() {
			t.Errorf("after the erasure: %v", p)
		}
	})
}

// wantGone looks for the mail address in everything that was written.
func wantGone(t *testing.T, d *desk) {
	t.Helper()
	for _, column := range []string{
		"cards.mail", "cards.remark", "cards.doc", "lines.line", "seats.seat_key", "handoff_transitions.note", "suppressions.hash",
	} {
		table, name, _ := strings.Cut(column, ".")
		for _, text := range d.texts(t, `SELECT COALESCE(`+name+`, '') FROM `+table+` WHERE `+name+` IS NOT NULL`) {
			if strings.Contains(text, mail) {
				t.Errorf("%s still has %q", column, text)
			}
		}
	}
	for _, column := range []string{"handoffs.body", "events.data", "idempotency_keys.response"} {
		table, name, _ := strings.Cut(column, ".")
		blobs, err := store.Read(t.Context(), d.DB, func(tx store.Tx) ([][]byte, error) {
			return store.Select[[]byte](t.Context(), tx, `SELECT `+name+` FROM `+table)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blobs {
			if strings.Contains(string(b), mail) || strings.Contains(string(b), "佐藤") {
				t.Errorf("%s still has %q", column, b)
			}
		}
	}
}

func (d *desk) acks(t *testing.T) []*partyv1.ErasureAcknowledged {
	t.Helper()
	blobs, err := store.Read(t.Context(), d.DB, func(tx store.Tx) ([][]byte, error) {
		return store.Select[[]byte](t.Context(), tx, `SELECT data FROM events WHERE type = 'tasuki.party.v1.ErasureAcknowledged' ORDER BY seq`)
	})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]*partyv1.ErasureAcknowledged, len(blobs))
	for i, b := range blobs {
		out[i] = &partyv1.ErasureAcknowledged{}
		if err := proto.Unmarshal(b, out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestWhoIsErasedIsRecognisedByAHashAlone(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		id := party.NewID()
		d.settle(t, id)
		d.hear(t, 1, &partyv1.ErasureRequested{ErasureId: party.NewID(), PersonId: id, PersonIds: []string{id}})
		got, err := store.Read(t.Context(), d.DB, func(tx store.Tx) (map[string]bool, error) {
			return d.Suppressed(t.Context(), tx, mail, "jiro@example.co.jp", "")
		})
		if err != nil || len(got) != 1 || !got[mail] {
			t.Errorf("suppressed are %v, %v", got, err)
		}
	})
}

func TestWhatArrivesLateIsTakenAsPeopleAreNow(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		gone, merged, stays := party.NewID(), party.NewID(), party.NewID()
		d.hear(t, 1, &partyv1.ErasureRequested{ErasureId: party.NewID(), PersonId: gone, PersonIds: []string{gone}})
		d.hear(t, 2, &partyv1.PersonMerged{SurvivorId: stays, MergedId: merged})
		late := func(id string) *handoffv1.Handoff {
			h := &handoffv1.Handoff{PersonId: id, Payload: &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{
				Person: &typev1.Person{Id: id, Mail: mail}, Notes: "from " + mail,
			}}}}
			d.write(t, func(ctx context.Context, tx store.Tx) error { return d.Intake(ctx, tx, h) })
			return h
		}
		if h := late(gone); strings.Contains(h.String(), mail) || h.GetPersonId() != gone {
			t.Errorf("of an erased person arrives %v", h)
		}
		if h := late(merged); h.GetPersonId() != stays || h.GetPayload().GetMql().GetPerson().GetId() != stays {
			t.Errorf("of a merged person arrives %v", h)
		}
		if h := late(party.NewID()); !strings.Contains(h.String(), mail) {
			t.Errorf("of anybody else arrives %v", h)
		}
	})
}

// A handoff may arrive before the feed tells of its person.
func TestConsentsComeWithTheHandoff(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		arrive := func(id string, consents ...*handoffv1.Consent) {
			d.write(t, func(ctx context.Context, tx store.Tx) error {
				return d.Intake(ctx, tx, &handoffv1.Handoff{PersonId: id, Payload: &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{
					Mql: &handoffv1.MqlPayload{Person: &typev1.Person{Id: id}, Consents: consents},
				}}})
			})
		}
		wantAllowed := func(when, id, want string) {
			t.Helper()
			if got := d.allowed(t, id); got != want {
				t.Errorf("%s %q is allowed, want %q", when, got, want)
			}
		}
		fresh, silent, gone, merged, stays := party.NewID(), party.NewID(), party.NewID(), party.NewID(), party.NewID()
		arrive(fresh, granted("MAIL"), &handoffv1.Consent{Channel: "PHONE"})
		wantAllowed("as soon as a lead is here", fresh, "MAIL")
		d.hear(t, 1, &partyv1.ConsentChanged{PersonId: fresh, Consents: []*handoffv1.Consent{{Channel: "MAIL"}, {Channel: "PHONE"}}})
		wantAllowed("after what marketing tells", fresh, "")
		arrive(fresh, granted("MAIL"), granted("PHONE"))
		wantAllowed("when an old offer arrives again", fresh, "")

		arrive(silent)
		wantAllowed("with a lead that says nothing of consents", silent, "PHONE")

		d.hear(t, 1, &partyv1.ErasureRequested{ErasureId: party.NewID(), PersonId: gone, PersonIds: []string{gone}})
		arrive(gone, granted("MAIL"))
		wantAllowed("of somebody who was erased", gone, "")
		d.hear(t, 2, &partyv1.PersonMerged{SurvivorId: stays, MergedId: merged, Consents: []*handoffv1.Consent{{Channel: "MAIL"}}})
		arrive(merged, granted("MAIL"))
		wantAllowed("of somebody who was merged", merged, "PHONE")
		if kept := d.texts(t, `SELECT person_id FROM person_consents WHERE person_id IN ($1, $2, $3)`, silent, gone, merged); len(kept) > 0 {
			t.Errorf("consents are kept of %v", kept)
		}
	})
}

func TestUnlistedTablesAreFound(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		wrong, err := people.Unlisted(t.Context(), d.DB, tables)
		if err != nil || len(wrong) > 0 {
			t.Errorf("%v, %v", wrong, err)
		}
		d.exec(t, `CREATE TABLE forgotten (id TEXT, lead_person_id TEXT)`)
		short := slices.Clone(tables[1:])
		short[1].Text = []string{"colour"}
		wrong, err = people.Unlisted(t.Context(), d.DB, short)
		for _, part := range []string{"cards.person_id", "cards.account_id", "forgotten.lead_person_id", "seats.colour", "lines hangs on cards"} {
			if err != nil || !strings.Contains(strings.Join(wrong, "\n"), part) {
				t.Errorf("nobody misses %s: %v, %v", part, wrong, err)
			}
		}
	})
}
