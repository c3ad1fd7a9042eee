package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func line(t *testing.T, log func(*slog.Logger), allow ...string) map[string]any {
	t.Helper()
	var buf bytes.Buffer
	l, err := NewLogger(LogOptions{Writer: &buf, Allow: allow, Level: "debug"})
	if err != nil {
		t.Fatal(err)
	}
	log(l)
	out := map[string]any{}
	if err := json.Unmarshal(buf.Bytes(), &out); err != nil {
		t.Fatalf("%v in %s", err, buf.String())
	}
	delete(out, "time")
	return out
}

func TestPersonalDataStaysOut(t *testing.T) {
	got := line(t, func(l *slog.Logger) {
		l.With("mail", "sato@example.co.jp", "lead_id", "0198").WithGroup("g").Info("captured",
			"name_of_person", "佐藤", "count", 3, "took", time.Second, "ok", true, "kind", "MQL", "body", struct{ Mail string }{"x"},
			slog.Group("company", "phone", "03", "id", "7"), "error", errors.New("boom"))
	})
	g := got["g"].(map[string]any)
	company := g["company"].(map[string]any)
	for what, ok := range map[string]bool{
		"mail": got["mail"] == "hidden", "lead_id": got["lead_id"] == "0198", "name": g["name_of_person"] == "hidden",
		"count": g["count"] == 3.0, "took": g["took"] == 1e9, "ok": fmt.Sprint(g["ok"]) == "true", "kind": g["kind"] == "MQL",
		"body": g["body"] == "hidden", "phone": company["phone"] == "hidden", "id": company["id"] == "7", "error": g["error"] == "boom",
	} {
		if !ok {
			t.Errorf("%s in %v", what, got)
		}
	}
	got = line(t, func(l *slog.Logger) { l.Info("x", "colour", "red") }, "colour")
	if got["colour"] != "red" {
		t.Errorf("allowed by the program: %v", got)
	}
}

func TestContextInLines(t *testing.T) {
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2},
	}))
	ctx = WithAttrs(ctx, slog.String("request_id", "r1"))
	left, right := WithAttrs(ctx, slog.Int("n", 1)), WithAttrs(ctx, slog.Int("n", 2))
	got := line(t, func(l *slog.Logger) { l.InfoContext(left, "x") })
	if got["trace_id"] != "01000000000000000000000000000000" || got["span_id"] != "0200000000000000" ||
		got["request_id"] != "r1" || got["n"] != 1.0 {
		t.Errorf("%v", got)
	}
	if got := line(t, func(l *slog.Logger) { l.InfoContext(right, "x") }); got["n"] != 2.0 {
		t.Errorf("%v", got)
	}
}

func TestLogOptions(t *testing.T) {
	var buf bytes.Buffer
	l, err := NewLogger(LogOptions{Writer: &buf, Format: "text", Level: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	l.Info("no")
	l.Warn("yes", "kind", "MQL")
	if s := buf.String(); strings.Contains(s, "no") || !strings.Contains(s, "yes kind=MQL") {
		t.Errorf("%q", s)
	}
	for _, o := range []LogOptions{{Level: "loud"}, {Format: "xml"}} {
		if _, err := NewLogger(o); err == nil {
			t.Errorf("%+v", o)
		}
	}
}

func clearEnv(t *testing.T) {
	for _, k := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
	} {
		t.Setenv(k, "")
	}
}

func TestOffByDefault(t *testing.T) {
	clearEnv(t)
	before := otel.GetTracerProvider()
	stop, err := Setup(context.Background(), Options{Service: "marketing"})
	if err != nil || Enabled() || otel.GetTracerProvider() != before {
		t.Errorf("%v, enabled %v", err, Enabled())
	}
	if err := stop(context.Background()); err != nil {
		t.Error(err)
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
	if wanted("TRACES") || !wanted("METRICS") {
		t.Error("none is none, and an endpoint asks for the rest")
	}
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if wanted("METRICS") {
		t.Error("disabled is disabled")
	}
}

func TestOnByEnvironment(t *testing.T) {
	clearEnv(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // tests listen on loopback only
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan string, 16)
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sent <- r.URL.Path
	})}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	stop, err := Setup(context.Background(), Options{Service: "marketing", Version: "1"})
	if err != nil || !Enabled() {
		t.Fatal(err, Enabled())
	}
	_, span := otel.Tracer("t").Start(context.Background(), "x")
	span.End()
	Counter("tasuki.test.calls", "{call}", "Calls of this test.").Add(context.Background(), 1)
	if err := stop(context.Background()); err != nil {
		t.Error(err)
	}
	got := <-sent + " " + <-sent
	if !strings.Contains(got, "/v1/traces") || !strings.Contains(got, "/v1/metrics") || Enabled() {
		t.Errorf("%s", got)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")
	if _, err := Setup(context.Background(), Options{}); err == nil || Enabled() {
		t.Errorf("an exporter that does not exist: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	p := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	old := otel.GetMeterProvider()
	otel.SetMeterProvider(p)
	defer otel.SetMeterProvider(old)
	Histogram("tasuki.test.age", "s", "Age of the oldest.", 1, 10).Record(context.Background(), 5)
	depth := NewGauge("tasuki.test.depth", "{job}", "Jobs that wait.")
	end := Observe(func(_ context.Context, record Record) error {
		record(depth, 3, attribute.String("kind", "mail"))
		record(depth, 4, attribute.String("kind", "webhook"))
		return nil
	}, depth)
	collect := func() map[string]metricdata.Metrics {
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(context.Background(), &rm); err != nil {
			t.Fatal(err)
		}
		out := map[string]metricdata.Metrics{}
		for _, m := range rm.ScopeMetrics[0].Metrics {
			out[m.Name] = m
		}
		return out
	}
	m := collect()["tasuki.test.depth"]
	points := m.Data.(metricdata.Gauge[int64]).DataPoints
	if len(points) != 2 || m.Unit != "{job}" || m.Description != "Jobs that wait." {
		t.Errorf("%+v", m)
	}
	end()
	if _, ok := collect()["tasuki.test.depth"]; ok {
		t.Error("still looked up after its end")
	}
	defer func() {
		if recover() == nil {
			t.Error("a name that OpenTelemetry refuses")
		}
	}()
	Counter("9 lives", "", "")
}
