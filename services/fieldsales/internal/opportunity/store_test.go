package opportunity

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tasuki-project/tasuki/services/fieldsales/internal/account"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/contract"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/fieldsales/migrations"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

type suite struct {
	db     *store.DB
	log    *event.Log
	stages pipeline.Stages
	acc    *account.Account
}

func engines(t *testing.T, test func(*testing.T, *suite)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		clock := testkit.NewClock(now)
		s := &suite{db: db, log: event.NewLog(db, clock)}
		book := &account.Book{Events: s.log, Clock: clock}
		s.write(t, func(tx store.Tx) (err error) {
			if s.stages, err = pipeline.LoadStages(t.Context(), tx); err != nil {
				return err
			}
			s.acc, _, err = book.Resolve(t.Context(), tx, account.Company{Name: "株式会社タスキ"}, "", "")
			return err
		})
		test(t, s)
	}, event.Migrations(), handoff.Migrations(), people.Migrations(), migrations.Set)
}

func (s *suite) try(t *testing.T, fn func(store.Tx) error) error {
	t.Helper()
	_, err := store.Write(t.Context(), s.db, func(tx store.Tx) (struct{}, error) { return struct{}{}, fn(tx) })
	return err
}

func (s *suite) write(t *testing.T, fn func(store.Tx) error) {
	t.Helper()
	if err := s.try(t, fn); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) save(t *testing.T, tx store.Tx, o *Opportunity) error {
	return Save(t.Context(), tx, s.log, o, teller(s.stages, nil))
}

func (s *suite) read(t *testing.T, id string) *Opportunity {
	t.Helper()
	o, err := store.Read(t.Context(), s.db, func(tx store.Tx) (*Opportunity, error) { return Get(t.Context(), tx, id) })
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// full is a deal of which every field is set.
func (s *suite) full(t *testing.T) *Opportunity {
	t.Helper()
	at := now.Add(123_456 * time.Microsecond)
	o := Create(Opportunity{
		ID: party.NewID(), AccountID: s.acc.ID, AccountName: s.acc.Name, JourneyID: party.NewID(), PersonID: party.NewID(),
		Name: "deal", Type: TypeUpsell, Owner: "tanaka", Amount: money.Amount{Minor: 1, Currency: "JPY"}, ExpectedClose: "2026-06-30",
		Contact:    party.Person{ID: party.NewID(), Family: "佐藤", Given: "花子", FamilyKana: "サトウ", GivenKana: "ハナコ", Full: "佐藤 花子", Mail: "h@example.jp", Phone: "+81312345678", Title: "部長"},
		Competitor: "ライバル社", ExpansionRoom: "大阪", ProposalRoom: "分析", Next: NextAction{"電話", soon},
		Brief: Brief{
			Answers: &Answers{"issue", "budget", "authority", "need", "timeline"}, FirstTouch: &Touch{"SEMINAR", "spring", "seat", at},
			LastTouch: &Touch{Channel: "WEB_FORM"}, Notes: "メモ\n二行", CustomerID: party.NewID(), ExpectedMRR: money.Amount{Minor: 5, Currency: "USD"},
		},
		SourceHandoffID: party.NewID(), SourceFulfilled: true, MQLHandoffID: party.NewID(), HoldUntil: &at,
		Loss:     Loss{"PRICE", "RECYCLE", "他社", "高い", &at},
		Handover: Handover{party.NewID(), "RETURNED", []string{"risks"}}, ClosedAt: &at, CycleDays: 7,
	}, s.stages, sato, at)
	for v, i := reflect.ValueOf(*o), 0; i < v.NumField(); i++ {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Told" { // which is marketing's to write
			t.Fatalf("the test leaves out %s", name)
		}
	}
	return o
}

var sameDeal = cmp.Options{cmpopts.IgnoreUnexported(Opportunity{}), cmpopts.EquateApproxTime(0), cmpopts.EquateEmpty()}

func TestEveryFieldComesBack(t *testing.T) {
	engines(t, func(t *testing.T, s *suite) {
		o := s.full(t)
		s.write(t, func(tx store.Tx) error { return s.save(t, tx, o) })
		if diff := cmp.Diff(o, s.read(t, o.ID), sameDeal); diff != "" {
			t.Error(diff)
		}
		// And every field can be emptied.
		empty := Create(Opportunity{ID: o.ID, AccountID: s.acc.ID, AccountName: s.acc.Name, JourneyID: o.JourneyID, Type: TypeNew}, s.stages, sato, now)
		empty.facts = nil
		empty.updated([]string{"everything"}, now)
		s.write(t, func(tx store.Tx) error { return s.save(t, tx, empty) })
		if diff := cmp.Diff(empty, s.read(t, o.ID), sameDeal); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHistoryComesBack(t *testing.T) {
	engines(t, func(t *testing.T, s *suite) {
		o := Create(Opportunity{ID: party.NewID(), AccountID: s.acc.ID, JourneyID: party.NewID(), Type: TypeNew, Name: "x"}, s.stages, sato, now)
		s.write(t, func(tx store.Tx) error { return s.save(t, tx, o) })
		s.write(t, func(tx store.Tx) error {
			o, err := ForUpdate(t.Context(), tx, o.ID, etag.Match("1"))
			if err != nil {
				return err
			}
			if err := o.MoveTo("DISCOVERY", "", &ready, s.stages, sato, later); err != nil {
				return err
			}
			return s.save(t, tx, o)
		})
		got, err := store.Read(t.Context(), s.db, func(tx store.Tx) ([]Transition, error) { return History(t.Context(), tx, o.ID) })
		if err != nil {
			t.Fatal(err)
		}
		first, second := Place{Open, "QUALIFYING"}, Place{Open, "DISCOVERY"}
		if diff := cmp.Diff([]Transition{
			{To: first, At: now, Actor: sato}, {From: first, To: second, At: later, Actor: sato, InFrom: time.Hour},
		}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRivals: of many who change the version they have read, one does, and the others are told.
func TestRivals(t *testing.T) {
	engines(t, func(t *testing.T, s *suite) {
		o := s.full(t)
		s.write(t, func(tx store.Tx) error { return s.save(t, tx, o) })
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				errs[i] = s.try(t, func(tx store.Tx) error {
					o, err := ForUpdate(t.Context(), tx, o.ID, etag.Match("1"))
					if err != nil {
						return err
					}
					name := party.NewID()
					if err := o.Change(Edit{Name: &name}, now); err != nil {
						return err
					}
					return s.save(t, tx, o)
				})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if problem.ReasonOf(problem.Status(t.Context(), err).Err()) != problem.ReasonEtagMismatch {
				t.Error(err)
			}
		}
		if won != 1 || s.read(t, o.ID).Version != 2 {
			t.Errorf("%d went through", won)
		}
	})
}

// TestRollback: what fails after the rows were queued leaves no deal, no history, no contract and no event.
func TestRollback(t *testing.T) {
	engines(t, func(t *testing.T, s *suite) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = s.try(t, func(tx store.Tx) error {
				o := s.full(t)
				if err := s.save(t, tx, o); err != nil {
					return err
				}
				contract.Insert(tx, contract.Contract{ID: party.NewID(), OpportunityID: o.ID, AccountID: s.acc.ID})
				if err := tx.Flush(t.Context()); err != nil {
					return err
				}
				panic("halfway")
			})
		}()
		counts, err := store.Read(t.Context(), s.db, func(tx store.Tx) ([]int64, error) {
			return store.Select[int64](t.Context(), tx, `SELECT count(*) FROM opportunities UNION ALL SELECT count(*) FROM
				opportunity_transitions UNION ALL SELECT count(*) FROM contracts UNION ALL SELECT count(*) FROM events
				WHERE subject LIKE 'opportunity/%'`)
		})
		if err != nil || !slices.Equal(counts, []int64{0, 0, 0, 0}) {
			t.Error(counts, err)
		}
	})
}

func TestContractComesBack(t *testing.T) {
	engines(t, func(t *testing.T, s *suite) {
		o := s.full(t)
		want := &contract.Contract{
			ID: party.NewID(), OpportunityID: o.ID, AccountID: s.acc.ID, MRR: money.Amount{Minor: 130_000, Currency: "JPY"},
			Lines: []contract.Line{
				{Product: "b", Quantity: 2, UnitPrice: 1, IntervalMonths: 12},
				{Product: "a", Quantity: 10, UnitPrice: 12_000, Discount: 10_000, IntervalMonths: 1},
			}, TermMonths: 12, Start: "2026-05-01", Renewal: "2027-05-01",
			NoticeDays: 60, SpecialTerms: "なし", Signed: "2026-04-06", CreatedAt: now,
		}
		s.write(t, func(tx store.Tx) error {
			if err := s.save(t, tx, o); err != nil {
				return err
			}
			contract.Insert(tx, *want)
			return nil
		})
		of := func(id string) *contract.Contract {
			c, err := store.Read(t.Context(), s.db, func(tx store.Tx) (*contract.Contract, error) { return contract.Of(t.Context(), tx, id) })
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if diff := cmp.Diff(want, of(o.ID)); diff != "" {
			t.Error(diff)
		}
		if c := of(party.NewID()); c != nil {
			t.Errorf("%+v", c)
		}
	})
}
