package lead

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

var (
	start = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	sato  = access.Actor{Kind: access.KindPerson, ID: "sato"}
	model = scoring.Standard
)

// in is a complete lead in a state.
func in(state State) *Lead {
	l := New(&Capture{
		Person:  Person{Name: Name{Full: "佐藤 花子"}, Mail: "hanako@example.co.jp"},
		Company: Company{Name: "株式会社タスキ"},
	}, sato, start)
	l.State, l.StateSince, l.transitions = state, start, nil
	return l
}

// TestCommands tries every command in every state against the table of the domain.
func TestCommands(t *testing.T) {
	later := start.Add(time.Hour)
	run := map[Command]func(*Lead) error{
		Screen:     func(l *Lead) error { return l.Screen(nil, later) },
		Include:    func(l *Lead) error { return l.Include(sato, "our partner", later) },
		Qualify:    func(l *Lead) error { return l.Qualify(sato, "", "met at the fair", later) },
		Disqualify: func(l *Lead) error { return l.Disqualify(sato, "INVALID_CONTACT", "", later) },
	}
	want := map[Command]map[State]State{
		Screen:  {Captured: MAL, MAL: MAL, Nurturing: Nurturing, Recycled: Recycled},
		Include: {Excluded: MAL},
		Qualify: {MAL: MQL, Nurturing: MQL, Recycled: MQL, MQL: MQL},
		Disqualify: {
			Captured: Disqualified, MAL: Disqualified, Excluded: Disqualified, Nurturing: Disqualified, MQL: Disqualified,
			Recycled: Disqualified,
		},
	}
	for command, do := range run {
		for _, from := range States() {
			l := in(from)
			err := do(l)
			to, legal := want[command][from]
			if !legal {
				e, ok := problem.Parse(err)
				if !ok || e.Reason != problem.ReasonIllegalTransition || l.State != from || len(l.transitions) != 0 {
					t.Errorf("%s in %s: %v, state %s", command, from, err, l.State)
					continue
				}
				for _, other := range strings.Split(e.Metadata["legal"], ",") {
					if _, ok := want[Command(other)][from]; other != "" && !ok || other == string(command) {
						t.Errorf("%s in %s: says %q is legal", command, from, other)
					}
				}
				continue
			}
			if err != nil || l.State != to {
				t.Errorf("%s in %s: %s, %v; want %s", command, from, l.State, err, to)
			}
			moved := from != to
			if moved != (len(l.transitions) == 1) {
				t.Errorf("%s in %s: transitions %v", command, from, l.transitions)
			}
			if moved && l.transitions[0].InFrom != time.Hour {
				t.Errorf("%s in %s: spent %v", command, from, l.transitions[0].InFrom)
			}
		}
	}
}

// TestOutcomes tries what other departments make of a lead in every state: late events change nothing.
func TestOutcomes(t *testing.T) {
	wake := start.AddDate(0, 0, 60)
	run := map[string]func(*Lead) bool{
		"accepted":         func(l *Lead) bool { return l.Accept(start) },
		"sent back":        func(l *Lead) bool { return l.SendBack("RETURNED", "", []string{"company.industry"}, start) },
		"recycled":         func(l *Lead) bool { return l.Recycle(model, "BAD_TIMING", "", &wake, start) },
		"put away":         func(l *Lead) bool { return l.PutAway("COMPETITOR", "", start) },
		"meeting accepted": func(l *Lead) bool { return l.MeetingAccepted(start) },
		"won":              func(l *Lead) bool { return l.Win(start) },
	}
	want := map[string]map[State]State{
		"accepted":  {Offered: Accepted},
		"sent back": {Offered: MQL},
		"recycled":  {Offered: Recycled, Accepted: Recycled, SQL: Recycled},
		"put away":  {Offered: Disqualified, Accepted: Disqualified, SQL: Disqualified},
		// Feeds overtake one another: the steps before are caught up on.
		"meeting accepted": {Offered: SQL, Accepted: SQL},
		"won":              {Offered: Customer, Accepted: Customer, SQL: Customer},
	}
	for name, do := range run {
		for _, from := range States() {
			l := in(from)
			changed := do(l)
			to, legal := want[name][from]
			if !legal {
				to = from
			}
			if changed != legal || l.State != to || legal == (len(l.transitions) == 0) {
				t.Errorf("%s in %s: %s, %v", name, from, l.State, changed)
			}
		}
	}
}

func TestRecycleAndWake(t *testing.T) {
	l := in(Accepted)
	l.Company.Employees, l.Person.Title = 300, "部長"
	l.rescore(model, start)
	l.Score = l.Score.WithAction(model, "demo_request", start, start)
	fit := l.Score.FitPoints()
	wake := start.AddDate(0, 0, 60)
	l.Recycle(model, "BAD_TIMING", "来期", &wake, start)
	if l.Score.BehaviourPoints(model) != 0 || l.Score.FitPoints() != fit || l.RecycleCount != 1 || l.LastReason != "BAD_TIMING" {
		t.Errorf("%+v", l)
	}
	if l.Wake(wake.Add(-time.Second)) || !l.Wake(wake) || l.State != Nurturing || l.WakeAt != nil {
		t.Errorf("wakes up in %s", l.State)
	}
	if l.Wake(wake) {
		t.Error("wakes up twice")
	}
}

func TestScreeningKeepsTheRule(t *testing.T) {
	rule := &Rule{ID: "r", Kind: "COMPETITOR", Domain: "rival.example"}
	l := in(Captured)
	if err := l.Screen(rule, start); err != nil || l.State != Excluded || l.Exclusion.Domain != "rival.example" {
		t.Fatalf("%v %+v", err, l)
	}
	if err := l.Include(sato, "our partner", start); err != nil || l.State != MAL || !l.Exclusion.Overturned {
		t.Fatalf("%v %+v", err, l)
	}
	if err := l.Screen(rule, start); err != nil || l.State != MAL {
		t.Errorf("the overturned rule excludes again: %v %s", err, l.State)
	}
	if err := l.Screen(&Rule{ID: "other", Kind: "NON_TARGET", Domain: "x.example"}, start); err != nil || l.State != Excluded {
		t.Errorf("another rule does not exclude: %v %s", err, l.State)
	}
}

func TestConsider(t *testing.T) {
	for _, state := range States() {
		l := in(state)
		want := state == MAL || state == Nurturing || state == Recycled
		if got := l.Consider(model, "demo_request", start); got != want || want != (l.State == MQL) && state != MQL {
			t.Errorf("%s: %v, now %s", state, got, l.State)
		}
		if want && (!l.Hot || l.QualifyingAction != "demo_request") {
			t.Errorf("%s: %+v", state, l)
		}
	}
	l := in(MAL)
	l.Company.Name = ""
	l.Consider(model, "demo_request", start)
	if !slices.Equal(l.Missing, []string{"company.name"}) {
		t.Errorf("missing %v", l.Missing)
	}
}

func TestNewTouchBringsBack(t *testing.T) {
	l := in(Recycled)
	at := start.AddDate(0, 0, 90)
	l.WakeAt = &at
	l.Meet(model, &Capture{Touch: Touch{Channel: "SEMINAR", Action: "seminar_attendance", At: start}}, start)
	if l.State != Nurturing || l.WakeAt != nil || l.TouchCount != 1 {
		t.Errorf("%+v", l)
	}
}

func TestReturnedWaitsUntilItIsCompleted(t *testing.T) {
	l := in(Offered)
	l.SendBack("RETURNED", "", []string{"company.industry"}, start)
	if got := l.stillMissing(); !slices.Equal(got, []string{"company.industry"}) {
		t.Errorf("missing %v", got)
	}
	l.Company.Industry = "IT"
	if got := l.stillMissing(); len(got) != 0 {
		t.Errorf("missing %v", got)
	}
}

func TestTidy(t *testing.T) {
	c := Capture{
		Person: Person{Name: Name{Family: "佐藤", Given: "花子"}, Mail: "Ｈａｎａｋｏ＠Example.CO.JP ", Phone: "０３－１２３４－５６７８"},
		Touch:  Touch{At: start.AddDate(1, 0, 0)},
	}
	c.Tidy(model, start)
	if c.Person.Name.Full != "佐藤 花子" || c.Person.Phone != "+81312345678" || c.Person.MatchKey() != "m:hanako@example.co.jp" ||
		c.Company.Domain != "example.co.jp" || !c.Touch.At.Equal(start) || c.Touch.Channel != "OTHER" {
		t.Errorf("%+v", c)
	}
	latin := Capture{Person: Person{Name: Name{Family: "Sato", Given: "Hanako"}, Mail: "hanako@gmail.com"}}
	latin.Tidy(model, start)
	if latin.Person.Name.Full != "Hanako Sato" || latin.Company.Domain != "" {
		t.Errorf("%+v", latin)
	}
	phone := Capture{Person: Person{Name: Name{Full: "佐藤　花子"}, Phone: "03-1234-5678"}}
	phone.Tidy(model, start)
	if got := phone.Person.MatchKey(); got != "p:+81312345678|佐藤花子" {
		t.Errorf("%q", got)
	}
}

func TestScreenedDomains(t *testing.T) {
	got := screenedDomains(Person{Mail: "a@mail.rival.co.jp"}, Company{Domain: "rival.co.jp"})
	for _, want := range []string{"mail.rival.co.jp", "rival.co.jp", "co.jp"} {
		if !slices.Contains(got, want) {
			t.Errorf("%v lacks %s", got, want)
		}
	}
	rules := map[string]Rule{"co.jp": {ID: "a", Domain: "co.jp"}, "rival.co.jp": {ID: "b", Domain: "rival.co.jp"}}
	if rule := ruleFor(rules, got); rule == nil || rule.ID != "b" {
		t.Errorf("not the most exact rule: %v", rule)
	}
}

// TestWithdrawalWins: whatever is recorded in whatever order, a withdrawal is only overruled by a later OPT_IN.
func TestWithdrawalWins(t *testing.T) {
	bases := []string{"OPT_IN", "BUSINESS_CARD", "EXISTING_RELATION", "PUBLISHED"}
	rapid.Check(t, func(t *rapid.T) {
		var p Person
		var all []Consent
		for i := range rapid.IntRange(1, 8).Draw(t, "records") {
			c := Consent{Channel: "MAIL", Granted: rapid.Bool().Draw(t, "granted"), At: start.Add(time.Duration(i) * time.Hour)}
			if c.Granted {
				c.Basis = rapid.SampledFrom(bases).Draw(t, "basis")
			}
			all = append(all, c)
			p.agree([]Consent{c})
		}
		withdrawn := false
		for _, c := range all {
			withdrawn = !c.Granted || withdrawn && c.Basis != "OPT_IN"
		}
		if len(p.Consents) != 1 || p.Consents[0].Granted == withdrawn {
			t.Fatalf("%v gave %v", all, p.Consents)
		}
	})
}
