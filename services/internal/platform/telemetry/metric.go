package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Metric names start with `tasuki.`, units are UCUM (`s`, `By`, `{handoff}`), and help is a sentence. A name that
// OpenTelemetry refuses is a mistake in the program, so the functions here panic on it. Declare metrics as package
// variables: they are inert until Setup runs.

const scope = "github.com/tasuki-project/tasuki"

// Counter counts things that happen.
func Counter(name, unit, help string) metric.Int64Counter {
	return must(otel.Meter(scope).Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(help)))
}

// Histogram measures how values spread, for instance seconds; bounds are the upper bounds of its buckets.
func Histogram(name, unit, help string, bounds ...float64) metric.Float64Histogram {
	return must(otel.Meter(scope).Float64Histogram(name, metric.WithUnit(unit), metric.WithDescription(help),
		metric.WithExplicitBucketBoundaries(bounds...)))
}

// Observed is a value that is looked up whenever metrics are collected, see Observe.
type Observed struct{ metric.Int64Observable }

// NewGauge is a value that goes up and down.
func NewGauge(name, unit, help string) Observed {
	return Observed{must(otel.Meter(scope).Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(help)))}
}

// NewTotal is a value that only grows while the program runs.
func NewTotal(name, unit, help string) Observed {
	return Observed{must(otel.Meter(scope).Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(help)))}
}

// Observe calls look whenever metrics are collected: it records each of the values once per combination of attributes. The
// returned function ends the look-ups: call it before what look reads from is closed. Without telemetry look is never called.
func Observe(look func(ctx context.Context, record Record) error, values ...Observed) (end func()) {
	instruments := make([]metric.Observable, len(values))
	for i, v := range values {
		instruments[i] = v.Int64Observable
	}
	reg := must(otel.Meter(scope).RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		return look(ctx, func(of Observed, v int64, attrs ...attribute.KeyValue) {
			o.ObserveInt64(of.Int64Observable, v, metric.WithAttributes(attrs...))
		})
	}, instruments...))
	return func() { _ = reg.Unregister() } // fails only for a registration of another meter
}

// Record reports one value.
type Record func(of Observed, v int64, attrs ...attribute.KeyValue)

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("telemetry: %v", err))
	}
	return v
}
