package clock

import "time"

// Clock tells the time. Code that decides by time takes a Clock; tests pass testkit.Clock.
type Clock interface {
	// Now is the present instant in UTC.
	Now() time.Time
}

// System is the clock of the machine, in UTC with microsecond precision, which is what the stores keep:
// a time that was written and read back equals the one in memory.
type System struct{}

// Now returns the present instant in UTC, cut to microseconds.
func (System) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
