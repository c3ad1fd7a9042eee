package bizclock_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/bizclock"
)

// zones change their clocks in every way there is: at night, at midnight, by half an hour, by two hours, in winter, not at
// all, or by political whim.
var zones = []string{
	"Asia/Tokyo", "Europe/Berlin", "America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Antarctica/Troll",
	"America/Havana", "Asia/Beirut", "Africa/Cairo", "Africa/Casablanca", "America/Santiago", "America/St_Johns",
	"America/Scoresbysund", "Asia/Gaza", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Chatham", "UTC",
}

// model is a calendar for the reference: what is open is kept minute by minute.
type model struct {
	config   bizclock.Config
	zone     *time.Location
	weekly   [7][1440]bool
	closed   map[int]bool // by date as 20060102, or 102 for every year
	working  map[int]*[1440]bool
	calendar *bizclock.Calendar
}

func number(t time.Time) int { return t.Year()*10000 + int(t.Month())*100 + t.Day() }

// open is the definition: what the wall clock shows decides.
func (m *model) open(t time.Time) bool {
	t = t.In(m.zone)
	minute, date := t.Hour()*60+t.Minute(), number(t)
	if hours, ok := m.working[date]; ok {
		return hours[minute]
	}
	return m.weekly[t.Weekday()][minute] && !m.closed[date] && !m.closed[date%10000]
}

// minutes yields the parts of the open minutes between two instants.
func (m *model) minutes(from, to time.Time) func(yield func(from, to time.Time) bool) {
	return func(yield func(from, to time.Time) bool) {
		for t := from.Truncate(time.Minute); t.Before(to); t = t.Add(time.Minute) {
			if !m.open(t) {
				continue
			}
			first, last := t, t.Add(time.Minute)
			if first.Before(from) {
				first = from
			}
			if last.After(to) {
				last = to
			}
			if !yield(first, last) {
				return
			}
		}
	}
}

func (m *model) elapsed(from, to time.Time) (d time.Duration) {
	for first, last := range m.minutes(from, to) {
		d += last.Sub(first)
	}
	return d
}

func drawHours(t *rapid.T, label string) (text string, open [1440]bool) {
	cuts := rapid.SliceOfNDistinct(rapid.OneOf(rapid.IntRange(0, 1440), rapid.IntRange(0, 240), rapid.SampledFrom([]int{540, 720, 780, 1080})), 2, 6, rapid.ID[int]).Draw(t, label)
	cuts = cuts[:len(cuts)/2*2]
	slices.Sort(cuts)
	var parts []string
	for pair := range slices.Chunk(cuts, 2) {
		parts = append(parts, fmt.Sprintf("%02d:%02d-%02d:%02d", pair[0]/60, pair[0]%60, pair[1]/60, pair[1]%60))
		for minute := pair[0]; minute < pair[1]; minute++ {
			open[minute] = true
		}
	}
	return strings.Join(parts, ","), open
}

var years = []int{2020, 2021, 2022, 2023, 2024, 2025, 2026, 2027, 2028, 2029, 2030, 2031, 2032, 2033, 2034, 2035}

// drawUpTo is a time of up to so many days. It is put together from parts, because rapid prefers small numbers.
func drawUpTo(t *rapid.T, label string, days int) time.Duration {
	minutes := rapid.IntRange(0, days-1).Draw(t, label+" days")*24*60 + rapid.IntRange(0, 24*60-1).Draw(t, label+" minutes")
	rest := rapid.OneOf(rapid.Just(0), rapid.IntRange(1, int(time.Minute)-1)).Draw(t, label+" ns")
	return time.Duration(minutes)*time.Minute + time.Duration(rest)
}

// drawModel makes a calendar and an instant from which to look at it, often shortly before the clocks change or near a day
// that is special.
func drawModel(t *rapid.T, japan map[string]holiday) (*model, time.Time) {
	m := &model{closed: map[int]bool{}, working: map[int]*[1440]bool{}}
	m.config.Zone = rapid.SampledFrom(zones).Draw(t, "zone")
	m.zone, _ = time.LoadLocation(m.config.Zone)
	start := time.Date(rapid.SampledFrom(years).Draw(t, "year"), 1, 1, 0, 0, 0, 0, time.UTC).Add(drawUpTo(t, "start", 330))
	if _, change := start.In(m.zone).ZoneBounds(); !change.IsZero() && change.Year() < 2036 && rapid.Bool().Draw(t, "near a change") {
		start = change.Add(-drawUpTo(t, "before", 3)).UTC()
	}

	m.config.Hours = map[string]string{}
	for i, day := range []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} {
		if day == "wed" || rapid.IntRange(0, 4).Draw(t, day) > 0 {
			m.config.Hours[day], m.weekly[i] = drawHours(t, day+" hours")
		}
	}
	if rapid.Bool().Draw(t, "jp") {
		m.config.National = "jp"
		for _, h := range japan {
			m.closed[number(h.date)] = true
		}
	}
	near := func(label string) time.Time {
		return start.AddDate(0, 0, rapid.IntRange(-20, 20).Draw(t, label))
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "holidays") {
		first := near("holiday")
		last := first.AddDate(0, 0, rapid.IntRange(0, 3).Draw(t, "length"))
		layout, modulus := "2006-01-02", 1_0000_00_00
		if rapid.Bool().Draw(t, "yearly") {
			layout, modulus = "01-02", 1_00_00
		}
		text := first.Format(layout) + ".." + last.Format(layout)
		if i == 0 {
			m.config.Holidays = append(m.config.Holidays, text)
		} else {
			m.config.CompanyHolidays = append(m.config.CompanyHolidays, text)
		}
		for ; !first.After(last); first = first.AddDate(0, 0, 1) {
			m.closed[number(first)%modulus] = true
		}
	}
	m.config.WorkingDays = map[string]string{}
	for range rapid.IntRange(0, 2).Draw(t, "working days") {
		day := near("working day")
		hours, open := drawHours(t, "working hours")
		m.config.WorkingDays[day.Format("2006-01-02")], m.working[number(day)] = hours, &open
	}
	c, err := bizclock.New(m.config)
	if err != nil {
		t.Fatal(err)
	}
	m.calendar = c
	return m, start
}

func TestAgainstMinutes(t *testing.T) {
	japan := official(t)
	rapid.Check(t, func(t *rapid.T) {
		m, start := drawModel(t, japan)
		c := m.calendar
		to := start.Add(drawUpTo(t, "for", 14))
		total := m.elapsed(start, to)
		if got := c.Elapsed(start, to); got != total {
			t.Fatalf("elapsed %s, minute by minute %s", got, total)
		}
		if got := c.Elapsed(to, start); got != -total {
			t.Fatalf("elapsed %s when reversed, minute by minute %s", got, total)
		}
		if got := c.IsOpen(start); got != m.open(start) {
			t.Fatalf("open is %t at %s", got, start.In(m.zone))
		}
		for first := range m.minutes(start, to) {
			if got := c.NextOpen(start); !got.Equal(first) {
				t.Fatalf("next opening %s, minute by minute %s", got, first)
			}
			break
		}
		if total == 0 {
			return
		}
		d := min(total, max(1, total/100*time.Duration(rapid.IntRange(0, 100).Draw(t, "percent"))+drawUpTo(t, "d", 1)))
		want, left := time.Time{}, d
		for first, last := range m.minutes(start, to) {
			if length := last.Sub(first); left > length {
				left -= length
				continue
			}
			want = first.Add(left)
			break
		}
		if got := c.Add(start, d); !got.Equal(want) {
			t.Fatalf("add %s to %s: %s, minute by minute %s", d, start.In(m.zone), got, want)
		}
		// The same from the other end: the latest instant from which d passes until to.
		want, left = time.Time{}, total-d
		for first, last := range m.minutes(start, to) {
			if length := last.Sub(first); left >= length {
				left -= length
				continue
			}
			want = first.Add(left)
			break
		}
		if got := c.Add(to, -d); !got.Equal(want) {
			t.Fatalf("take %s from %s: %s, minute by minute %s", d, to.In(m.zone), got, want)
		}
	})
}

func TestDaysAgainstMinutes(t *testing.T) {
	japan := official(t)
	rapid.Check(t, func(t *rapid.T) {
		m, middle := drawModel(t, japan)
		// The last closing of each date on which a minute is open, by its number.
		const around = 8 * 24 * time.Hour
		date := func(i time.Time) int { return number(i.In(m.zone)) }
		closing := map[int]time.Time{}
		for first, last := range m.minutes(middle.Add(-around).Truncate(time.Minute), middle.Add(around).Truncate(time.Minute)) {
			closing[date(first)] = last
		}
		// The first and the last of the dates may have been cut.
		delete(closing, date(middle.Add(-around)))
		delete(closing, date(middle.Add(around)))
		var before, after []time.Time
		current := time.Time{}
		for day, end := range closing {
			switch {
			case day < date(middle):
				before = append(before, end)
			case day > date(middle):
				after = append(after, end)
			case end.After(middle):
				current = end
			}
		}
		slices.SortFunc(before, func(a, b time.Time) int { return b.Compare(a) })
		slices.SortFunc(after, time.Time.Compare)
		check := func(n int, want time.Time) {
			if got := m.calendar.AddDays(middle, n); !got.Equal(want) {
				t.Fatalf("%d days from %s: %s, minute by minute %s", n, middle.In(m.zone), got, want)
			}
		}
		for i, want := range before {
			check(-i-1, want)
		}
		for i, want := range after {
			check(i+1, want)
		}
		if !current.IsZero() {
			check(0, current)
		} else if len(after) > 0 {
			check(0, after[0])
		}
	})
}

func TestLaws(t *testing.T) {
	japan := official(t)
	rapid.Check(t, func(t *rapid.T) {
		m, a := drawModel(t, japan)
		c := m.calendar
		instant := func(label string) time.Time {
			return a.AddDate(-1, 0, 0).Add(drawUpTo(t, label, 800))
		}
		length := func(label string) time.Duration {
			return drawUpTo(t, label, 21)
		}
		b, z := instant("b"), instant("z")
		if c.Elapsed(a, b)+c.Elapsed(b, z) != c.Elapsed(a, z) {
			t.Fatal("elapsed is not additive")
		}
		d, e := length("d"), length("e")
		for _, sign := range []time.Duration{1, -1} {
			d, e := sign*d, sign*e
			end := c.Add(a, d)
			if got := c.Elapsed(a, end); got != d {
				t.Fatalf("%s elapsed after %s was added", got, d)
			}
			if got := c.Add(end, e); !got.Equal(c.Add(a, d+e)) {
				t.Fatal("add is not additive")
			}
			if end.Before(a) != (d < 0) && d != 0 {
				t.Fatal("add goes the wrong way")
			}
			if d != 0 && c.Elapsed(a, end.Add(-sign)) == d {
				t.Fatal("add does not take the nearest instant")
			}
			if first, second := c.Add(a, d), c.Add(b, d); first.After(second) != a.After(b) && !first.Equal(second) {
				t.Fatal("add is not monotone in its start")
			}
			if (sign > 0) != !c.Add(a, d+e).Before(end) && e != 0 {
				t.Fatal("add is not monotone in its duration")
			}
		}
		next := c.NextOpen(a)
		if !c.IsOpen(next) || next.Before(a) || c.Elapsed(a, next) != 0 {
			t.Fatalf("next opening after %s: %s", a, next)
		}
		n := rapid.IntRange(-20, 20).Draw(t, "n")
		end := c.AddDays(a, n)
		if !c.IsOpen(end.Add(-1)) || end.After(c.AddDays(a, n+1)) {
			t.Fatalf("%d days from %s: %s", n, a, end)
		}
	})
}

func TestPausesShiftWhatIsLeft(t *testing.T) {
	japan := official(t)
	rapid.Check(t, func(t *rapid.T) {
		m, start := drawModel(t, japan)
		c := m.calendar
		limit := max(1, drawUpTo(t, "limit", 2))
		var pauses []bizclock.Pause
		// A clock that is told of its pauses one by one must come to what one that is told of all of them says.
		due, paused := c.Add(start, limit), time.Duration(0)
		for now := start; len(pauses) < rapid.IntRange(0, 4).Draw(t, "more"); {
			step := func(label string) time.Time {
				now = now.Add(drawUpTo(t, label, 3))
				return now
			}
			p := bizclock.Pause{From: step("runs"), To: step("rests")}
			if due.After(p.From) {
				paused += c.Elapsed(p.From, p.To)
			}
			due = c.Resume(due, p.From, p.To)
			pauses = append(pauses, p)
		}
		got, running := c.Due(start, limit, pauses...)
		if !running || !got.Equal(due) {
			t.Fatalf("due %s (running %t), step by step %s", got, running, due)
		}
		if !got.Equal(c.Add(start, limit+paused)) && c.Elapsed(got, c.Add(start, limit+paused)) != 0 {
			t.Fatalf("due %s, expected after %s and %s of pauses: %s", got, limit, paused, c.Add(start, limit+paused))
		}
		if left := c.Remaining(start, limit, got, pauses...); left != 0 {
			t.Fatalf("%s left when due", left)
		}
	})
}
