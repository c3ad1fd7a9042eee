package event

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

// behind is how far a subscription is: since when the oldest event that it has not handled waits, as far as this replica
// knows. Without a connection to the source that is since when nothing was heard of it.
type behind struct {
	mu   sync.Mutex
	held bool
	from time.Time // zero: nothing waits
}

func (b *behind) set(held bool, from time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held, b.from = held, from
}

// since: the event of this time is not handled yet.
func (b *behind) since(at time.Time) { b.set(true, at) }

func (b *behind) caughtUp() { b.set(true, time.Time{}) }

// notOurs: another replica has the subscription, and knows.
func (b *behind) notOurs() { b.set(false, time.Time{}) }

// atLeastSince keeps an earlier time.
func (b *behind) atLeastSince(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.from.IsZero() || at.Before(b.from) {
		b.from = at
	}
}

// lag is how long something has waited; false when another replica knows.
func (b *behind) lag(now time.Time) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.from.IsZero() {
		return 0, b.held
	}
	return max(0, now.Sub(b.from)), b.held
}

// Measure reports lag and parked events of the subscriptions of a department until end is called. The lag comes from the
// replica that holds the subscription, what is parked from every replica.
func (s *Subscriber) Measure(department string) (end func()) {
	lag := telemetry.NewGauge("tasuki.feed.lag", "s",
		"Age of the oldest event that a subscription has not handled; without a connection to the source, since when it is lost. 0 when all is handled.")
	subjects := telemetry.NewGauge("tasuki.feed.parked.subjects", "{subject}", "Subjects with events that failed for good and wait for a replay, by subscription.")
	events := telemetry.NewGauge("tasuki.feed.parked.events", "{event}", "Events that are parked, by subscription.")
	return telemetry.Observe(func(ctx context.Context, record telemetry.Record) error {
		type row struct {
			Subscription     string
			Subjects, Events int64
		}
		rows, err := store.Read(ctx, s.db, func(tx store.Tx) ([]row, error) {
			return store.Select[row](ctx, tx, `SELECT subscription, count(DISTINCT subject) AS subjects, count(*) AS events
				FROM parked_events GROUP BY subscription`)
		})
		if err != nil {
			return err
		}
		parked := map[string]row{}
		for _, r := range rows {
			parked[r.Subscription] = r
		}
		for _, sub := range s.list() {
			own := []attribute.KeyValue{
				attribute.String("department", department), attribute.String("subscription", sub.Name), attribute.String("source", sub.Source),
			}
			if d, held := sub.behind.lag(s.clock.Now()); held {
				record(lag, int64(d.Seconds()), own...)
			}
			record(subjects, parked[sub.Name].Subjects, own...)
			record(events, parked[sub.Name].Events, own...)
		}
		return nil
	}, lag, subjects, events)
}

// Measure reports for how long the feed of a department is held back until end is called.
func (l *Log) Measure(department string) (end func()) {
	held := telemetry.NewGauge("tasuki.feed.held_back", "s",
		"Age of the oldest event that is committed and not shown yet, because a transaction that began before it is still running (PostgreSQL).")
	return telemetry.Observe(func(ctx context.Context, record telemetry.Record) error {
		age := time.Duration(0)
		if l.db.Engine() == store.Postgres {
			oldest, err := store.Read(ctx, l.db, func(tx store.Tx) (at *time.Time, err error) {
				err = tx.QueryRow(ctx, `SELECT (SELECT at FROM events WHERE xid >= `+horizonSQL+`
					ORDER BY xid, seq LIMIT 1)`).Scan(&at)
				return at, err
			})
			if err != nil {
				return err
			}
			if oldest != nil {
				age = max(0, l.clock.Now().Sub(*oldest))
			}
		}
		record(held, int64(age.Seconds()), attribute.String("department", department))
		return nil
	}, held)
}
