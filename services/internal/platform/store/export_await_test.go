package store

import (
	"context"
	"time"
)

// AwaitBy is what Await does with its attempts, by a clock and pauses of the test's own.
func AwaitBy(ctx context.Context, w Waiting, now func() time.Time, pause func(context.Context, time.Duration) error, attempt func(context.Context) error) error {
	return waiting{Waiting: w, now: now, pause: pause}.run(ctx, attempt)
}
