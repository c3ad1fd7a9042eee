package subscription_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/customersuccess/internal/subscription"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

const today = civil.Date("2026-04-06")

func sub(id string, mrr int64, start civil.Date) *subscription.Subscription {
	return &subscription.Subscription{ID: id, Currency: "JPY", MRR: mrr, StartDate: start}
}

func TestKindsOfMovements(t *testing.T) {
	now := today.Start()
	book := &subscription.Book{}
	var kinds []subscription.Kind
	subscribe := func(s *subscription.Subscription) *subscription.Subscription {
		m, err := book.Subscribe(s, now)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, m.Kind)
		return s
	}
	cancel := func(s *subscription.Subscription) {
		m, err := book.Cancel(s, "NOT_USED", "", today, today, now)
		if err != nil || m == nil {
			t.Fatal(m, err)
		}
		kinds = append(kinds, m.Kind)
	}
	a := subscribe(sub("a", 100, today))
	b := subscribe(sub("b", 50, today))
	cancel(a)
	cancel(b)
	if got := book.Ended(); got != today {
		t.Errorf("ended %q", got)
	}
	subscribe(b.Again("c", today, func() string { return "i" }))
	want := []subscription.Kind{"NEW", "EXPANSION", "CONTRACTION", "CHURN", "REACTIVATION"}
	if !slices.Equal(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
}

func TestCancelRefuses(t *testing.T) {
	now := today.Start()
	book := &subscription.Book{}
	a, b := sub("a", 100, today), sub("b", 50, today)
	for _, s := range []*subscription.Subscription{a, b} {
		if _, err := book.Subscribe(s, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := book.Find(""); !errors.Is(err, problem.Invalid()) {
		t.Errorf("two active ones: %v", err)
	}
	if _, err := book.Find("c"); !errors.Is(err, problem.NotFound("", "")) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := book.Cancel(a, "NOT_USED", "", today.AddDays(-1), today, now); !errors.Is(err, problem.Invalid()) {
		t.Errorf("before its first day: %v", err)
	}
	if m, err := book.Cancel(a, "NOT_USED", "", today.AddDays(10), today, now); m != nil || err != nil || a.State != subscription.Cancelling {
		t.Errorf("scheduled: %v, %v, %s", m, err, a.State)
	}
	if _, err := book.Cancel(a, "NOT_USED", "", today, today, now); !errors.Is(err, problem.IllegalTransition("", "", "", nil)) {
		t.Errorf("twice: %v", err)
	}
	if m := book.End(a, today.AddDays(9), now); m != nil {
		t.Errorf("a day early: %v", m)
	}
	if got, err := book.Find(""); err != nil || got != b {
		t.Errorf("the only active one: %v, %v", got, err)
	}
	if m := book.End(a, today.AddDays(10), now); m == nil || m.Kind != subscription.Contraction || m.EffectiveDate != today.AddDays(10) {
		t.Errorf("on its day: %v", m)
	}
	if m := book.End(a, today.AddDays(10), now); m != nil {
		t.Errorf("twice: %v", m)
	}
	usd := sub("u", 1, today)
	usd.Currency = "USD"
	if _, err := book.Subscribe(usd, now); !errors.Is(err, problem.Invalid()) {
		t.Errorf("another currency: %v", err)
	}
}

// The ledger against a model: each subscription brings its MRR from its first day to the day before its end. Whatever is
// subscribed, expanded, contracted, cancelled, scheduled and reactivated in whatever order, the sum of the lines up to any
// day is the MRR of that day, and is nowhere negative.
func TestSumOfMovementsIsMRR(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type span struct {
			mrr        int64
			start, end civil.Date
		}
		model := map[string]*span{}
		book := &subscription.Book{}
		var ledger []subscription.Movement
		day := today
		write := func(m *subscription.Movement) {
			if m != nil {
				ledger = append(ledger, *m)
			}
		}
		pick := func(t *rapid.T) *subscription.Subscription {
			var active []*subscription.Subscription
			for _, s := range book.Subscriptions {
				if s.State == subscription.Active {
					active = append(active, s)
				}
			}
			if len(active) == 0 {
				t.Skip("nothing active")
			}
			return rapid.SampledFrom(active).Draw(t, "which")
		}
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) {
				s := sub(fmt.Sprint("s", len(book.Subscriptions)), rapid.Int64Range(0, 1e9).Draw(t, "mrr"),
					day.AddDays(rapid.IntRange(-30, 60).Draw(t, "start")))
				m, err := book.Subscribe(s, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				write(&m)
				model[s.ID] = &span{mrr: s.MRR, start: s.StartDate}
			},
			"cancel": func(t *rapid.T) {
				s := pick(t)
				effective := max(s.StartDate, day.AddDays(rapid.IntRange(-40, 60).Draw(t, "effective")))
				others := len(book.Live()) > 1
				m, err := book.Cancel(s, "NOT_USED", "", effective, day, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				if m != nil {
					if (m.Kind == subscription.Contraction) != others {
						t.Fatalf("%s with others live: %v", m.Kind, others)
					}
					model[s.ID].end = effective
				}
				write(m)
			},
			"reactivate": func(t *rapid.T) {
				if len(book.Subscriptions) == 0 || len(book.Live()) > 0 {
					t.Skip("not churned")
				}
				id := fmt.Sprint("s", len(book.Subscriptions))
				again := book.Last().Again(id, max(day, book.Ended()), func() string { return "i" })
				m, err := book.Subscribe(again, time.Time{})
				if err != nil || m.Kind != subscription.Reactivation {
					t.Fatal(m, err)
				}
				write(&m)
				model[id] = &span{mrr: again.MRR, start: again.StartDate}
			},
			"days pass": func(t *rapid.T) {
				day = day.AddDays(rapid.IntRange(1, 45).Draw(t, "days"))
				for _, s := range book.Subscriptions {
					if m := book.End(s, day, time.Time{}); m != nil {
						write(m)
						model[s.ID].end = s.EndDate
					}
				}
			},
			"": func(t *rapid.T) {
				for n := -90; n <= 90; n += 15 {
					at := day.AddDays(n)
					var want int64
					for _, s := range model {
						if s.start <= at && (s.end == "" || s.end > at) {
							want += s.mrr
						}
					}
					if got := subscription.MRR(ledger, at); got != want || got < 0 {
						t.Fatalf("on %s the ledger says %d, the subscriptions %d", at, got, want)
					}
				}
				if len(ledger) > 0 && ledger[0].Kind != subscription.New {
					t.Fatal("the ledger begins with", ledger[0].Kind)
				}
			},
		})
	})
}
