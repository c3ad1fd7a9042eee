package account

import (
	"slices"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

var now = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

func TestKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		in   Company
		want Keys
	}{
		"all":        {Company{ID: "x", Name: "（株）タスキ", Domain: "https://www.Tasuki.co.jp/about"}, Keys{"x", "tasuki.co.jp", "タスキ"}},
		"no domain":  {Company{Name: "タスキ㈱", Domain: "なし"}, Keys{Name: "タスキ"}},
		"no letters": {Company{Name: "--"}, Keys{}},
	} {
		if got := tt.in.Keys(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestEditCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		e  Edit
		ok bool
	}{
		"nothing":          {Edit{}, true},
		"good":             {Edit{Name: ptr("タスキ"), Domain: ptr("tasuki.co.jp")}, true},
		"domain taken off": {Edit{Domain: ptr("")}, true},
		"no domain":        {Edit{Domain: ptr("tasuki")}, false},
		"name of dashes":   {Edit{Name: ptr("--")}, false},
	} {
		if err := tt.e.Check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestApplyAndFill(t *testing.T) {
	a := New(Company{Name: "株式会社タスキ"}, "", "", now)
	if a.Version != 1 || a.Key != "タスキ" || a.ID == "" {
		t.Fatalf("%+v", a)
	}
	later := now.Add(time.Hour)
	changed := a.Fill(Company{Name: "別名", Domain: "WWW.tasuki.co.jp", Industry: "IT", Employees: 120}, "sato", later)
	if !slices.Equal(changed, []string{"domain", "industry", "employees", "owner"}) || a.Version != 2 || a.Name != "株式会社タスキ" ||
		a.Domain != "tasuki.co.jp" || !a.UpdatedAt.Equal(later) {
		t.Fatalf("%v %+v", changed, a)
	}
	if again := a.Fill(Company{Domain: "other.jp", Industry: "x", Employees: 1}, "suzuki", later); again != nil || a.Version != 2 {
		t.Errorf("overwrote %v: %+v", again, a)
	}
	if changed := a.Apply(Edit{Name: ptr("タスキ商事(株)"), Domain: ptr("")}, later); !slices.Equal(changed, []string{"name", "domain"}) ||
		a.Key != "タスキ商事" || a.Domain != "" || a.Version != 3 {
		t.Errorf("%v %+v", changed, a)
	}
}
