package person

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

var epoch = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

func anyone(t *rapid.T, name string) *Person {
	return &Person{
		ID:        rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, name+" id"),
		MatchKey:  rapid.SampledFrom([]string{"m:a@b.example", "p:+81312345678|x"}).Draw(t, name+" key"),
		CreatedAt: epoch.AddDate(0, 0, rapid.IntRange(0, 2).Draw(t, name+" day")),
	}
}

func TestTheSurvivorIsTheOldestIdentified(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyone(t, "a"), anyone(t, "b")
		if a.ID == b.ID {
			t.Skip("one person")
		}
		stays, goes, rule := Survivor(a, b)
		if other, _, _ := Survivor(b, a); other != stays {
			t.Error("the order decides")
		}
		switch {
		case goes.identified() && !stays.identified():
			t.Error("the identified one goes")
		case goes.identified() == stays.identified() && goes.CreatedAt.Before(stays.CreatedAt):
			t.Error("the older one goes")
		case rule == RuleLowerID && goes.ID < stays.ID:
			t.Error("the later id stays")
		}
	})
}

func TestAnErasureIsCompleteWithTheLastAnswer(t *testing.T) {
	e := NewErasure("p", "asked", []string{"marketing", "field-sales"}, access.System("test"), epoch)
	for _, step := range []struct {
		department        string
		changed, complete bool
	}{
		{"marketing", true, false},
		{"marketing", false, false},       // told twice
		{"customer-success", true, false}, // nobody waited for it
		{"field-sales", true, true},
		{"field-sales", false, true},
	} {
		if got := e.Acknowledge(step.department, nil, epoch); got != step.changed || (e.CompletedAt != nil) != step.complete {
			t.Errorf("%s: changed %t, complete %v", step.department, got, e.CompletedAt)
		}
	}
	if len(e.Answers) != 3 {
		t.Errorf("%v", e.Answers)
	}
}

func TestAbsorbFillsWhatIsEmpty(t *testing.T) {
	p := &Person{ID: "1", Full: "佐藤 花子", Mail: "a@b.example", Version: 1}
	p.Absorb(&Person{ID: "2", Full: "S. Hanako", Mail: "c@d.example", Phone: "+81312345678", Title: "部長"})
	if p.Full != "佐藤 花子" || p.Mail != "a@b.example" || p.Phone != "+81312345678" || p.Title != "部長" || p.Version != 2 {
		t.Errorf("%+v", p)
	}
}
