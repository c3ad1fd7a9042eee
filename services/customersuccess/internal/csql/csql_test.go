package csql

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// start is Monday 2026-04-06, 09:00 in Tokyo.
var start = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)

var sato = access.Actor{Kind: access.KindPerson, ID: "sato"}

// full is content that qualifies.
func full() Content {
	today := civil.DateOf(start)
	return Content{
		Type: "UPSELL", Product: "Tasuki Standard", Expected: money.Amount{Minor: 65_000, Currency: "JPY"},
		Evidence: Evidence{
			Health: &Health{Score: 82, Stated: Stated{Evidence: "NPS 9", Date: today, By: sato}},
			Usage:  &Usage{Level: goodUsage, Stated: Stated{Evidence: "週次利用率 92%", Date: today, By: sato}},
			Need: &Need{
				Statement: "大阪支店でも使いたい", By: party.Person{ID: "p", Full: "田中 一郎", Title: "部長"}, Date: today, Evidence: "4 月定例会の議事録",
			},
			Benefit: "支店間の引き継ぎ漏れがなくなる",
		},
	}
}

// in is an expansion in a state, reached along the arrows.
func in(t *testing.T, s State) *Csql {
	t.Helper()
	c := Create(Csql{ID: "c", CustomerID: "k", Content: full()}, sato, start)
	wake := start.AddDate(0, 0, 60)
	path := map[State][]func() bool{
		Draft: {}, Qualified: {}, Offered: {}, Dropped: {func() bool { return c.GiveUp("NEED_GONE", "", sato, start) == nil }},
		Accepted: {func() bool { return c.IsAccepted("o", sato, "", start, start) }},
		Rejected: {func() bool {
			return c.IsRefused(Outcome{Reason: "TIMING", Action: recycle, WakeAt: &wake}, sato, start, start)
		}},
		Returned: {func() bool {
			return c.CameBack(Outcome{Reason: "RETURNED", Missing: []string{"product"}}, sato, start, start)
		}},
		Won:  {func() bool { return c.IsWon("o", money.Amount{Minor: 1, Currency: "JPY"}, sato, "", start, start) }},
		Lost: {func() bool { return c.IsLost("o", Outcome{Reason: "NO_BUDGET"}, sato, start, start) }},
	}[s]
	if s != Draft && s != Dropped {
		if err := c.Qualify(nil, sato, "", start); err != nil {
			t.Fatal(err)
		}
		if s != Qualified {
			if err := c.IsOffered("h", "field-sales", sato, "", start); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range path {
		if !step() {
			t.Fatalf("no way to %s", s)
		}
	}
	if c.State != s {
		t.Fatalf("%s, want %s", c.State, s)
	}
	c.facts = nil
	return c
}

// give gives a command in its plainest form, and tells whether it did something.
func give(c *Csql, command Command, now time.Time) (bool, error) {
	before := c.Version
	var err error
	switch command {
	case Update:
		to := c.Content
		to.Evidence.Cautions += "!"
		err = c.Change(to, now)
	case Qualify:
		err = c.Qualify(nil, sato, "", now)
	case Offer:
		if err = c.CanOffer(nil, now); err == nil {
			err = c.IsOffered("h2", "field-sales", sato, "", now)
		}
	case Drop:
		err = c.GiveUp("NEED_GONE", "", sato, now)
	case Accept:
		c.IsAccepted("o", sato, "", now, now)
	case Reject:
		wake := now.AddDate(0, 0, 60)
		c.IsRefused(Outcome{Reason: "TIMING", Action: recycle, WakeAt: &wake}, sato, now, now)
	case SendBack:
		c.CameBack(Outcome{Reason: "RETURNED"}, sato, now, now)
	case Win:
		c.IsWon("o", money.Amount{Minor: 65_000, Currency: "JPY"}, sato, "", now, now)
	case Lose:
		c.IsLost("o", Outcome{Reason: "NO_BUDGET", Action: "ARCHIVE"}, sato, now, now)
	case Reopen:
		c.IsReopened("o", sato, "", now, now)
	case Wake:
		c.IsAwake(now)
	}
	return c.Version != before, err
}

// Every state and every command: what the drawing shows works, everything else is refused or passed over.
func TestMachine(t *testing.T) {
	legal := map[State]map[Command]State{
		Draft:     {Update: Draft, Qualify: Qualified, Drop: Dropped},
		Qualified: {Update: Qualified, Offer: Offered, Drop: Dropped},
		// The end of a deal catches up on an acceptance that has not been heard of yet.
		Offered:  {Accept: Accepted, Reject: Rejected, SendBack: Returned, Win: Won, Lose: Lost},
		Accepted: {Win: Won, Lose: Lost},
		Rejected: {Wake: Draft},
		Returned: {Update: Returned, Offer: Offered, Drop: Dropped},
		Lost:     {Reopen: Accepted},
	}
	people := []Command{Update, Qualify, Offer, Drop}
	for _, from := range States() {
		for _, command := range Commands() {
			c := in(t, from)
			now := start
			if command == Wake {
				now = start.AddDate(0, 0, 60)
			}
			did, err := give(c, command, now)
			to, ok := legal[from][command]
			switch {
			case ok && (!did || err != nil || c.State != to):
				t.Errorf("%s in %s: %s, %v; want %s", command, from, c.State, err, to)
			case !ok && (did || c.State != from):
				t.Errorf("%s in %s led to %s", command, from, c.State)
			case !ok && slices.Contains(people, command) && !errors.Is(err, problem.IllegalTransition("", "", "", nil)):
				t.Errorf("%s in %s: %v", command, from, err)
			}
			var p *problem.Error
			if errors.As(err, &p) && p.Metadata["legal"] != strings.Join(c.Legal(), ",") {
				t.Errorf("%s in %s names %q, want %v", command, from, p.Metadata["legal"], c.Legal())
			}
		}
	}
}

// Each thing that an expansion needs, taken away alone, is named, and keeps it from being qualified, changed and offered.
func TestGuards(t *testing.T) {
	old := civil.DateOf(start).AddDays(-freshDays - 1)
	for field, spoil := range map[string]func(c *Content){
		"expected_mrr":         func(c *Content) { c.Expected = money.Amount{} },
		"health":               func(c *Content) { c.Evidence.Health = nil },
		"health.score":         func(c *Content) { c.Evidence.Health.Score = green },
		"health.evidence":      func(c *Content) { c.Evidence.Health.Evidence = " " },
		"health.observed_date": func(c *Content) { c.Evidence.Health.Date = old },
		"usage":                func(c *Content) { c.Evidence.Usage = nil },
		"usage.level":          func(c *Content) { c.Evidence.Usage.Level = "FAIR" },
		"usage.evidence":       func(c *Content) { c.Evidence.Usage.Evidence = "" },
		"usage.observed_date":  func(c *Content) { c.Evidence.Usage.Date = "" },
		"need":                 func(c *Content) { c.Evidence.Need = nil },
		"need.statement":       func(c *Content) { c.Evidence.Need.Statement = "" },
		"need.stated_by.name":  func(c *Content) { c.Evidence.Need.By = party.Person{Mail: "a@b.example"} },
		"need.stated_date":     func(c *Content) { c.Evidence.Need.Date = old },
		"need.evidence":        func(c *Content) { c.Evidence.Need.Evidence = "" },
		"customer_benefit":     func(c *Content) { c.Evidence.Benefit = "　" },
		"open_risks":           func(c *Content) { c.Evidence.Risks = []string{"担当者が異動"} },
	} {
		spoiled := full()
		spoil(&spoiled)
		draft := Create(Csql{Content: spoiled}, sato, start)
		qualified := in(t, Qualified)
		returned := in(t, Returned)
		if err := returned.Change(spoiled, start); err != nil {
			t.Errorf("%s: what came back can be changed: %v", field, err)
		}
		for command, err := range map[Command]error{
			Qualify: draft.Qualify(nil, sato, "", start), Update: qualified.Change(spoiled, start), Offer: returned.CanOffer(nil, start),
		} {
			var p *problem.Error
			if !errors.As(err, &p) || p.Reason != problem.ReasonGuardNotMet || p.Metadata["missing"] != field || len(p.Violations) != 1 || p.Violations[0].Field != field {
				t.Errorf("%s without %s: %v", command, field, err)
			}
		}
		if draft.State != Draft || qualified.State != Qualified || returned.State != Returned {
			t.Errorf("%s: a refused command moved something", field)
		}
	}
	lacks := Customer{Churned: true, Flagged: true, Cancelling: true}.Unmet()
	err := in(t, Draft).Qualify(lacks, sato, "", start)
	if !errors.Is(err, problem.GuardNotMet("")) || strings.Join(paths(lacks), " ") != "customer.state customer.flagged customer.subscriptions" {
		t.Errorf("%v: %v", lacks, err)
	}
	if lacks := (Customer{}).Unmet(); lacks != nil {
		t.Errorf("a customer that is well: %v", lacks)
	}
}

// Evidence counts for 90 days, and no longer.
func TestEvidenceGrowsOld(t *testing.T) {
	c := in(t, Qualified)
	if err := c.CanOffer(nil, start.AddDate(0, 0, freshDays)); err != nil {
		t.Error(err)
	}
	if err := c.CanOffer(nil, start.AddDate(0, 0, freshDays+1)); !errors.Is(err, problem.GuardNotMet("")) {
		t.Error(err)
	}
}

func TestOutcomes(t *testing.T) {
	wake := start.AddDate(0, 0, 60)
	for name, tt := range map[string]struct {
		given Outcome
		state State
		wake  bool
	}{
		"RECYCLE": {Outcome{Reason: "TIMING", Action: "RECYCLE", WakeAt: &wake}, Rejected, true},
		"ARCHIVE": {Outcome{Reason: "DUPLICATE", Action: "ARCHIVE", WakeAt: &wake}, Rejected, false},
		"NONE":    {Outcome{Reason: "OTHER", Action: "NONE"}, Rejected, false},
		"RETURN":  {Outcome{Reason: "NOT_QUALIFIED", Action: "RETURN", WakeAt: &wake}, Returned, false},
	} {
		c := in(t, Offered)
		if !c.IsRefused(tt.given, sato, start, start) || c.State != tt.state || (c.WakeAt != nil) != tt.wake || c.Reason != tt.given.Reason {
			t.Errorf("%s: %s %v", name, c.State, c.Outcome)
		}
		if c.IsRefused(tt.given, sato, start, start) {
			t.Errorf("%s twice", name)
		}
		if c.IsAwake(wake.Add(-time.Second)) || c.IsAwake(wake) != tt.wake || tt.wake && (c.State != Draft || c.WakeAt != nil || c.Reason != "TIMING") {
			t.Errorf("%s wakes up: %s %v", name, c.State, c.Outcome)
		}
	}
	c := in(t, Accepted)
	if c.IsWon("another deal", money.Amount{}, sato, "", start, start) || c.State != Accepted {
		t.Error("another deal was won")
	}
	c = in(t, Lost)
	if c.Reason != "NO_BUDGET" || !c.IsReopened("o", sato, "", start, start) || c.Reason != "" || !c.IsWon("o", money.Amount{Minor: 9, Currency: "JPY"}, sato, "", start, start) || c.WonMRR.Minor != 9 {
		t.Errorf("reopened and won: %s %v", c.State, c)
	}
}

// Whatever is given in whatever order: the history has no gaps, follows the drawing, and never goes back in time.
func TestHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := start
		c := Create(Csql{ID: "c", Content: full()}, sato, now)
		for range rapid.IntRange(0, 30).Draw(t, "commands") {
			now = now.Add(time.Duration(rapid.IntRange(0, 70*24).Draw(t, "hours")) * time.Hour)
			c.Evidence.Health.Date, c.Evidence.Usage.Date, c.Evidence.Need.Date = civil.DateOf(now), civil.DateOf(now), civil.DateOf(now)
			_, _ = give(c, rapid.SampledFrom(Commands()).Draw(t, "command"), now)
		}
		at, state := time.Time{}, State("")
		var inState time.Duration
		for i, f := range c.facts {
			if f.After.Version != int64(i+1) {
				t.Fatalf("fact %d has version %d", i, f.After.Version)
			}
			if f.Moved == nil {
				continue
			}
			if f.Moved.From != state || f.Moved.At.Before(at) || f.After.State != f.Moved.To {
				t.Fatalf("%s (%s) then %+v", state, at, f.Moved)
			}
			arrow := slices.ContainsFunc(machine[f.Moved.From], func(a arrow) bool { return a.to == f.Moved.To })
			if !arrow && f.Moved.From != "" {
				t.Fatalf("no arrow from %s to %s", f.Moved.From, f.Moved.To)
			}
			at, state = f.Moved.At, f.Moved.To
			inState += f.Moved.InFrom
		}
		if state != c.State || inState != c.StateSince.Sub(start) {
			t.Fatalf("history ends in %s after %s, the expansion is %s since %s", state, inState, c.State, c.StateSince)
		}
		if (c.WakeAt != nil) && c.State != Rejected || c.State == Won && c.WonMRR.Minor != 65_000 || c.State == Rejected && c.HandoffID == "" {
			t.Fatalf("%+v", c)
		}
	})
}
