package handoff

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

var (
	transitionsMade = telemetry.Counter("tasuki.handoff.transitions", "{handoff}",
		"Handoffs that came into a state, by the side of the ledger, kind and state.")
	breachesMade = telemetry.Counter("tasuki.handoff.breaches", "{breach}",
		"Clocks of handoffs that ran out (SLA breaches), at the receiver, by kind, clock and the step that was taken.")
)

// countTransition counts a change of state once it is committed.
func (r *entry) countTransition(ctx context.Context, tx store.Tx) {
	who := r.h.GetFrom()
	if r.side == In {
		who = r.h.GetTo()
	}
	labels := metric.WithAttributes(attribute.String("department", who), attribute.String("side", string(r.side)),
		attribute.String("kind", kindName(r.h.GetKind())), attribute.String("state", string(r.state())))
	tx.AfterCommit(func() { transitionsMade.Add(ctx, 1, labels) })
}

func (e *Engine) countBreach(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, clock clockName, step string) {
	labels := e.breachLabels(h.GetKind(), clock, step)
	tx.AfterCommit(func() { breachesMade.Add(ctx, 1, labels) })
}

func (e *Engine) breachLabels(kind handoffv1.Kind, clock clockName, step string) metric.MeasurementOption {
	if step == noted {
		step = "NOTED"
	}
	return metric.WithAttributes(attribute.String("department", string(e.cfg.Department)), attribute.String("kind", kindName(kind)),
		attribute.String("clock", string(clock)), attribute.String("step", step))
}

// openStates are those in which somebody has to do something, at one side or the other.
var openStates = []State{Offered, Accepted, Returned, Expired}

// ages are the classes by which open handoffs are counted, with their upper bounds.
var ages = []struct {
	name string
	upTo time.Duration
}{{"1h", time.Hour}, {"1d", 24 * time.Hour}, {"7d", 7 * 24 * time.Hour}, {"30d", 30 * 24 * time.Hour}, {"older", 0}}

type openRow struct {
	Side, Kind, State, Age string
	Number, Undelivered    int64
}

type openKey struct{ side, kind, state, age string }

// Measure reports the open handoffs of both sides until end is called. Every replica reports all of the department.
func (e *Engine) Measure(ctx context.Context) (end func()) {
	open := telemetry.NewGauge("tasuki.handoff.open", "{handoff}",
		"Handoffs that wait for somebody, by the side of the ledger, kind, state, and time since the offer (up to 1h, 1d, 7d, 30d, older).")
	undelivered := telemetry.NewGauge("tasuki.handoff.undelivered", "{handoff}", "Offers that the receiver does not have yet, at the sender, by kind.")
	oldest := telemetry.NewGauge("tasuki.handoff.undelivered.age", "s", "Age of the oldest offer that the receiver does not have yet, at the sender, by kind.")
	e.countFromZero(ctx)
	return telemetry.Observe(func(ctx context.Context, record telemetry.Record) error {
		now := e.cfg.Clock.Now()
		rows, first, err := e.openHandoffs(ctx, now)
		if err != nil {
			return err
		}
		number, waiting := map[openKey]int64{}, map[string]int64{}
		for _, r := range rows {
			number[openKey{r.Side, r.Kind, r.State, r.Age}] = r.Number
			waiting[r.Kind] += r.Undelivered
		}
		department := attribute.String("department", string(e.cfg.Department))
		for kind, cfg := range e.kinds {
			side, name := In, attribute.String("kind", kindName(kind))
			if cfg.From == e.cfg.Department {
				side = Out
				record(undelivered, waiting[kindName(kind)], department, name)
				age := time.Duration(0)
				if at, ok := first[kindName(kind)]; ok {
					age = max(0, now.Sub(at))
				}
				record(oldest, int64(age.Seconds()), department, name)
			}
			for _, state := range openStates {
				for _, age := range ages {
					record(open, number[openKey{string(side), kindName(kind), string(state), age.name}], department, name,
						attribute.String("side", string(side)), attribute.String("state", string(state)), attribute.String("age", age.name))
				}
			}
		}
		return nil
	}, open, undelivered, oldest)
}

// openHandoffs counts by an index on side, state and time of the offer; first is the oldest undelivered offer by kind.
func (e *Engine) openHandoffs(ctx context.Context, now time.Time) (rows []openRow, first map[string]time.Time, err error) {
	type oldest struct {
		Kind      string
		OfferedAt time.Time
	}
	first = map[string]time.Time{}
	rows, err = store.Read(ctx, e.cfg.DB, func(tx store.Tx) ([]openRow, error) {
		rows, err := store.Select[openRow](ctx, tx, `SELECT side, kind, state,
				CASE WHEN offered_at > $1 THEN '1h' WHEN offered_at > $2 THEN '1d' WHEN offered_at > $3 THEN '7d'
					WHEN offered_at > $4 THEN '30d' ELSE 'older' END AS age,
				count(*) AS number, sum(CASE WHEN `+undeliveredSQL+` THEN 1 ELSE 0 END) AS undelivered
			FROM handoffs WHERE side IN ('OUT', 'IN') AND state IN ('OFFERED', 'ACCEPTED', 'RETURNED', 'EXPIRED')
			GROUP BY 1, 2, 3, 4`, now.Add(-ages[0].upTo), now.Add(-ages[1].upTo), now.Add(-ages[2].upTo), now.Add(-ages[3].upTo))
		if err != nil || !slices.ContainsFunc(rows, func(r openRow) bool { return r.Undelivered > 0 }) {
			return rows, err
		}
		for kind := range e.kinds {
			found, err := store.Select[oldest](ctx, tx, `SELECT kind, offered_at FROM handoffs
				WHERE side = 'OUT' AND state = 'OFFERED' AND kind = $1 AND `+undeliveredSQL+` ORDER BY offered_at LIMIT 1`, kindName(kind))
			if err != nil {
				return nil, err
			}
			for _, o := range found {
				first[o.Kind] = o.OfferedAt
			}
		}
		return rows, nil
	})
	return rows, first, err
}

// undeliveredSQL is the condition of undelivered.
const undeliveredSQL = `side = 'OUT' AND state = 'OFFERED' AND delivery = 'PENDING'`

// countFromZero makes the counters of what has not happened yet visible: a rate needs a beginning.
func (e *Engine) countFromZero(ctx context.Context) {
	for kind, cfg := range e.kinds {
		side := In
		if cfg.From == e.cfg.Department {
			side = Out
		}
		for _, state := range []State{Offered, Accepted, Rejected, Returned, Recalled, Expired, Fulfilled} {
			transitionsMade.Add(ctx, 0, metric.WithAttributes(attribute.String("department", string(e.cfg.Department)),
				attribute.String("side", string(side)), attribute.String("kind", kindName(kind)), attribute.String("state", string(state))))
		}
		if side == In {
			for _, clock := range []clockName{acceptClock, firstActionClock, pickUpClock} {
				for _, step := range []string{noted, reassign, escalate, expire} {
					breachesMade.Add(ctx, 0, e.breachLabels(kind, clock, step))
				}
			}
		}
	}
}
