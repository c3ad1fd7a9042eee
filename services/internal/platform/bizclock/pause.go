package bizclock

import "time"

// Pause is a time in which a clock stood still, from From inclusive to To exclusive. A zero To: it stands still to this day.
type Pause struct{ From, To time.Time }

// Due is when a clock that started at start has run for limit of business time, not counting its pauses. The pauses are
// ascending; only the last may be open. running is false when the clock stands still before it is due: then there is no
// due time. A clock that was due before a pause stays due when it was. The limit is positive.
func (c *Calendar) Due(start time.Time, limit time.Duration, pauses ...Pause) (due time.Time, running bool) {
	for _, p := range pauses {
		if !p.To.IsZero() && !p.To.After(start) {
			continue
		}
		if p.From.After(start) {
			if due := c.Add(start, limit); !due.After(p.From) {
				return due, true
			}
			limit -= c.Elapsed(start, p.From)
		}
		if p.To.IsZero() {
			return time.Time{}, false
		}
		start = p.To
	}
	return c.Add(start, limit), true
}

// Remaining is how much of limit is left at now on a clock that started at start, not counting its pauses (as in Due).
// Negative: overdue for that much business time.
func (c *Calendar) Remaining(start time.Time, limit time.Duration, now time.Time, pauses ...Pause) time.Duration {
	for _, p := range pauses {
		if !p.To.IsZero() && !p.To.After(start) {
			continue
		}
		if !p.From.Before(now) {
			break
		}
		if p.From.After(start) {
			limit -= c.Elapsed(start, p.From)
		}
		if p.To.IsZero() || p.To.After(now) {
			return limit
		}
		start = p.To
	}
	if !now.After(start) {
		return limit
	}
	return limit - c.Elapsed(start, now)
}

// Resume is the new due time of a clock that was due at due and stood still from paused to resumed: what was left at
// paused is left at resumed. A due time that had already passed stays, and none becomes earlier.
func (c *Calendar) Resume(due, paused, resumed time.Time) time.Time {
	due = utc(due)
	if !due.After(paused) || !resumed.After(paused) {
		return due
	}
	return later(due, c.Add(resumed, c.Elapsed(paused, due)))
}
