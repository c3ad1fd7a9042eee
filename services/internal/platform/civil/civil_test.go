package civil_test

import (
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
)

func TestDateOfFollowsTheCompanysZone(t *testing.T) {
	if got := civil.DateOf(time.Date(2026, 4, 5, 14, 59, 59, 0, time.UTC)); got != "2026-04-05" {
		t.Errorf("a second before midnight in Tokyo: %s", got)
	}
	if got := civil.DateOf(time.Date(2026, 4, 5, 15, 0, 0, 0, time.UTC)); got != "2026-04-06" {
		t.Errorf("midnight in Tokyo: %s", got)
	}
	if got := civil.Date("2026-04-06").Start(); !got.Equal(time.Date(2026, 4, 5, 15, 0, 0, 0, time.UTC)) {
		t.Errorf("start: %s", got)
	}
	if civil.DateOf(time.Time{}) != "" || civil.Date("").Proto() != nil || !civil.Date("").Start().IsZero() {
		t.Error("no date must stay no date")
	}
}

func TestFromProtoRefusesDatesThatDoNotExist(t *testing.T) {
	for _, d := range []*date.Date{{Year: 2026, Month: 2, Day: 29}, {Year: 2026, Month: 13, Day: 1}, {Year: 2026, Month: 4}, {}} {
		if got, ok := civil.FromProto(d); ok {
			t.Errorf("%v became %s", d, got)
		}
	}
	if got, ok := civil.FromProto(nil); !ok || got != "" {
		t.Errorf("nil: %q, %v", got, ok)
	}
}

func TestRoundTripAndArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := civil.DateOf(time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "t"), 0))
		back, ok := civil.FromProto(d.Proto())
		if !ok || back != d {
			t.Fatalf("%s came back as %s", d, back)
		}
		n := rapid.IntRange(-1000, 1000).Draw(t, "n")
		if got := d.AddDays(n).DaysSince(d); got != n {
			t.Fatalf("%s + %d days is %d days later", d, n, got)
		}
	})
}
