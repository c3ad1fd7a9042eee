package opportunity

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

var (
	now   = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	soon  = now.Add(48 * time.Hour)
	later = now.Add(time.Hour)
	sato  = access.Actor{Kind: access.KindPerson, ID: "sato"}

	stages = pipeline.Stages{
		{Code: "QUALIFYING", Position: 1},
		{Code: "DISCOVERY", Position: 2},
		{Code: "PROPOSAL", Position: 3, NeedsAmount: true, NeedsCloseDate: true},
		{Code: "VERBAL", Position: 5, NeedsAmount: true, NeedsCloseDate: true, CanWin: true},
	}
	budget    = pipeline.Reason{Code: "NO_BUDGET", Action: pipeline.Recycle, WakeAfterDays: 90}
	noNeed    = pipeline.Reason{Code: "NO_NEED", Action: pipeline.Archive}
	ready     = NextAction{Description: "提案書を送付", DueAt: soon}
	noError   *problem.Error
	fullTerms = Opportunity{Name: "deal", Amount: money.Amount{Minor: 1_560_000, Currency: "JPY"}, ExpectedClose: "2026-06-30"}
)

func fresh() *Opportunity { return Create(fullTerms, stages, sato, now) }

// inState brings a deal into a state.
func inState(t testing.TB, s State) *Opportunity {
	t.Helper()
	o := fresh()
	if err := o.MoveTo("VERBAL", "", &ready, stages, sato, now); err != nil {
		t.Fatal(err)
	}
	var err error
	switch s {
	case OnHold:
		err = o.Rest(soon, sato, "", now)
	case ClosedLost:
		err = o.Lose(budget, "", "", nil, sato, now)
	case ClosedWon:
		err = o.Win("h", sato, now)
	}
	if err != nil || o.State != s {
		t.Fatal(o.State, err)
	}
	o.facts = nil
	return o
}

// commands gives each command in a form that is good when the state allows it.
var commands = map[Command]func(*Opportunity) error{
	Update:        func(o *Opportunity) error { name := "other"; return o.Change(Edit{Name: &name}, later) },
	MoveStage:     func(o *Opportunity) error { return o.MoveTo("DISCOVERY", "back", &ready, stages, sato, later) },
	SetNextAction: func(o *Opportunity) error { return o.Agree(NextAction{"call", soon}, later) },
	CloseLost:     func(o *Opportunity) error { return o.Lose(budget, "", "", nil, sato, later) },
	CloseWon:      func(o *Opportunity) error { return o.Win("h", sato, later) },
	Hold:          func(o *Opportunity) error { return o.Rest(soon, sato, "", later) },
	Resume:        func(o *Opportunity) error { return o.WakeUp(sato, "", later) },
	Reopen:        func(o *Opportunity) error { return o.OpenAgain("budget is there", stages, sato, later) },
}

func TestEveryCommandInEveryState(t *testing.T) {
	legal := map[State]map[Command]State{
		Open:       {Update: Open, MoveStage: Open, SetNextAction: Open, CloseLost: ClosedLost, CloseWon: ClosedWon, Hold: OnHold},
		OnHold:     {Update: OnHold, CloseLost: ClosedLost, Hold: OnHold, Resume: Open},
		ClosedLost: {Reopen: Open},
		ClosedWon:  {},
	}
	for _, s := range States() {
		for _, c := range Commands() {
			t.Run(string(s)+"/"+string(c), func(t *testing.T) {
				o := inState(t, s)
				before := *o
				err := commands[c](o)
				to, allowed := legal[s][c]
				if !allowed {
					var p *problem.Error
					if !errors.As(err, &p) || p.Reason != problem.ReasonIllegalTransition || p.Metadata["state"] != string(s) ||
						p.Metadata["command"] != string(c) {
						t.Fatalf("got %v", err)
					}
					if o.Version != before.Version || o.State != before.State || len(o.facts) > 0 {
						t.Error("an illegal command changed something")
					}
					return
				}
				if err != nil || o.State != to || o.Version != before.Version+1 || len(o.facts) != 1 {
					t.Errorf("%v: state %s, version %d after %d, %d facts", err, o.State, o.Version, before.Version, len(o.facts))
				}
			})
		}
		if o := inState(t, s); len(o.Legal()) != len(legal[s]) {
			t.Errorf("%s: legal %v", s, o.Legal())
		}
	}
}

func TestMoveGuards(t *testing.T) {
	bare := Opportunity{Name: "deal"}
	past := NextAction{Description: "call", DueAt: now}
	for name, tt := range map[string]struct {
		from    Opportunity
		at      string
		to      string
		reason  string
		next    *NextAction
		missing []string
		invalid string
	}{
		"forward":                 {from: fullTerms, to: "DISCOVERY", next: &ready},
		"skipping":                {from: fullTerms, to: "VERBAL", next: &ready},
		"agreed before":           {from: with(fullTerms, ready), to: "PROPOSAL"},
		"nothing agreed":          {from: fullTerms, to: "DISCOVERY", missing: []string{"next_action"}},
		"agreed for the past":     {from: with(fullTerms, past), to: "DISCOVERY", missing: []string{"next_action"}},
		"sent for the past":       {from: fullTerms, to: "DISCOVERY", next: &past, invalid: "next_action.due_at"},
		"no amount nor date":      {from: bare, to: "PROPOSAL", next: &ready, missing: []string{"amount", "expected_close_date"}},
		"all at once":             {from: bare, to: "VERBAL", missing: []string{"next_action", "amount", "expected_close_date"}},
		"early needs no amount":   {from: bare, to: "DISCOVERY", next: &ready},
		"back without a reason":   {from: fullTerms, at: "VERBAL", to: "DISCOVERY", next: &ready, missing: []string{"reason"}},
		"back with a reason":      {from: fullTerms, at: "VERBAL", to: "DISCOVERY", next: &ready, reason: "担当者が交代"},
		"the stage it is in":      {from: fullTerms, to: "QUALIFYING", next: &ready, invalid: "stage"},
		"a stage that is unknown": {from: fullTerms, to: "WON", next: &ready, invalid: "stage"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Create(tt.from, stages, sato, now)
			if tt.at != "" {
				o.Stage = tt.at
			}
			o.facts = nil
			err := o.MoveTo(tt.to, tt.reason, tt.next, stages, sato, later)
			var p *problem.Error
			errors.As(err, &p)
			switch {
			case tt.missing != nil:
				if p == noError || p.Reason != problem.ReasonGuardNotMet || !slices.Equal(fields(p), tt.missing) {
					t.Fatalf("got %v", err)
				}
			case tt.invalid != "":
				if p == noError || p.Reason != problem.ReasonInvalidFields || !slices.Equal(fields(p), []string{tt.invalid}) {
					t.Fatalf("got %v", err)
				}
			case err != nil || o.Stage != tt.to || !o.StageEnteredAt.Equal(later):
				t.Fatalf("%v: %+v", err, o)
			default:
				tr := o.facts[0].Transition
				if tr.To != (Place{Open, tt.to}) || tr.InFrom != time.Hour || tr.Reason != tt.reason || tr.Actor.ID != "sato" {
					t.Errorf("%+v", tr)
				}
				return
			}
			if len(o.facts) > 0 || o.Version != 1 {
				t.Error("a refused move changed something")
			}
		})
	}
}

func with(o Opportunity, n NextAction) Opportunity {
	o.Next = n
	return o
}

func fields(p *problem.Error) []string {
	var paths []string
	for _, v := range p.Violations {
		paths = append(paths, v.Field)
		if v.Description == "" || v.DescriptionJa == "" {
			paths = append(paths, "no text for "+v.Field)
		}
	}
	return paths
}

func TestLose(t *testing.T) {
	o := inState(t, Open)
	o.Competitor = "ライバル社"
	if err := o.Lose(budget, "", "来期に再検討", nil, sato, now.Add(50*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if o.CycleDays != 2 || o.Loss.To != "ライバル社" || o.Loss.Action != "RECYCLE" || !o.Loss.WakeAt.Equal(now.Add(50*time.Hour).AddDate(0, 0, 90)) ||
		o.Next != (NextAction{}) || o.ClosedAt == nil {
		t.Errorf("%+v", o)
	}
	if err := o.OpenAgain("予算が付いた", stages, sato, later); err != nil {
		t.Fatal(err)
	}
	if o.Stage != "QUALIFYING" || o.Loss != (Loss{}) || o.ClosedAt != nil || o.CycleDays != 0 {
		t.Errorf("reopened: %+v", o)
	}

	own := soon
	for name, tt := range map[string]struct {
		reason pipeline.Reason
		wake   *time.Time
		ok     bool
	}{
		"wake date of its own":       {budget, &own, true},
		"wake date in the past":      {budget, &now, false},
		"archived and still to wake": {noNeed, &own, false},
		"archived":                   {noNeed, nil, true},
	} {
		o := inState(t, Open)
		err := o.Lose(tt.reason, "", "", tt.wake, sato, now)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if tt.ok && (o.Loss.WakeAt == nil) != (tt.wake == nil) {
			t.Errorf("%s: wakes at %v", name, o.Loss.WakeAt)
		}
	}
}

func TestMissingToWin(t *testing.T) {
	if missing, err := inState(t, Open).MissingToWin(stages); err != nil || len(missing) > 0 {
		t.Error(missing, err)
	}
	o := fresh()
	if missing, err := o.MissingToWin(stages); err != nil || len(missing) != 1 || missing[0].Field != "stage" {
		t.Error(missing, err)
	}
	if _, err := inState(t, ClosedWon).MissingToWin(stages); err == nil {
		t.Error("won twice")
	}
}

func TestChangeNamesWhatChanged(t *testing.T) {
	o := fresh()
	o.facts = nil
	same, date, empty := "deal", civil.Date("2026-07-01"), ""
	if err := o.Change(Edit{Name: &same, ExpectedClose: &date, Contact: &party.Person{Family: "佐藤", Given: "花子"}, Competitor: &empty}, later); err != nil {
		t.Fatal(err)
	}
	if len(o.facts) != 1 || !slices.Equal(o.facts[0].Changed, []string{"expected_close_date", "contact"}) || o.Contact.Full != "佐藤 花子" {
		t.Errorf("%+v", o.facts)
	}
	o.facts = nil
	if err := o.Change(Edit{Name: &same}, later); err != nil || len(o.facts) > 0 || o.Version != 2 {
		t.Error("nothing changed, and it was told all the same", err, o.facts)
	}
}

func TestFirstActionOnce(t *testing.T) {
	o := fresh()
	if o.FirstAction() {
		t.Error("entered by hand: there is nothing to fulfil")
	}
	o.SourceHandoffID = "h"
	if !o.FirstAction() || o.FirstAction() {
		t.Error("the first action is told once")
	}
}

// TestHistoryHolds gives random commands: versions count, the history is a chain without gaps, times add up, and a won deal
// never changes its place again.
func TestHistoryHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := fresh()
		at := now
		var spent time.Duration
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "minutes")) * time.Minute)
			next := NextAction{Description: "call", DueAt: at.Add(time.Hour)}
			place := o.place()
			var err error
			switch rapid.SampledFrom(Commands()).Draw(t, "command") {
			case MoveStage:
				err = o.MoveTo(rapid.SampledFrom(stages.Codes()).Draw(t, "stage"), "why", &next, stages, sato, at)
			case CloseLost:
				err = o.Lose(budget, "", "", nil, sato, at)
			case CloseWon:
				err = o.Win("h", sato, at)
			case Hold:
				err = o.Rest(at.Add(time.Hour), sato, "", at)
			case Resume:
				err = o.WakeUp(sato, "", at)
			case Reopen:
				err = o.OpenAgain("why", stages, sato, at)
			case SetNextAction:
				err = o.Agree(next, at)
			case Update:
				err = o.Change(Edit{Name: &next.Description}, at)
			}
			if err != nil && o.place() != place || place.State == ClosedWon && o.place() != place {
				t.Fatalf("%v moved from %s to %s", err, place, o.place())
			}
		}
		var last Place
		for i, f := range o.facts {
			if f.After.Version != int64(i+1) {
				t.Fatalf("fact %d has version %d", i, f.After.Version)
			}
			if f.Kind == FactUpdated {
				continue
			}
			if f.Transition.From != last || f.After.place() != f.Transition.To {
				t.Fatalf("after %s comes %+v", last, f.Transition)
			}
			last = f.Transition.To
			spent += f.Transition.InFrom
		}
		if last != o.place() || o.Version != int64(len(o.facts)) || spent != o.EnteredAt.Sub(now) {
			t.Fatalf("ends at %s, %s spent", last, spent)
		}
	})
}
