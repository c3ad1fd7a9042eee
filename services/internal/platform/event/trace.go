package event

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

var tracer = otel.Tracer("github.com/tasuki-project/tasuki/services/internal/platform/event")

// startSpan continues the trace in which the event was written, or links to it, see telemetry.Resume.
func startSpan(ctx context.Context, subscription string, ev *feedv1.Event) (context.Context, trace.Span) {
	return telemetry.Resume(ctx, tracer, "event "+ev.GetType(), ev.GetTraceparent(), ev.GetAt().AsTime(),
		trace.WithAttributes(attribute.String("event.type", ev.GetType()), attribute.String("event.subscription", subscription)))
}

// LinkOrigin links the span of ctx to the trace in which the subject first appeared here, so that what people do with it
// later can be found from there and back. It reads only when the span is recorded.
func (l *Log) LinkOrigin(ctx context.Context, tx store.Tx, subject string) error {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return nil
	}
	var traceparent string
	err := tx.QueryRow(ctx, `SELECT traceparent FROM events WHERE subject = $1 ORDER BY subject, xid, seq LIMIT 1`, subject).Scan(&traceparent)
	if errors.Is(err, store.ErrNoRows) {
		return nil
	}
	if origin := telemetry.Origin(ctx, traceparent); err == nil && origin.IsValid() && origin.TraceID() != span.SpanContext().TraceID() {
		span.AddLink(trace.Link{SpanContext: origin})
	}
	return err
}
