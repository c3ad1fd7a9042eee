package testkit

import (
	"sync"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
)

// Clock is a clock.Clock that moves by hand only. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

var _ clock.Clock = (*Clock)(nil)

// NewClock starts at the given time, or at Monday 2026-04-06 00:00 UTC (09:00 in Tokyo) when it is zero.
func NewClock(start time.Time) *Clock {
	if start.IsZero() {
		start = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	}
	return &Clock{now: start.UTC()}
}

// Now is the clock's time in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d and returns the new time.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// Set moves the clock to t, which may lie in the past.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t.UTC()
}
