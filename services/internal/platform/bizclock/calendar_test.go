package bizclock_test

import (
	"math"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/bizclock"
)

func calendar(t testing.TB, config bizclock.Config) *bizclock.Calendar {
	t.Helper()
	c, err := bizclock.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// at reads a time of the wall clock in a zone.
func at(t testing.TB, zone, text string) time.Time {
	t.Helper()
	z, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	layout := "2006-01-02 15:04:05"
	v, err := time.ParseInLocation(layout[:len(text)], text, z)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func same(t *testing.T, what string, got, want time.Time) {
	t.Helper()
	if !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("%s: %s, want %s", what, got, want.UTC())
	}
}

func TestAddInJapan(t *testing.T) {
	c := bizclock.Default()
	for _, x := range []struct {
		what, start string
		d           time.Duration
		want        string
	}{
		{"within a day", "2026-11-24 10:00", 4 * time.Hour, "2026-11-24 14:00"},
		{"to the closing, not to the next opening", "2026-11-20 09:00", 9 * time.Hour, "2026-11-20 18:00"},
		{"over the evening", "2026-11-24 17:30", time.Hour, "2026-11-25 09:30"},
		{"over a weekend and a Monday holiday", "2026-11-20 17:00", 2 * time.Hour, "2026-11-24 10:00"},
		{"before the opening", "2026-11-24 03:00", time.Hour, "2026-11-24 10:00"},
		{"after the closing", "2026-11-24 18:00", time.Hour, "2026-11-25 10:00"},
		{"on a Saturday", "2026-11-21 12:00", time.Minute, "2026-11-24 09:01"},
		{"five minutes on a day between two holidays", "2026-09-22 10:00", 5 * time.Minute, "2026-09-24 09:05"},
		{"over golden week with a substitute on the Wednesday", "2026-05-01 18:00", time.Hour, "2026-05-07 10:00"},
		{"over the year end", "2026-12-28 17:00", 2 * time.Hour, "2027-01-04 10:00"},
		{"nothing outside the hours", "2026-11-21 12:00", 0, "2026-11-21 12:00"},
		{"back within a day", "2026-11-24 14:00", -4 * time.Hour, "2026-11-24 10:00"},
		{"back to the opening, not to the closing before", "2026-11-24 10:00", -time.Hour, "2026-11-24 09:00"},
		{"back over a holiday and a weekend", "2026-11-24 09:30", -time.Hour, "2026-11-20 17:30"},
		{"back from outside the hours", "2026-11-22 12:00", -time.Hour, "2026-11-20 17:00"},
	} {
		same(t, x.what, c.Add(at(t, "Asia/Tokyo", x.start), x.d), at(t, "Asia/Tokyo", x.want))
	}
}

func TestElapsedInJapan(t *testing.T) {
	c := bizclock.Default()
	for _, x := range []struct {
		what, from, to string
		want           time.Duration
	}{
		{"within a day", "2026-11-24 10:00", "2026-11-24 14:30", 270 * time.Minute},
		{"a night", "2026-11-24 18:00", "2026-11-25 09:00", 0},
		{"a long weekend", "2026-11-20 17:00", "2026-11-24 10:00", 2 * time.Hour},
		{"a week with a holiday", "2026-11-23 00:00", "2026-11-30 00:00", 36 * time.Hour},
		{"the year 2026", "2026-01-01 00:00", "2027-01-01 00:00", 240 * 9 * time.Hour}, // 261 weekdays, 17 national holidays on them, 4 more at the year end.
		{"the Olympics' Mountain Day", "2020-08-10 00:00", "2020-08-12 00:00", 9 * time.Hour},
	} {
		from, to := at(t, "Asia/Tokyo", x.from), at(t, "Asia/Tokyo", x.to)
		if got := c.Elapsed(from, to); got != x.want {
			t.Errorf("%s: %s, want %s", x.what, got, x.want)
		}
		if got := c.Elapsed(to, from); got != -x.want {
			t.Errorf("%s, reversed: %s, want %s", x.what, got, -x.want)
		}
	}
}

func TestPartsOfASecond(t *testing.T) {
	c := bizclock.Default()
	start := at(t, "Asia/Tokyo", "2026-11-24 17:59:59").Add(250 * time.Millisecond)
	due := c.Add(start, time.Second)
	same(t, "over the night", due, at(t, "Asia/Tokyo", "2026-11-25 09:00").Add(250*time.Millisecond))
	same(t, "and back", c.Add(due, -time.Second), start)
	if got := c.Elapsed(start, due); got != time.Second {
		t.Errorf("elapsed %s", got)
	}
	if got := c.Elapsed(start, start.Add(time.Nanosecond)); got != 1 {
		t.Errorf("elapsed %s", got)
	}
}

func TestOpen(t *testing.T) {
	c := calendar(t, bizclock.Config{
		Zone:            "Asia/Tokyo",
		Hours:           map[string]string{"mon-fri": "09:00-12:00, 13:00-18:00"},
		National:        "jp",
		CompanyHolidays: []string{"2026-08-12..2026-08-14", "12-29..01-03"},
		WorkingDays:     map[string]string{"2026-08-15": "10:00-15:00", "2026-11-23": "09:00-12:00", "2026-12-29": "09:00-10:00"},
	})
	for _, x := range []struct {
		at   string
		open bool
		next string
	}{
		{"2026-11-24 09:00", true, "2026-11-24 09:00"},
		{"2026-11-24 11:59", true, "2026-11-24 11:59"},
		{"2026-11-24 12:00", false, "2026-11-24 13:00"},
		{"2026-11-24 18:00", false, "2026-11-25 09:00"},
		{"2026-08-11 10:00", false, "2026-08-15 10:00"}, // A national holiday, the company's, an extra working day.
		{"2026-11-23 10:00", true, "2026-11-23 10:00"},  // A working day wins over a national holiday,
		{"2026-12-29 09:30", true, "2026-12-29 09:30"},  // and over one that comes every year.
		{"2026-12-29 10:00", false, "2027-01-04 09:00"},
	} {
		when := at(t, "Asia/Tokyo", x.at)
		if c.IsOpen(when) != x.open {
			t.Errorf("%s: open is %t", x.at, !x.open)
		}
		same(t, "opening after "+x.at, c.NextOpen(when), at(t, "Asia/Tokyo", x.next))
	}
}

func TestAddDays(t *testing.T) {
	c := bizclock.Default()
	for _, x := range []struct {
		start string
		n     int
		want  string
	}{
		{"2026-11-24 10:00", 1, "2026-11-25 18:00"},
		{"2026-11-24 20:00", 1, "2026-11-25 18:00"},
		{"2026-11-20 10:00", 1, "2026-11-24 18:00"},
		{"2026-11-21 10:00", 1, "2026-11-24 18:00"},
		{"2026-11-24 10:00", 5, "2026-12-01 18:00"},
		{"2026-11-24 10:00", 0, "2026-11-24 18:00"},
		{"2026-11-24 18:00", 0, "2026-11-25 18:00"},
		{"2026-11-21 10:00", 0, "2026-11-24 18:00"},
		{"2026-11-24 10:00", -1, "2026-11-20 18:00"},
		{"2026-11-22 10:00", -1, "2026-11-20 18:00"},
		{"2026-11-24 08:00", -2, "2026-11-19 18:00"},
	} {
		same(t, x.start, c.AddDays(at(t, "Asia/Tokyo", x.start), x.n), at(t, "Asia/Tokyo", x.want))
	}
}

// Night hours on the nights on which the clocks change. Berlin: 2026-03-29 02:00 → 03:00, 2026-10-25 03:00 → 02:00.
func TestSummerTime(t *testing.T) {
	elapsed := func(zone, hours, from, to string, want time.Duration) {
		t.Helper()
		c := calendar(t, bizclock.Config{Zone: zone, Hours: map[string]string{"mon-sun": hours}})
		if got := c.Elapsed(at(t, zone, from), at(t, zone, to)); got != want {
			t.Errorf("%s %s: %s, want %s", zone, hours, got, want)
		}
	}
	spring, autumn := [2]string{"2026-03-29 00:00", "2026-03-30 00:00"}, [2]string{"2026-10-25 00:00", "2026-10-26 00:00"}
	elapsed("Europe/Berlin", "00:00-24:00", spring[0], spring[1], 23*time.Hour)
	elapsed("Europe/Berlin", "00:00-24:00", autumn[0], autumn[1], 25*time.Hour)
	elapsed("Europe/Berlin", "09:00-18:00", spring[0], spring[1], 9*time.Hour)
	elapsed("Europe/Berlin", "01:00-05:00", spring[0], spring[1], 3*time.Hour)
	elapsed("Europe/Berlin", "01:00-05:00", autumn[0], autumn[1], 5*time.Hour)
	elapsed("Europe/Berlin", "02:10-02:50", spring[0], spring[1], 0)
	elapsed("Europe/Berlin", "02:10-02:50", autumn[0], autumn[1], 80*time.Minute)
	elapsed("America/New_York", "01:30-03:00", "2026-03-08 00:00", "2026-03-09 00:00", 30*time.Minute)
	elapsed("America/New_York", "01:30-03:00", "2026-11-01 00:00", "2026-11-02 00:00", 2*time.Hour)
	elapsed("Australia/Lord_Howe", "00:00-24:00", "2026-04-05 00:00", "2026-04-06 00:00", 24*time.Hour+30*time.Minute)
	elapsed("Africa/Cairo", "00:00-01:30", "2026-04-23 12:00", "2026-04-24 12:00", 30*time.Minute) // Midnight does not exist.
	elapsed("Pacific/Apia", "00:00-24:00", "2011-12-29 00:00", "2012-01-01 00:00", 48*time.Hour)   // 30 December does not exist.

	berlin := bizclock.Config{Zone: "Europe/Berlin", Hours: map[string]string{"mon-sun": "01:00-05:00"}}
	same(t, "added over the gap", calendar(t, berlin).Add(at(t, "Europe/Berlin", "2026-03-29 01:30"), time.Hour), at(t, "Europe/Berlin", "2026-03-29 03:30"))
	office := calendar(t, bizclock.Config{Zone: "Europe/Berlin", Hours: map[string]string{"mon-fri": "09:00-18:00"}})
	same(t, "a weekend with a change", office.Add(at(t, "Europe/Berlin", "2026-03-27 17:00"), 2*time.Hour), at(t, "Europe/Berlin", "2026-03-30 10:00"))

	// In Havana 2026-11-01 01:00 goes back to 00:00: the day opens at midnight, twice, and still counts once.
	havana := calendar(t, bizclock.Config{Zone: "America/Havana", Hours: map[string]string{"mon-sun": "00:00-00:30"}})
	same(t, "a day that begins twice", havana.AddDays(at(t, "America/Havana", "2026-10-31 12:00"), 1),
		at(t, "America/Havana", "2026-11-01 01:00").Add(-30*time.Minute))
}

// St. John's went back at 00:01: 2010-11-07 began, then the last hour of 6 November came again. Each date counts once.
func TestDatesThatComeBack(t *testing.T) {
	const zone = "America/St_Johns"
	c := calendar(t, bizclock.Config{Zone: zone, Hours: map[string]string{"mon-sun": "00:00-24:00"}})
	for n, want := range map[int]string{0: "2010-11-07 00:30", 1: "2010-11-08", 2: "2010-11-09", 3: "2010-11-10"} {
		end := at(t, zone, want)
		if n == 0 {
			end = end.Add(-30 * time.Minute) // Not the midnight before the change, which is another instant.
		}
		same(t, "from 6 November", c.AddDays(at(t, zone, "2010-11-06 12:00"), n), end)
	}
	for n, want := range map[int]string{-1: "2010-11-09", -2: "2010-11-08", -4: "2010-11-06", -5: "2010-11-05"} {
		same(t, "from 9 November", c.AddDays(at(t, zone, "2010-11-09 12:00"), n), at(t, zone, want))
	}
}

func TestHoursThatTouchAreOne(t *testing.T) {
	c := calendar(t, bizclock.Config{Zone: "UTC", Hours: map[string]string{"mon": "13:00-18:00,09:00-12:00,12:00-13:00"}})
	day := at(t, "UTC", "2026-11-23 00:00")
	if got := c.Elapsed(day, day.AddDate(0, 0, 1)); got != 9*time.Hour {
		t.Errorf("%s in a day", got)
	}
}

func TestBounds(t *testing.T) {
	c := bizclock.Default()
	always := calendar(t, bizclock.Config{Zone: "UTC", Hours: map[string]string{"mon-sun": "00:00-24:00"}})
	now := at(t, "Asia/Tokyo", "2026-11-24 10:00")
	last := bizclock.End.Add(-time.Hour)
	same(t, "past the end", always.Add(last, 2*time.Hour), bizclock.End)
	same(t, "to the end", always.Add(last, time.Hour), bizclock.End)
	same(t, "from after the end", always.Add(bizclock.End.Add(time.Hour), time.Hour), bizclock.End.Add(time.Hour))
	same(t, "past the beginning", always.Add(bizclock.Begin.Add(time.Hour), -2*time.Hour), bizclock.Begin)
	same(t, "from before the beginning", always.Add(bizclock.Begin.Add(-time.Hour), -time.Hour), bizclock.Begin.Add(-time.Hour))
	same(t, "the longest limit from the zero time", always.Add(time.Time{}, math.MaxInt64), time.Time{}.Add(math.MaxInt64))
	same(t, "the longest limit back", always.Add(bizclock.End, math.MinInt64), bizclock.End.Add(math.MinInt64))
	same(t, "no opening any more", c.NextOpen(bizclock.End.Add(time.Hour)), bizclock.End.Add(time.Hour))
	same(t, "no opening at the end", always.NextOpen(bizclock.End), bizclock.End)
	same(t, "days past the end", c.AddDays(last.AddDate(-1, 0, 0), math.MaxInt), bizclock.End)
	same(t, "days past the beginning", c.AddDays(bizclock.Begin.AddDate(1, 0, 0), math.MinInt), bizclock.Begin)
	if got := always.Elapsed(time.Time{}, now); got != math.MaxInt64 {
		t.Errorf("more than a Duration: %s", got)
	}
	if got := always.Elapsed(now, time.Time{}); got != -math.MaxInt64 {
		t.Errorf("more than a Duration, reversed: %s", got)
	}
	if got := c.Elapsed(bizclock.End, bizclock.End.AddDate(1, 0, 0)); got != 0 {
		t.Errorf("after the end: %s", got)
	}
	if always.IsOpen(bizclock.End) || always.IsOpen(bizclock.Begin.Add(-1)) || !always.IsOpen(bizclock.Begin) {
		t.Error("open outside of the bounds, or closed at the beginning")
	}

	// Open on leap days that are Mondays: once in 28 years, and not around 2100.
	rare := calendar(t, bizclock.Config{Zone: "UTC", Hours: map[string]string{"mon": "09:00-10:00"}, CompanyHolidays: []string{"03-01..02-28"}})
	same(t, "a rare day", rare.Add(now, 30*time.Minute), time.Date(2044, 2, 29, 9, 30, 0, 0, time.UTC))
	same(t, "a rare day before", rare.Add(now, -30*time.Minute), time.Date(2016, 2, 29, 9, 30, 0, 0, time.UTC))
}

func TestNothingIsAllocatedPerDay(t *testing.T) {
	c := calendar(t, bizclock.Config{Zone: "Europe/Berlin", Hours: map[string]string{"mon-fri": "09:00-12:00,13:00-18:00"}, National: "jp"})
	start := at(t, "Europe/Berlin", "2026-01-05 09:00")
	year := testing.AllocsPerRun(10, func() { c.Elapsed(start, c.Add(start, 250*8*time.Hour)) })
	day := testing.AllocsPerRun(10, func() { c.Elapsed(start, c.Add(start, 8*time.Hour)) })
	if year > day {
		t.Errorf("%v allocations for a year, %v for a day", year, day)
	}
}
