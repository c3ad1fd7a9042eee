package telemetry

import (
	"context"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// What follows soon is the same trace; what follows late is a trace of its own with a link; without an origin it is alone.
func TestResume(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	ctx, cause := tracer.Start(t.Context(), "cause")
	stored := Traceparent(ctx)
	cause.End()
	poll, own := tracer.Start(t.Context(), "poll of the worker")
	defer own.End()
	for _, c := range []struct {
		name, traceparent string
		left              time.Time
		same, linked      bool
	}{
		{"soon", stored, time.Now().Add(-time.Minute), true, false},
		{"late", stored, time.Now().Add(-time.Hour), false, true},
		{"untraced", "", time.Now(), false, false},
		{"damaged", "00-x", time.Now(), false, false},
	} {
		_, span := Resume(poll, tracer, c.name, c.traceparent, c.left)
		span.End()
		ended := spans.Ended()
		got := ended[len(ended)-1]
		if same := got.SpanContext().TraceID() == cause.SpanContext().TraceID(); same != c.same || same != (got.Parent().SpanID() == cause.SpanContext().SpanID()) {
			t.Errorf("%s: continues the trace: %v", c.name, same)
		}
		linked := len(got.Links()) == 1 && got.Links()[0].SpanContext.SpanID() == cause.SpanContext().SpanID()
		if linked != c.linked || got.SpanContext().TraceID() == own.SpanContext().TraceID() {
			t.Errorf("%s: links %v", c.name, got.Links())
		}
	}
	if Traceparent(context.Background()) != "" {
		t.Error("a traceparent of nothing")
	}
}
