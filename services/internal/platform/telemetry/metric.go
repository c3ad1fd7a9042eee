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

// Gauge reports values that are looked up whenever metrics are collected: observe calls record once per combination of
// attributes. The returned function ends the look-ups: call it before what observe reads from is closed. Without
// telemetry observe is never called.
func Gauge(name, unit, help string, observe func(ctx context.Context, record Record) error) (end func()) {
	meter := otel.Meter(scope)
	gauge := must(meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(help)))
	reg := must(meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		return observe(ctx, func(v int64, attrs ...attribute.KeyValue) {
			o.ObserveInt64(gauge, v, metric.WithAttributes(attrs...))
		})
	}, gauge))
	return func() { _ = reg.Unregister() } // fails only for a registration of another meter
}

// Record reports one value of a gauge.
type Record func(v int64, attrs ...attribute.KeyValue)

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("telemetry: %v", err))
	}
	return v
}
