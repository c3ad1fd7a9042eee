package bizclock_test

import (
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/bizclock"
)

func TestPauses(t *testing.T) {
	c := bizclock.Default()
	day := func(text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		return at(t, "Asia/Tokyo", "2026-11-"+text)
	}
	for _, x := range []struct {
		what    string
		pauses  [][2]string
		want    string // Empty: not running.
		left    time.Duration
		leftAt  string
		started string
	}{
		{"no pause", nil, "24 14:00", time.Hour, "24 13:00", "24 10:00"},
		{"overdue", nil, "24 14:00", -2 * time.Hour, "24 16:00", "24 10:00"},
		{"before it starts", nil, "24 14:00", 4 * time.Hour, "24 09:30", "24 10:00"},
		{"a day's pause", [][2]string{{"24 12:00", "25 12:00"}}, "25 14:00", 2 * time.Hour, "24 17:00", "24 10:00"},
		{"a pause outside the hours", [][2]string{{"24 19:00", "25 08:00"}}, "25 10:00", time.Hour, "25 09:00", "24 15:00"},
		{"resumed outside the hours", [][2]string{{"20 17:00", "21 12:00"}}, "24 12:00", 3 * time.Hour, "22 12:00", "20 16:00"},
		{"two pauses", [][2]string{{"24 11:00", "24 12:00"}, {"24 13:00", "24 15:00"}}, "24 17:00", 2 * time.Hour, "24 14:00", "24 10:00"},
		{"paused still", [][2]string{{"24 11:00", ""}}, "", 3 * time.Hour, "26 11:00", "24 10:00"},
		{"due before the pause", [][2]string{{"24 15:00", ""}}, "24 14:00", -time.Hour, "26 11:00", "24 10:00"},
		{"due as the pause begins", [][2]string{{"24 14:00", "25 14:00"}}, "24 14:00", -time.Hour, "25 15:00", "24 10:00"},
		{"paused before it starts", [][2]string{{"24 09:00", "24 11:00"}}, "24 15:00", 2 * time.Hour, "24 13:00", "24 10:00"},
		{"a pause that is over before it starts", [][2]string{{"20 09:00", "20 11:00"}}, "24 14:00", time.Hour, "24 13:00", "24 10:00"},
		{"a pause to come", [][2]string{{"24 13:00", "24 14:00"}}, "24 15:00", 3 * time.Hour, "24 11:00", "24 10:00"},
	} {
		var pauses []bizclock.Pause
		for _, p := range x.pauses {
			pauses = append(pauses, bizclock.Pause{From: day(p[0]), To: day(p[1])})
		}
		due, running := c.Due(day(x.started), 4*time.Hour, pauses...)
		if !due.Equal(day(x.want)) || running != (x.want != "") {
			t.Errorf("%s: due %s, running %t, want %q", x.what, due, running, x.want)
		}
		if got := c.Remaining(day(x.started), 4*time.Hour, day(x.leftAt), pauses...); got != x.left {
			t.Errorf("%s: %s left at %s, want %s", x.what, got, x.leftAt, x.left)
		}
	}
}

func TestResume(t *testing.T) {
	c := bizclock.Default()
	for _, x := range []struct{ what, due, paused, resumed, want string }{
		{"what was left is left", "24 14:00", "24 12:00", "25 16:30", "26 09:30"},
		{"resumed at once", "24 14:00", "24 12:00", "24 12:00", "24 14:00"},
		{"the clock went back", "24 14:00", "24 12:00", "24 11:00", "24 14:00"},
		{"due before the pause", "24 14:00", "24 15:00", "25 15:00", "24 14:00"},
		{"nothing left but closed time", "24 09:00", "21 12:00", "22 12:00", "24 09:00"},
	} {
		day := func(text string) time.Time { return at(t, "Asia/Tokyo", "2026-11-"+text) }
		same(t, x.what, c.Resume(day(x.due), day(x.paused), day(x.resumed)), day(x.want))
	}
}
