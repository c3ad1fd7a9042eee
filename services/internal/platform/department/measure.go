package department

import (
	"context"

	"go.opentelemetry.io/otel/attribute"

	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

// measures reports what every department reports, from after the start until before the store closes.
func (s *Service) measures() lifecycle.Part {
	var ends []func()
	return lifecycle.Part{
		Name: string(s.def.Name) + " measures",
		Start: func(ctx context.Context) error {
			name := string(s.def.Name)
			ends = append(ends, measureStore(name, s.base.DB), s.base.Events.Measure(name), s.subscriber.Measure(name),
				s.base.Jobs.Measure(ctx), s.base.Handoffs.Measure(ctx))
			return nil
		},
		Stop: func(context.Context) error {
			for _, end := range ends {
				end()
			}
			return nil
		},
	}
}

// measureStore reports how busy the connections to the database are.
func measureStore(department string, db *store.DB) (end func()) {
	used := telemetry.NewGauge("tasuki.store.connections", "{connection}", "Connections to the database, by pool and state (used, idle).")
	most := telemetry.NewGauge("tasuki.store.connections.max", "{connection}", "How many connections to the database there may be, by pool.")
	waits := telemetry.NewTotal("tasuki.store.connection.waits", "{wait}", "How often since the start somebody had to wait for a connection, by pool.")
	return telemetry.Observe(func(_ context.Context, record telemetry.Record) error {
		for _, p := range db.Pools() {
			own := []attribute.KeyValue{attribute.String("department", department), attribute.String("pool", p.Name)}
			record(used, p.InUse, append(own[:2:2], attribute.String("state", "used"))...)
			record(used, p.Idle, append(own[:2:2], attribute.String("state", "idle"))...)
			record(most, p.Max, own...)
			record(waits, p.Waits, own...)
		}
		return nil
	}, used, most, waits)
}
