package rpc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc/rpctest"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

// TestOneTrace: the caller's span, the call and what the handler does are one trace, and the log names it.
func TestOneTrace(t *testing.T) {
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	stop, err := telemetry.Setup(t.Context(), telemetry.Options{Service: "marketing"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	spans := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))

	var inHandler trace.SpanContext
	h := start(t, rpctest.Handlers{Unary: func(ctx context.Context, _ string, _ *typev1.Person) (*typev1.Person, error) {
		inHandler = trace.SpanContextFromContext(ctx)
		return nil, problem.NotFound("lead", "1")
	}})
	ctx, root := otel.Tracer("test").Start(t.Context(), "form")
	if _, err := rpctest.Call(ctx, h.dial(t), rpctest.Public, hanako); !problem.Is(err, problem.ReasonNotFound) {
		t.Fatal(err)
	}
	root.End()
	id := root.SpanContext().TraceID()
	if inHandler.TraceID() != id {
		t.Errorf("the handler is in trace %v, the caller in %v", inHandler.TraceID(), id)
	}
	if !strings.Contains(h.log.String(), `"trace_id":"`+id.String()+`"`) || !strings.Contains(h.log.String(), `"request_id":"`+id.String()+`"`) {
		t.Errorf("%s", h.log.String())
	}
}
