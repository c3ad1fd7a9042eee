package event

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
)

var tracer = otel.Tracer("github.com/tasuki-project/tasuki/services/internal/platform/event")

// startSpan begins a trace of its own that is linked to the one in which the event was written.
func startSpan(ctx context.Context, subscription string, ev *feedv1.Event) (context.Context, trace.Span) {
	opts := []trace.SpanStartOption{
		trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("event.type", ev.GetType()), attribute.String("event.subscription", subscription)),
	}
	if ev.GetTraceparent() != "" {
		origin := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": ev.GetTraceparent()})
		opts = append(opts, trace.WithLinks(trace.LinkFromContext(origin)))
	}
	return tracer.Start(ctx, "event "+ev.GetType(), opts...)
}
