package onboarding

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

var (
	now  = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	sato = access.Actor{Kind: access.KindPerson, ID: "sato"}
)

var template = Template{Code: "test", Milestones: []TemplateMilestone{
	{Code: Kickoff, DueDays: 5, Mandatory: true},
	{Code: "FIRST_LOGIN", DueDays: 7, Mandatory: true},
	{Code: "TRAINING", DueDays: 40},
	{Code: FirstValue, DueDays: 30, Mandatory: true},
}}

func plan(state State) *Plan {
	p := NewPlan(template, "2026-04-06", sato, now)
	p.State, p.moved = state, nil
	if state == Completed {
		for i := range p.Milestones {
			p.Milestones[i].State = Done
		}
	}
	return p
}

func TestEveryCommandInEveryState(t *testing.T) {
	later := now.Add(time.Hour)
	commands := map[command]func(p *Plan) error{
		cmdStart: func(p *Plan) error { return p.Start(now, sato, "", later) },
		cmdDone: func(p *Plan) error {
			_, err := p.CompleteMilestone("FIRST_LOGIN", now, sato, "", later)
			return err
		},
		cmdSkip: func(p *Plan) error {
			_, err := p.SkipMilestone("TRAINING", sato, "no need", later)
			return err
		},
		cmdComplete: func(p *Plan) error {
			for i := range p.Milestones {
				p.Milestones[i].State = Done
			}
			return p.Complete(sato, "", later)
		},
		cmdCancel: func(p *Plan) error { return p.Cancel(sato, "NOT_USED", "", later) },
	}
	legal := map[State]string{
		Planned: "start", InProgress: "completeMilestone,skipMilestone,complete", Completed: "", Cancelled: "",
	}
	want := map[State]map[command]State{
		Planned:    {cmdStart: InProgress, cmdCancel: Cancelled},
		InProgress: {cmdDone: InProgress, cmdSkip: InProgress, cmdComplete: Completed, cmdCancel: Cancelled},
		Completed:  {},
		Cancelled:  {},
	}
	for state, names := range legal {
		for c, run := range commands {
			t.Run(string(state)+" "+string(c), func(t *testing.T) {
				p := plan(state)
				err := run(p)
				to, ok := want[state][c]
				if !ok {
					var e *problem.Error
					if !errors.As(err, &e) || e.Reason != problem.ReasonIllegalTransition || e.Metadata["legal"] != names {
						t.Fatalf("got %v", err)
					}
					return
				}
				if err != nil || p.State != to {
					t.Fatalf("got %s, %v; want %s", p.State, err, to)
				}
				if to != state && (len(p.moved) != 1 || p.moved[0].InFrom != time.Hour) {
					t.Fatalf("history %+v", p.moved)
				}
			})
		}
	}
}

func TestStartMovesDueDates(t *testing.T) {
	p := plan(Planned)
	if p.DueDate() != "2026-05-06" || p.NextDue() != "2026-04-11" {
		t.Fatalf("planned: due %s, next %s", p.DueDate(), p.NextDue())
	}
	if err := p.Start(now.AddDate(0, 0, 3), sato, "held", now.AddDate(0, 0, 4)); err != nil {
		t.Fatal(err)
	}
	if p.DueDate() != "2026-05-09" || p.NextDue() != "2026-04-16" || p.Milestones[0].State != Done {
		t.Fatalf("started: due %s, next %s, kickoff %s", p.DueDate(), p.NextDue(), p.Milestones[0].State)
	}
	if p.Overdue("2026-04-16") || !p.Overdue("2026-04-17") {
		t.Error("overdue begins the day after the due date")
	}
	if err := plan(Planned).Start(now.Add(time.Second), sato, "", now); !errors.Is(err, problem.Invalid()) {
		t.Errorf("kickoff in the future: %v", err)
	}
}

func TestMilestoneRefusals(t *testing.T) {
	p := plan(InProgress)
	if _, err := p.CompleteMilestone("NO_SUCH", now, sato, "", now); !errors.Is(err, problem.NotFound("", "")) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := p.SkipMilestone(FirstValue, sato, "x", now); !errors.Is(err, problem.GuardNotMet("")) {
		t.Errorf("mandatory: %v", err)
	}
	if _, err := p.CompleteMilestone("TRAINING", now.Add(time.Second), sato, "", now); !errors.Is(err, problem.Invalid()) {
		t.Errorf("in the future: %v", err)
	}
	if _, err := p.CompleteMilestone("TRAINING", now, sato, "", now); err != nil {
		t.Fatal(err)
	}
	if _, err := p.SkipMilestone("TRAINING", sato, "x", now); !errors.Is(err, problem.IllegalTransition("", "", "", nil)) {
		t.Errorf("done already: %v", err)
	}
}

// In whatever order milestones are reached, the plan can be completed exactly when the mandatory ones are done.
func TestCompleteExactlyWhenMandatoryAreDone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan(InProgress)
		left := map[string]bool{Kickoff: true, "FIRST_LOGIN": true, FirstValue: true}
		order := rapid.Permutation([]string{Kickoff, "FIRST_LOGIN", "TRAINING", FirstValue}).Draw(t, "order")
		for _, code := range order[:rapid.IntRange(0, len(order)).Draw(t, "reached")] {
			if _, err := p.CompleteMilestone(code, now, sato, "", now); err != nil {
				t.Fatal(err)
			}
			delete(left, code)
		}
		if err := p.Complete(sato, "", now); (err == nil) != (len(left) == 0) {
			t.Fatalf("%d mandatory ones open: %v", len(left), err)
		}
	})
}
