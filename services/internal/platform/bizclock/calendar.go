package bizclock

import (
	"iter"
	"math"
	"slices"
	"time"
	// The zones must be known on machines and in images that have no zone files. The copy inside the binary is used where
	// the machine has none.
	_ "time/tzdata"
)

// Begin and End bound all calendars: before Begin and from End on none is open.
var (
	Begin = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	End   = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
)

const (
	secondsPerDay = 24 * 60 * 60
	// window is how far the way back looks at a time. Any length is right; this one keeps few stretches in memory.
	window = 28 * secondsPerDay
)

var begin, end = Begin.Unix(), End.Unix()

// Calendar says when an office is open. Make one with New or Default; the zero Calendar is not usable.
type Calendar struct {
	zone     *time.Location
	weekly   [7][]interval        // by time.Weekday
	national map[int64]struct{}   // closed days of the national set
	closed   map[int64]struct{}   // other closed days
	yearly   [13][32]bool         // closed in every year, by month and day
	special  map[int64][]interval // days with hours of their own: they win over everything else
}

// interval is a part of a day by the clock on the wall, in seconds since midnight: from inclusive, to exclusive.
type interval struct{ from, to int64 }

// stretch is a part of real time without a closed second in it, in Unix seconds: from inclusive, to exclusive. Day is its
// local date as days since 1970-01-01. Neighbours may touch.
type stretch struct{ day, from, to int64 }

// hours are the working hours of a local date, ascending and disjoint.
func (c *Calendar) hours(day int64) []interval {
	if h, ok := c.special[day]; ok {
		return h
	}
	h := c.weekly[((day+4)%7+7)%7] // 1970-01-01 was a Thursday.
	if len(h) == 0 {
		return nil
	}
	if _, ok := c.national[day]; ok {
		return nil
	}
	if _, ok := c.closed[day]; ok {
		return nil
	}
	if _, month, d := time.Unix(day*secondsPerDay, 0).UTC().Date(); c.yearly[month][d] {
		return nil
	}
	return h
}

// local is a Unix second in the calendar's zone: its date, and the second of that date that the wall clock shows.
func (c *Calendar) local(second int64) (day, shown int64) {
	_, offset := time.Unix(second, 0).In(c.zone).Zone()
	day = floorDiv(second+int64(offset), secondsPerDay)
	return day, second + int64(offset) - day*secondsPerDay
}

// open says whether the office is open in a Unix second. Hours and zones change at whole seconds only.
func (c *Calendar) open(second int64) bool {
	if second < begin || second >= end {
		return false
	}
	day, shown := c.local(second)
	for _, h := range c.hours(day) {
		if h.from <= shown && shown < h.to {
			return true
		}
	}
	return false
}

// between yields the open stretches within [from, to), ascending. It walks from one change of the zone's offset to the
// next, so that within each part wall clock and real time run in step.
func (c *Calendar) between(from, to int64) iter.Seq[stretch] {
	return func(yield func(stretch) bool) {
		to := min(to, end)
		for at := max(from, begin); at < to; {
			local := time.Unix(at, 0).In(c.zone)
			_, seconds := local.Zone()
			offset, until := int64(seconds), to
			if _, change := local.ZoneBounds(); !change.IsZero() {
				until = min(until, change.Unix())
			}
			for day := floorDiv(at+offset, secondsPerDay); day*secondsPerDay-offset < until; day++ {
				midnight := day*secondsPerDay - offset
				for _, h := range c.hours(day) {
					s := stretch{day, max(midnight+h.from, at), min(midnight+h.to, until)}
					if s.from < s.to && !yield(s) {
						return
					}
				}
			}
			at = until
		}
	}
}

// before yields the open stretches that end at or before a Unix second, descending.
func (c *Calendar) before(to int64) iter.Seq[stretch] {
	return func(yield func(stretch) bool) {
		var found []stretch
		for to := min(to, end); to > begin; to -= window {
			found = slices.AppendSeq(found[:0], c.between(to-window, to))
			for _, s := range slices.Backward(found) {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// IsOpen says whether the office is open at an instant.
func (c *Calendar) IsOpen(t time.Time) bool { return c.open(t.Unix()) }

// NextOpen is t itself when the office is open then, otherwise the next opening. It is End when there is none before End.
func (c *Calendar) NextOpen(t time.Time) time.Time {
	if c.IsOpen(t) {
		return utc(t)
	}
	for s := range c.between(t.Unix(), end) {
		return time.Unix(s.from, 0).UTC()
	}
	return later(utc(t), End)
}

// Add is the instant at which d of business time has passed since start; a start outside the hours counts from the next
// opening. Of several such instants it is the earliest: a d that is used up when the office closes ends then. A negative d
// counts back, to the latest instant from which d passes until start. Zero is start itself. The result is End (or start,
// if that is later) when d is not used up before End, and likewise Begin.
func (c *Calendar) Add(start time.Time, d time.Duration) time.Time {
	if d < 0 {
		return c.subtract(start, -uint64(d))
	}
	start = utc(start)
	if d == 0 {
		return start
	}
	second, left := start.Unix(), uint64(d)
	if c.open(second) {
		left += uint64(start.Nanosecond())
	}
	for s := range c.between(second, end) {
		length := nanoseconds(s)
		if left <= length {
			return time.Unix(s.from, int64(left)).UTC()
		}
		left -= length
	}
	return later(start, End)
}

func (c *Calendar) subtract(start time.Time, left uint64) time.Time {
	start = utc(start)
	second := start.Unix()
	if passed := start.Nanosecond(); passed > 0 {
		if c.open(second) {
			left += uint64(int(time.Second) - passed)
		}
		second++
	}
	for s := range c.before(second) {
		length := nanoseconds(s)
		if left <= length {
			return time.Unix(s.to, -int64(left)).UTC()
		}
		left -= length
	}
	if start.Before(Begin) {
		return start
	}
	return Begin
}

// Elapsed is the business time between two instants, negative when to is before from. What does not fit into
// a Duration becomes the largest one, negated for the way back.
func (c *Calendar) Elapsed(from, to time.Time) time.Duration {
	if to.Before(from) {
		return -c.Elapsed(to, from)
	}
	first, last := from.Unix(), to.Unix()
	var seconds int64
	for s := range c.between(first, last) {
		seconds += s.to - s.from
	}
	if seconds >= math.MaxInt64/int64(time.Second) {
		return math.MaxInt64
	}
	d := time.Duration(seconds) * time.Second
	if c.open(first) {
		d -= time.Duration(from.Nanosecond())
	}
	if c.open(last) {
		d += time.Duration(to.Nanosecond())
	}
	return d
}

// AddDays is the end of a business day: the last closing of a date on which the office opens. The date of start does not
// count, whatever the time: for n > 0 it is the n-th business day after that date, for n < 0 the n-th before it. For n == 0
// it is the day in progress or, when the office does not open again on that date, the next business day. The result is End
// or Begin when there are not enough days.
func (c *Calendar) AddDays(start time.Time, n int) time.Time {
	second := start.Unix()
	date, _ := c.local(second)
	if n < 0 {
		for s := range c.before(second) {
			// Where the wall clock goes back over midnight, a date may come twice: count it once.
			if s.day < date {
				date = s.day
				if n++; n == 0 {
					return c.closing(s)
				}
			}
		}
		return Begin
	}
	for s := range c.between(second, end) {
		if n == 0 {
			return c.closing(s)
		}
		if s.day > date {
			date = s.day
			if n--; n == 0 {
				return c.closing(s)
			}
		}
	}
	return End
}

// closing is the last closing of the date of s. No date lasts three days.
func (c *Calendar) closing(s stretch) time.Time {
	last := s.to
	for next := range c.between(s.from, s.from+3*secondsPerDay) {
		if next.day == s.day {
			last = next.to
		}
	}
	return time.Unix(last, 0).UTC()
}

func nanoseconds(s stretch) uint64 { return uint64(s.to-s.from) * uint64(time.Second) }

// utc is the same instant in UTC, without a monotonic reading.
func utc(t time.Time) time.Time { return t.Round(0).UTC() }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
