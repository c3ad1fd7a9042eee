package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Options name the program in traces and metrics. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
type Options struct {
	Service, Version string
}

var enabled atomic.Bool

// Enabled reports whether Setup switched OpenTelemetry on. Instrumentation that costs something asks it first.
func Enabled() bool { return enabled.Load() }

// Setup switches traces and metrics on as the OTEL_ variables say, and returns what ends them: it sends what is still
// held. Without OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER or an OTLP endpoint it does nothing.
func Setup(ctx context.Context, o Options) (shutdown func(context.Context) error, err error) {
	traces, metrics := wanted("TRACES"), wanted("METRICS")
	if !traces && !metrics {
		return func(context.Context) error { return nil }, nil
	}
	var stops []func(context.Context) error
	end := func(ctx context.Context) error {
		enabled.Store(false)
		var errs error
		for _, stop := range stops {
			errs = errors.Join(errs, stop(ctx))
		}
		return errs
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("telemetry: %w", errors.Join(err, end(ctx)))
		}
	}()
	res, err := describe(ctx, o)
	if err != nil {
		return nil, err
	}
	if traces {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return nil, err
		}
		p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))
		stops = append(stops, p.Shutdown)
		otel.SetTracerProvider(p)
	}
	if metrics {
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return nil, err
		}
		p := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(res), sdkmetric.WithView(views()...))
		stops = append(stops, p.Shutdown)
		otel.SetMeterProvider(p)
	}
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	enabled.Store(true)
	return end, nil
}

// views keep from the metrics of HTTP what callers can make up, the name of the host, and the sizes of bodies, which nobody
// looks at.
func views() []sdkmetric.View {
	drop := sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}
	return []sdkmetric.View{
		sdkmetric.NewView(sdkmetric.Instrument{Name: "http.server.request.body.size"}, drop),
		sdkmetric.NewView(sdkmetric.Instrument{Name: "http.server.response.body.size"}, drop),
		sdkmetric.NewView(sdkmetric.Instrument{Name: "http.server.request.duration"},
			sdkmetric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("server.address", "server.port")}),
	}
}

// describe lets what the environment says win over what the program says of itself.
func describe(ctx context.Context, o Options) (*resource.Resource, error) {
	return resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.namespace", "tasuki"), attribute.String("service.name", o.Service),
		attribute.String("service.version", o.Version)), resource.WithFromEnv())
}

// wanted tells whether the environment asks for a signal. autoexport alone would take a silent environment for OTLP.
func wanted(signal string) bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	switch exporter := os.Getenv("OTEL_" + signal + "_EXPORTER"); exporter {
	case "":
		return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" ||
			os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
	default:
		return exporter != "none"
	}
}
