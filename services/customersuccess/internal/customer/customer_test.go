package customer

import (
	"errors"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

var (
	start = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	sato  = access.Actor{Kind: access.KindPerson, ID: "sato"}
)

// Every command in every state: either along an arrow of the domain's table, or refused with the legal ones.
func TestEveryCommandInEveryState(t *testing.T) {
	commands := map[Command]func(c *Customer) error{
		cmdStart:    func(c *Customer) error { return c.StartOnboarding(sato, "", start.Add(time.Hour)) },
		cmdComplete: func(c *Customer) error { return c.CompleteOnboarding(sato, "", start.Add(time.Hour)) },
		cmdRetain:   func(c *Customer) error { return c.MarkRetained(sato, "", start.Add(time.Hour)) },
		cmdCancel:   func(c *Customer) error { return c.Churn(sato, "NOT_USED", "", "2026-04-06", start.Add(time.Hour)) },
		cmdBack:     func(c *Customer) error { return c.Reactivate(sato, "", start.Add(time.Hour)) },
	}
	legal := map[State]map[Command]State{
		HandedOver: {cmdStart: Onboarding, cmdCancel: Churned},
		Onboarding: {cmdStart: Onboarding, cmdComplete: Adoption, cmdCancel: Churned},
		Adoption:   {cmdRetain: Retention, cmdCancel: Churned},
		Retention:  {cmdCancel: Churned},
		Churned:    {cmdBack: Onboarding},
	}
	names := map[State]string{
		HandedOver: "cancel,startOnboarding", Onboarding: "cancel,completeOnboarding", Adoption: "cancel,markRetained",
		Retention: "cancel", Churned: "reactivate",
	}
	for state, want := range legal {
		for command, run := range commands {
			t.Run(string(state)+" "+string(command), func(t *testing.T) {
				c := &Customer{State: state, StateSince: start}
				err := run(c)
				to, ok := want[command]
				if !ok {
					var p *problem.Error
					if !errors.As(err, &p) || p.Reason != problem.ReasonIllegalTransition || p.Metadata["legal"] != names[state] {
						t.Fatalf("got %v", err)
					}
					if c.State != state || len(c.moved) != 0 {
						t.Fatalf("a refused command changed the customer to %s", c.State)
					}
					return
				}
				if err != nil || c.State != to {
					t.Fatalf("got %s, %v; want %s", c.State, err, to)
				}
				if to == state {
					return
				}
				if len(c.moved) != 1 || c.moved[0].From != state || c.moved[0].To != to || c.moved[0].InFrom != time.Hour {
					t.Fatalf("history %+v", c.moved)
				}
			})
		}
	}
}

func TestDecideTier(t *testing.T) {
	for _, tt := range []struct {
		mrr       int64
		currency  string
		employees int32
		tier      Tier
		rule      string
	}{
		{500_000, "JPY", 1, Tier1, "mrr_500000"},
		{499_999, "JPY", 999, Tier2, "mrr_100000"},
		{0, "JPY", 1000, Tier1, "employees_1000"},
		{100_000, "JPY", 0, Tier2, "mrr_100000"},
		{99_999, "JPY", 100, Tier2, "employees_100"},
		{99_999, "JPY", 99, Tier3, "default"},
		{99_999_999, "USD", 99, Tier3, "default"},
		{0, "USD", 5000, Tier1, "employees_1000"},
	} {
		got := Decide(tt.mrr, tt.currency, tt.employees)
		if got.Tier != tt.tier || got.Rule != tt.rule {
			t.Errorf("Decide(%d %s, %d) = %v", tt.mrr, tt.currency, tt.employees, got)
		}
		if ja, en := label(got.Rule); ja == got.Rule || en == got.Rule {
			t.Errorf("rule %s has no label", got.Rule)
		}
	}
}

func TestTouchAndTeamFollowTheTier(t *testing.T) {
	for _, tt := range []struct {
		tier      Tier
		promising bool
		touch     Touch
		team      Team
	}{
		{Tier1, false, High, Sales},
		{Tier2, true, Low, Sales},
		{Tier2, false, Low, Marketing},
		{Tier3, true, Tech, Marketing},
	} {
		if TouchOf(tt.tier) != tt.touch || TeamOf(tt.tier, tt.promising) != tt.team {
			t.Errorf("%s, promising %v: %s, %s", tt.tier, tt.promising, TouchOf(tt.tier), TeamOf(tt.tier, tt.promising))
		}
	}
}

func TestOverrideExpires(t *testing.T) {
	c := &Customer{Rule: Decision{Tier: Tier3}, Override: &Override{Tier: Tier1, Until: "2026-04-30"}}
	for day, want := range map[civil.Date]Tier{"2026-04-06": Tier1, "2026-04-30": Tier1, "2026-05-01": Tier3} {
		if got := c.Tier(day); got != want {
			t.Errorf("on %s: %s", day, got)
		}
	}
	c.Override.Until = ""
	if c.Tier("2099-01-01") != Tier1 {
		t.Error("an override without a date must stay")
	}
}
