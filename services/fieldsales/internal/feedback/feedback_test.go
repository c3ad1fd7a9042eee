package feedback

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

func TestSizeBand(t *testing.T) {
	for employees, want := range map[int32]int64{
		0: 0, 1: 1, 9: 1, 10: 2, 49: 2, 50: 3, 99: 3, 100: 4, 299: 4, 300: 5, 999: 5, 1000: 6, 50_000: 6,
	} {
		if got := sizeBand(employees); got != want {
			t.Errorf("%d employees are in band %d, want %d", employees, got, want)
		}
	}
}

func TestProfile(t *testing.T) {
	got := NewProfile(" ＩＴ", 120, "Tasuki Standard", "", "ＴＡＳＵＫＩ standard", "Add-on")
	if diff := cmp.Diff(Profile{Industry: "it", Size: 4, Products: []string{"add-on", "tasuki standard"}}, got); diff != "" {
		t.Error(diff)
	}
	if !NewProfile("", 0, "").none() || NewProfile("", 0, "x").none() || NewProfile("x", 0).none() || NewProfile("", 1).none() {
		t.Error("what is known is told wrongly")
	}
}

func TestSummarize(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 4, n, 0, 0, 0, 0, time.UTC) }
	said := func(n int, rating int64) Mark {
		return Mark{CustomerID: "c", Kinds: 1 << 2, Rating: rating, At: day(n)}
	}
	left, back := Mark{CustomerID: "c", Kinds: bits(churn), Reason: "NOT_USED", At: day(5)}, Mark{CustomerID: "c", Kinds: bits(comeback), At: day(6)}
	rated := func(score int64) Mark {
		return Mark{CustomerID: "c", Kinds: bits(handoverQuality), Rating: score, At: day(1)}
	}
	for name, tt := range map[string]struct {
		marks []Mark
		want  *Summary
	}{
		"nothing":              {nil, nil},
		"a need":               {[]Mark{{CustomerID: "c", Kinds: 1 << 3, At: day(1)}}, &Summary{CustomerID: "c"}},
		"the later word":       {[]Mark{said(3, 4), said(2, 1)}, &Summary{CustomerID: "c", Rating: 4, RatedAt: day(3)}},
		"handovers":            {[]Mark{rated(2), rated(5)}, &Summary{CustomerID: "c", Handover: 3.5}},
		"left":                 {[]Mark{said(3, 2), left}, &Summary{CustomerID: "c", Rating: 2, RatedAt: day(3), ChurnedAt: day(5), ChurnReason: "NOT_USED"}},
		"came back":            {[]Mark{left, back}, &Summary{CustomerID: "c"}},
		"left, back and again": {[]Mark{left, back, left}, &Summary{CustomerID: "c", ChurnedAt: day(5), ChurnReason: "NOT_USED"}},
	} {
		if diff := cmp.Diff(tt.want, Summarize(tt.marks)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
