package lead

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// events are those of one type and subject, in order, as `version: data`.
func events[T proto.Message](t *testing.T, b *bench, subject string, show func(T) any) string {
	t.Helper()
	type row struct {
		SubjectVersion int64
		Data           []byte
	}
	var none T
	rows, err := store.Read(t.Context(), b.DB, func(tx store.Tx) ([]row, error) {
		return store.Select[row](t.Context(), tx, `SELECT subject_version, data FROM events WHERE type = $1 AND subject = $2 ORDER BY seq`,
			string(none.ProtoReflect().Descriptor().FullName()), subject)
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rows {
		data := none.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(r.Data, data); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(r.SubjectVersion, ": ", show(data.(T))))
	}
	return fmt.Sprint(all)
}

// tellings are what other departments were told of a person's consents.
func (b *bench) tellings(t *testing.T, personID string) string {
	t.Helper()
	return events(t, b, people.Subject(personID), func(e *partyv1.ConsentChanged) any { return words(people.ConsentsOf(e.GetConsents())) })
}

func words(consents []Consent) string {
	var all []string
	for _, c := range consents {
		word := "no"
		if c.Granted {
			word = c.Basis
		}
		all = append(all, c.Channel+" "+word)
	}
	return fmt.Sprint(all)
}

func agreeing(action string, consents ...Consent) Capture {
	c := hanako(action)
	c.Consents = consents
	return c
}

var (
	optIn     = Consent{Channel: "MAIL", Granted: true, Basis: "OPT_IN"}
	noMail    = Consent{Channel: "MAIL"}
	phoneCard = Consent{Channel: "PHONE", Granted: true, Basis: "BUSINESS_CARD"}
)

func TestOthersAreToldFromTheFirstOffer(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		l := b.capture(t, agreeing("web_visit", optIn))[0].Lead
		id := l.Person.ID
		b.clock.Advance(time.Hour)
		b.capture(t, agreeing("web_visit", noMail, phoneCard))
		if got := b.tellings(t, id); got != "[]" {
			t.Errorf("of somebody whom nobody knows was told %s", got)
		}
		// The events of the lead have it all.
		captured := events(t, b, subject(l.ID), func(e *pb.LeadCaptured) any { return words(people.ConsentsOf(e.GetLead().GetConsents())) })
		touched := events(t, b, subject(l.ID), func(e *pb.LeadTouched) any { return words(people.ConsentsOf(e.GetConsents())) })
		if captured != "[1: [MAIL OPT_IN]]" || touched != "[2: [MAIL no PHONE BUSINESS_CARD]]" {
			t.Errorf("captured %s, touched %s", captured, touched)
		}
		if _, err := b.server.QualifyLead(b.ctx(t.Context()), &pb.QualifyLeadRequest{Id: l.ID}); err != nil {
			t.Fatal(err)
		}
		want := "[2: [MAIL no PHONE BUSINESS_CARD]]"
		if got := b.tellings(t, id); got != want || b.read(t, l.ID).HandoffID == "" {
			t.Errorf("the offer told %s, want %s", got, want)
		}
		if got := b.read(t, l.ID).Person; got.ToldAt == nil || !got.ToldAt.Equal(b.clock.Now()) || got.Version != 2 {
			t.Errorf("told at %v, version %d", got.ToldAt, got.Version)
		}
		b.capture(t, agreeing("web_visit", phoneCard)) // as it is
		b.clock.Advance(time.Hour)
		b.capture(t, agreeing("web_visit", optIn))
		want = "[2: [MAIL no PHONE BUSINESS_CARD] 3: [MAIL OPT_IN PHONE BUSINESS_CARD]]"
		if got := b.tellings(t, id); got != want {
			t.Errorf("after the offer was told %s, want %s", got, want)
		}
	})
}

// Many at once, of whom some are offered: those alone are told of, new people and known ones alike.
func TestOthersAreToldOfThoseWhoAreOffered(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		named := func(n int, action string, consents ...Consent) Capture {
			c := agreeing(action, consents...)
			c.Person.Mail = fmt.Sprintf("p%d@example.co.jp", n)
			return c
		}
		b.capture(t, named(0, "web_visit", optIn), named(1, "web_visit", optIn))
		batch := []Capture{named(0, "demo_request"), named(1, "demo_request", phoneCard), named(2, "demo_request"), named(2, "web_visit", optIn)}
		for n := 3; n < 40; n++ {
			batch = append(batch, named(n, "web_visit", optIn))
		}
		results := b.capture(t, append(batch, named(40, "demo_request"))...)
		for n, want := range map[int]string{
			0: "[1: [MAIL OPT_IN]]", 1: "[2: [MAIL OPT_IN PHONE BUSINESS_CARD]]", 2: "[1: [MAIL OPT_IN]]", 41: "[]",
		} {
			l := b.read(t, results[n].Lead.ID)
			if got := b.tellings(t, l.Person.ID); got != want || l.State != Offered {
				t.Errorf("capture %d, %s: told %s, want %s", n, l.State, got, want)
			}
			if (l.Person.ToldAt != nil) != (want != "[]") {
				t.Errorf("capture %d: told at %v", n, l.Person.ToldAt)
			}
		}
		if n := b.count(t, "events WHERE type = 'tasuki.party.v1.ConsentChanged'"); n != 3 {
			t.Errorf("%d people were told of", n)
		}
		// There was nothing to tell of the last one; what comes later is told at once.
		b.capture(t, named(40, "web_visit", phoneCard))
		if got := b.tellings(t, results[41].Lead.Person.ID); got != "[2: [PHONE BUSINESS_CARD]]" {
			t.Errorf("of somebody who was offered without consents: %s", got)
		}
	})
}

// A program of the version before offers without telling, while both run: whatever happens to the lead next makes up for it.
func TestOthersAreToldOfWhomTheyKnowAlready(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		l := b.capture(t, agreeing("demo_request", optIn))[0].Lead
		_, err := store.Write(t.Context(), b.DB, func(tx store.Tx) (struct{}, error) {
			tx.Queue(`UPDATE people SET told_at = NULL`)
			tx.Queue(`DELETE FROM events`)
			return struct{}{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		nps := &customersuccessv1.NpsResponseRecorded{NpsResponse: &customersuccessv1.NpsResponse{CustomerId: party.NewID(), Score: 9}}
		b.told(t, l.JourneyID, nps)
		b.told(t, l.JourneyID, nps)
		if got := b.tellings(t, l.Person.ID); got != "[1: [MAIL OPT_IN]]" {
			t.Errorf("told %s", got)
		}

		// Whom a customer named is known to customer success.
		b.told(t, "", &customersuccessv1.ReferralRecorded{Referral: &customersuccessv1.Referral{
			Id: party.NewID(), CustomerId: party.NewID(),
			Person: &typev1.Person{Name: &typev1.PersonName{Full: "鈴木 次郎"}, Mail: "jiro@other.example.jp"},
		}})
		named := hanako("web_visit")
		named.Person.Mail, named.Consents = "jiro@other.example.jp", []Consent{phoneCard}
		if got := b.tellings(t, b.capture(t, named)[0].Lead.Person.ID); got != "[2: [PHONE BUSINESS_CARD]]" {
			t.Errorf("of a referral was told %s", got)
		}
	})
}

// countedTx counts what is asked and waited for; what is queued travels with it.
type countedTx struct {
	store.Tx
	asked *int
}

func (c countedTx) Query(ctx context.Context, sql string, args ...any) (store.Rows, error) {
	*c.asked++
	return c.Tx.Query(ctx, sql, args...)
}

func (c countedTx) QueryRow(ctx context.Context, sql string, args ...any) store.Row {
	*c.asked++
	return c.Tx.QueryRow(ctx, sql, args...)
}

func (c countedTx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	*c.asked++
	return c.Tx.Exec(ctx, sql, args...)
}

func (c countedTx) Flush(ctx context.Context) error {
	*c.asked++
	return c.Tx.Flush(ctx)
}

// A capture of somebody new begins and reads, and writes and commits: two round trips. Of somebody known it locks, too.
func TestRoundTripsOfACapture(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		b.capture(t, hanako("web_visit")) // the salt of suppressions is read once in a process
		for _, tc := range []struct {
			name, mail string
			want       int
		}{{"new", "taro@example.co.jp", 1}, {"known", "taro@example.co.jp", 2}} {
			c := agreeing("web_visit", optIn, phoneCard)
			c.Person.Mail = tc.mail
			c.Tidy(b.Model, b.clock.Now())
			asked := 0
			_, err := store.Write(b.ctx(t.Context()), b.DB, func(tx store.Tx) ([]Result, error) {
				asked = 0
				return b.Capture(b.ctx(t.Context()), countedTx{tx, &asked}, []Capture{c})
			})
			if err != nil || asked != tc.want {
				t.Errorf("%s: asked %d times before the commit, want %d (%v)", tc.name, asked, tc.want, err)
			}
		}
	})
}
