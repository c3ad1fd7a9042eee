package lead

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func sets() []store.Migrations {
	return []store.Migrations{
		event.Migrations(), jobs.Migrations(), handoff.Migrations(), people.Migrations(), {Name: "marketing", FS: os.DirFS("../../migrations")},
	}
}

// offers stands for inside sales: it keeps what it is offered, or fails.
type offers struct {
	mu   sync.Mutex
	made []handoff.NewOffer
	err  error
}

func (o *offers) Offer(_ context.Context, tx store.Tx, offer handoff.NewOffer) (*handoffv1.Handoff, error) {
	if o.err != nil {
		return nil, o.err
	}
	tx.AfterCommit(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.made = append(o.made, offer)
	})
	id := party.NewID()
	return &handoffv1.Handoff{Id: id, ChainId: id}, nil
}

type bench struct {
	*Desk
	clock  *testkit.Clock
	offers *offers
	server *Server
}

func newBench(db *store.DB) *bench {
	c, o := testkit.NewClock(start), &offers{}
	d := &Desk{
		DB: db, Clock: c, Events: event.NewLog(db, c), Jobs: jobs.New(db, jobs.Config{}), Model: model, Handoffs: o, AutoOffer: true,
	}
	d.Register()
	return &bench{Desk: d, clock: c, offers: o, server: NewServer(d)}
}

// desks runs a test on both engines.
func desks(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, db *store.DB) { test(t, newBench(db)) }, sets()...)
}

func (b *bench) ctx(ctx context.Context) context.Context { return access.WithActor(ctx, sato) }

func (b *bench) capture(t *testing.T, captures ...Capture) []Result {
	t.Helper()
	results, err := b.tryCapture(b.ctx(t.Context()), captures...)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func (b *bench) tryCapture(ctx context.Context, captures ...Capture) ([]Result, error) {
	for i := range captures {
		captures[i].Tidy(b.Model, b.clock.Now())
	}
	return RetryUnique(ctx, b.DB, func(tx store.Tx) ([]Result, error) {
		return b.Capture(ctx, tx, append([]Capture(nil), captures...))
	})
}

func (b *bench) read(t *testing.T, id string) *Lead {
	t.Helper()
	l, err := store.Read(t.Context(), b.DB, func(tx store.Tx) (*Lead, error) { return get(t.Context(), tx, id) })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (b *bench) count(t *testing.T, what string, args ...any) int {
	t.Helper()
	n, err := store.Read(t.Context(), b.DB, func(tx store.Tx) (int, error) {
		return store.Get[int](t.Context(), tx, "SELECT COUNT(*) FROM "+what, args...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (b *bench) rule(t *testing.T, domain string) {
	t.Helper()
	_, err := store.Write(t.Context(), b.DB, func(tx store.Tx) (int64, error) {
		return tx.Exec(t.Context(), `INSERT INTO exclusion_rules VALUES ($1, 'COMPETITOR', $2, '', $3, 'PERSON', 'sato', '')`,
			party.NewID(), domain, start)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func hanako(action string) Capture {
	return Capture{
		Person:  Person{Name: Name{Family: "佐藤", Given: "花子"}, Mail: "Hanako@Example.co.jp", Title: "営業部長"},
		Company: Company{Name: "株式会社タスキ", Industry: "IT", Employees: 120},
		Touch:   Touch{Channel: "WEB_FORM", Action: action}, Source: "web-site",
	}
}

func TestCaptureOnce(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		first := b.capture(t, hanako("web_visit"))[0]
		if !first.New || first.Lead.State != MAL || first.Lead.Version != 1 {
			t.Fatalf("%+v", first.Lead)
		}
		got := b.read(t, first.Lead.ID)
		if got.Person.Name.Full != "佐藤 花子" || got.Company.Domain != "example.co.jp" || got.Score.FitPoints() != 60 || got.TouchCount != 1 ||
			!got.First.At.Equal(start) || !got.CreatedAt.Equal(start) || got.transitionCount != 2 {
			t.Errorf("%+v", got)
		}

		b.clock.Advance(time.Hour)
		again := Capture{
			Person: Person{Mail: "ｈａｎａｋｏ＠example.co.jp", Phone: "03-1234-5678"},
			Touch:  Touch{Channel: "SEMINAR", Action: "mail_click"}, Notes: "電話希望",
		}
		second := b.capture(t, again)[0]
		if second.New || second.Lead.ID != first.Lead.ID || second.Lead.Version != 2 {
			t.Fatalf("%+v", second.Lead)
		}
		got = b.read(t, first.Lead.ID)
		if got.TouchCount != 2 || got.First.Channel != "WEB_FORM" || got.Last.Channel != "SEMINAR" || got.Person.Phone != "+81312345678" ||
			got.Person.Title != "営業部長" || got.Notes != "電話希望" {
			t.Errorf("%+v", got)
		}
		if n := b.count(t, "events WHERE subject = $1", subject(got.ID)); n != 2 {
			t.Errorf("%d events", n)
		}
		if len(b.offers.made) != 0 {
			t.Errorf("offered: %v", b.offers.made)
		}
	})
}

func TestCaptureQualifiesAndOffers(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		hot := b.capture(t, hanako("demo_request"))[0].Lead
		if hot.State != Offered || !hot.Hot || hot.QualifyingAction != "demo_request" || hot.HandoffID == "" {
			t.Fatalf("%+v", hot)
		}
		offer := b.offers.made[0]
		mql := offer.Payload.GetMql()
		if offer.SenderSubject != "lead/"+hot.ID || offer.JourneyID != hot.JourneyID || offer.PersonID != hot.Person.ID ||
			offer.AccountID != hot.Company.ID || !mql.GetHot() || mql.GetScore().GetTotal() != 100 || mql.GetFirstTouch().GetAction() != "demo_request" {
			t.Errorf("%+v", offer)
		}

		scored := hanako("seminar_attendance")
		scored.Person.Mail = "taro@example.co.jp"
		byScore := b.capture(t, scored)[0].Lead
		if byScore.State != Offered || byScore.Hot || byScore.QualifyingAction != "score" || byScore.Company.ID != hot.Company.ID {
			t.Errorf("%+v", byScore)
		}

		// What is missing keeps a lead from being offered; when it comes, the lead is offered at once.
		anonymous := Capture{Person: Person{Mail: "jiro@gmail.com"}, Touch: Touch{Action: "pricing_inquiry"}}
		waits := b.capture(t, anonymous)[0].Lead
		if got := b.read(t, waits.ID); got.State != MQL || fmt.Sprint(got.Missing) != "[person.name company.name]" {
			t.Errorf("%+v", got)
		}
		anonymous.Person.Name.Full, anonymous.Company.Name, anonymous.Touch.Action = "鈴木 次郎", "鈴木商店", "web_visit"
		b.capture(t, anonymous)
		if got := b.read(t, waits.ID); got.State != Offered || got.QualifyingAction != "pricing_inquiry" {
			t.Errorf("%+v", got)
		}
	})
}

func TestCaptureExcludes(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		b.rule(t, "rival.example")
		c := hanako("demo_request")
		c.Person.Mail = "spy@mail.rival.example"
		l := b.capture(t, c)[0].Lead
		if got := b.read(t, l.ID); got.State != Excluded || got.Exclusion.Domain != "rival.example" || got.Exclusion.Kind != "COMPETITOR" {
			t.Errorf("%+v", got)
		}
		if len(b.offers.made) != 0 {
			t.Error("a competitor was offered")
		}
	})
}

func TestSameSubmission(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		c := hanako("web_visit")
		c.SubmissionID = "form-1"
		first := b.capture(t, c)[0]
		c.Person.Mail = "somebody-else@example.co.jp"
		for range 2 {
			if got := b.capture(t, c)[0]; !got.Repeated || got.Lead.ID != first.Lead.ID || got.Lead.TouchCount != 1 {
				t.Errorf("%+v", got)
			}
		}
		if n := b.count(t, "leads"); n != 1 {
			t.Errorf("%d leads", n)
		}
	})
}

// TestRivals: captures of one person at the same moment make one lead, and every touch counts.
func TestRivals(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		const rivals = 16
		var wg sync.WaitGroup
		ids, errs := make([]string, rivals), make([]error, rivals)
		for i := range rivals {
			wg.Go(func() {
				c := hanako("")
				c.SubmissionID = fmt.Sprint("form-", i/2) // every submission twice
				results, err := b.tryCapture(b.ctx(t.Context()), c)
				if errs[i] = err; err == nil {
					ids[i] = results[0].Lead.ID
				}
			})
		}
		wg.Wait()
		for i := range rivals {
			if errs[i] != nil || ids[i] != ids[0] {
				t.Errorf("%s %v", ids[i], errs[i])
			}
		}
		if got := b.read(t, ids[0]); got.TouchCount != rivals/2 {
			t.Errorf("%d touches", got.TouchCount)
		}
		for table, want := range map[string]int{"leads": 1, "people": 1, "companies": 1, "lead_touches": rivals / 2, "events": rivals / 2} {
			if n := b.count(t, table); n != want {
				t.Errorf("%s: %d rows", table, n)
			}
		}
	})
}

func TestBatch(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		b.capture(t, hanako("web_visit"))
		b.rule(t, "rival.example")
		var batch []Capture
		for i := range 40 {
			c := hanako("web_visit")
			c.Person.Mail = fmt.Sprintf("p%d@example.co.jp", i%30)
			batch = append(batch, c)
		}
		spy := hanako("web_visit")
		spy.Person.Mail = "a@rival.example"
		spy.Company = Company{Name: "ライバル社"}
		batch = append(batch, spy, hanako("demo_request"))
		results := b.capture(t, batch...)
		fresh := 0
		for _, r := range results {
			if r.New {
				fresh++
			}
		}
		if fresh != 31 || results[40].Lead.State != Excluded || results[41].New || results[41].Lead.State != Offered {
			t.Errorf("%d new; %+v; %+v", fresh, results[40], results[41])
		}
		for table, want := range map[string]int{"leads": 32, "companies": 2, "lead_touches": 43, "lead_transitions": 66} {
			if n := b.count(t, table); n != want {
				t.Errorf("%s: %d rows, want %d", table, n, want)
			}
		}
		if got := b.read(t, results[0].Lead.ID); got.TouchCount != 2 || got.Version != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestCompanies(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		of := func(mail, name, domain string) Company {
			c := Capture{Person: Person{Mail: mail, Name: Name{Full: "x"}}, Company: Company{Name: name, Domain: domain}}
			return b.capture(t, c)[0].Lead.Company
		}
		base := of("a@gmail.com", "株式会社青葉", "")
		same := of("b@gmail.com", "（株）青葉", "")
		filled := of("c@aoba.example", "青葉㈱", "")
		if same.ID != base.ID || filled.ID != base.ID || filled.Domain != "aoba.example" {
			t.Errorf("%+v %+v %+v", base, same, filled)
		}
		if got := of("d@gmail.com", "Aoba Inc.", "https://www.aoba.example/"); got.ID != base.ID {
			t.Errorf("a domain that was given decides: %+v", got)
		}
		if got := of("e@aoba.example", "みどり商事", ""); got.ID == base.ID || got.Domain != "" {
			t.Errorf("a domain that was guessed gives way to another name: %+v", got)
		}
		if got := of("f@gmail.com", "青葉", "other-aoba.example"); got.ID == base.ID {
			t.Errorf("one name, two domains: %+v", got)
		}
		if n := b.count(t, "companies"); n != 3 {
			t.Errorf("%d companies", n)
		}
	})
}

func TestNothingIsStoredWhenTheOfferFails(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		b.offers.err = errors.New("no")
		if _, err := b.tryCapture(b.ctx(t.Context()), hanako("demo_request")); !errors.Is(err, b.offers.err) {
			t.Fatal(err)
		}
		for _, table := range []string{"leads", "people", "companies", "lead_touches", "lead_transitions", "events"} {
			if n := b.count(t, table); n != 0 {
				t.Errorf("%s: %d rows", table, n)
			}
		}
	})
}

func TestConsentLedger(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		c := hanako("web_visit")
		c.Consents = []Consent{{Channel: "MAIL", Granted: true, Basis: "OPT_IN"}}
		l := b.capture(t, c)[0].Lead
		b.clock.Advance(time.Hour)
		c.Consents = []Consent{{Channel: "MAIL"}}
		b.capture(t, c)
		b.clock.Advance(time.Hour)
		c.Consents = []Consent{{Channel: "MAIL", Granted: true, Basis: "BUSINESS_CARD"}, {Channel: "PHONE", Granted: true, Basis: "BUSINESS_CARD"}}
		b.capture(t, c)
		got := b.read(t, l.ID).Person.Consents
		if len(got) != 2 || got[0].Granted || !got[1].Granted {
			t.Errorf("%+v", got)
		}
		if n := b.count(t, "consent_records"); n != 4 {
			t.Errorf("%d records", n)
		}
	})
}
