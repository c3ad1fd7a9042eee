package scoring_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

var (
	model = scoring.Standard
	start = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
)

func TestFit(t *testing.T) {
	for name, c := range map[string]struct {
		facts scoring.Facts
		want  map[string]float64
	}{
		"nothing known": {scoring.Facts{}, map[string]float64{}},
		"the best": {
			scoring.Facts{Employees: 5000, Industry: "製造", Title: "代表取締役社長", Mail: "a@b.example"},
			map[string]float64{"employees_1000": 30, "industry_known": 5, "title_executive": 25, "company_mail": 10},
		},
		"band edge":         {scoring.Facts{Employees: 100}, map[string]float64{"employees_100_999": 25}},
		"below the edge":    {scoring.Facts{Employees: 99}, map[string]float64{"employees_50_99": 15}},
		"full-width title":  {scoring.Facts{Title: "ＶＰ of Sales"}, map[string]float64{"title_head": 20}},
		"head":              {scoring.Facts{Title: "営業部長"}, map[string]float64{"title_head": 20}},
		"deputy of a head":  {scoring.Facts{Title: "営業部長代理"}, map[string]float64{"title_deputy": 15}},
		"half-width kana":   {scoring.Facts{Title: "ﾏﾈｰｼﾞｬｰ"}, map[string]float64{"title_manager": 12}},
		"director":          {scoring.Facts{Title: "Sales Director"}, map[string]float64{"title_head": 20}},
		"vice president":    {scoring.Facts{Title: "Vice President, Sales"}, map[string]float64{"title_vice_president": 20}},
		"chief":             {scoring.Facts{Title: "Co-Founder & CTO"}, map[string]float64{"title_executive": 25}},
		"coordinator":       {scoring.Facts{Title: "Coordinator"}, map[string]float64{}},
		"title without any": {scoring.Facts{Title: "担当"}, map[string]float64{}},
		"free mail":         {scoring.Facts{Mail: "a@gmail.com"}, map[string]float64{"free_mail": -10}},
	} {
		got := map[string]float64{}
		for _, share := range model.Fit(c.facts) {
			got[share.Rule] = share.Points
			if label := model.Label(share.Rule); label.Ja == "" || label.En == "" || label.En == share.Rule {
				t.Errorf("%s: rule %s has no label", name, share.Rule)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		for rule, points := range c.want {
			if got[rule] != points {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
	}
}

func TestBehaviourFades(t *testing.T) {
	s := scoring.Score{At: start}.WithAction(model, "whitepaper_download", start, start)
	if got := s.BehaviourPoints(model); got != 15 {
		t.Fatalf("at once: %v", got)
	}
	if got := s.AtTime(model, start.Add(model.HalfLife)).BehaviourPoints(model); math.Abs(got-7.5) > 1e-9 {
		t.Errorf("after a half-life: %v", got)
	}
	if got := s.AtTime(model, start.Add(100*model.HalfLife)).Behaviour; len(got) != 0 {
		t.Errorf("after ages: %v", got)
	}
	late := scoring.Score{At: start}.WithAction(model, "whitepaper_download", start.Add(-model.HalfLife), start)
	if got := late.BehaviourPoints(model); math.Abs(got-7.5) > 1e-9 {
		t.Errorf("an action that is a half-life old: %v", got)
	}
	if base := s.WithFit(model.Fit(scoring.Facts{Employees: 10})).Base(start); base.FitPoints() != 10 || base.BehaviourPoints(model) != 0 {
		t.Errorf("base: %+v", base)
	}
}

func TestQualifies(t *testing.T) {
	fit := func(employees int, title string) []scoring.Share {
		return model.Fit(scoring.Facts{Employees: employees, Title: title})
	}
	act := func(action string) scoring.Score {
		return scoring.Score{At: start}.WithAction(model, action, start, start)
	}
	for name, c := range map[string]struct {
		score scoring.Score
		want  bool
	}{
		"both":           {act("seminar_attendance").WithFit(fit(200, "部長")), true},
		"fit only":       {act("web_visit").WithFit(fit(200, "部長")), false},
		"behaviour only": {act("seminar_attendance").WithFit(fit(20, "部長")), false},
	} {
		if got := model.Qualifies(c.score); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, action := range []string{"demo_request", "pricing_inquiry", "meeting_booked", "inquiry"} {
		if !model.HighIntent(action) {
			t.Errorf("%s is of high intent", action)
		}
	}
	if model.HighIntent("whitepaper_download") || model.HighIntent("") {
		t.Error("not everything is of high intent")
	}
}

// TestScoreDoesNotDependOnWhenItIsLookedAt: bringing a score forward in steps gives what one step gives, it never rises
// by itself, and it never passes the cap.
func TestScoreDoesNotDependOnWhenItIsLookedAt(t *testing.T) {
	actions := []string{"demo_request", "seminar_attendance", "web_visit", "something else", ""}
	rapid.Check(t, func(t *rapid.T) {
		stepwise, direct, now := scoring.Score{At: start}, scoring.Score{At: start}, start
		for range rapid.IntRange(1, 6).Draw(t, "actions") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90*24).Draw(t, "hours")) * time.Hour)
			for range rapid.IntRange(0, 3).Draw(t, "looks") {
				before := stepwise.BehaviourPoints(model)
				middle := stepwise.At.Add(now.Sub(stepwise.At) / 2)
				stepwise = stepwise.AtTime(model, middle)
				if stepwise.BehaviourPoints(model) > before {
					t.Fatalf("rose from %v to %v by itself", before, stepwise.BehaviourPoints(model))
				}
			}
			action := rapid.SampledFrom(actions).Draw(t, "action")
			stepwise = stepwise.WithAction(model, action, now, now)
			direct = direct.WithAction(model, action, now, now)
			a, b := stepwise.BehaviourPoints(model), direct.BehaviourPoints(model)
			// Shares below the limit are dropped: each look may lose that much.
			if math.Abs(a-b) > 1 || a > model.BehaviourCap {
				t.Fatalf("stepwise %v, direct %v", a, b)
			}
		}
	})
}
