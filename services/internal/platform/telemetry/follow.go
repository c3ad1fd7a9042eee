package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// longGap is from when on work that was left for later is a trace of its own: a trace that takes days shows nothing.
const longGap = 5 * time.Minute

// Traceparent is the span of the context in the form in which it is stored beside work that is done later; empty without one.
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

// Origin is the span that a stored traceparent names; invalid when it names none.
func Origin(ctx context.Context, traceparent string) trace.SpanContext {
	if traceparent == "" {
		return trace.SpanContext{}
	}
	ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent}))
}

// Resume starts the span of work that was left at a time by a span with the traceparent. It continues that trace when it
// begins soon, and is a trace of its own that is linked to it otherwise. The span of ctx has no part in it.
func Resume(ctx context.Context, tracer trace.Tracer, name, traceparent string, left time.Time, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	opts = append(opts, trace.WithSpanKind(trace.SpanKindConsumer))
	origin := Origin(ctx, traceparent)
	switch {
	case !origin.IsValid():
		opts = append(opts, trace.WithNewRoot())
	case time.Since(left) < longGap:
		ctx = trace.ContextWithRemoteSpanContext(ctx, origin)
	default:
		opts = append(opts, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: origin}))
	}
	return tracer.Start(ctx, name, opts...)
}
