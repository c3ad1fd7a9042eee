package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"strings"

	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"
)

// LogOptions say how to log.
type LogOptions struct {
	// Level is the least level that is written: debug, info, warn or error. Empty is info.
	Level string
	// Format is json, text, or auto: text for people when Writer is a terminal, JSON otherwise. Empty is auto.
	Format string
	// Writer receives the lines; nil is os.Stderr.
	Writer io.Writer
	// Allow are further keys whose text may be shown.
	Allow []string
}

// NewLogger builds the logger of a program. It sets no global.
func NewLogger(o LogOptions) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(or(o.Level, "info"))); err != nil {
		return nil, fmt.Errorf("log level %q: use debug, info, warn or error", o.Level)
	}
	w := o.Writer
	if w == nil {
		w = os.Stderr
	}
	var h slog.Handler
	switch format := or(o.Format, "auto"); {
	case format == "text", format == "auto" && isTerminal(w):
		h = tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: "15:04:05.000", NoColor: !isTerminal(w)})
	case format == "json", format == "auto":
		h = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	default:
		return nil, fmt.Errorf("log format %q: use auto, json or text", o.Format)
	}
	return slog.New(Filter(h, o.Allow...)), nil
}

// Filter wraps a handler with the two duties of every log line here: it adds what the context knows, and hides texts
// whose key is not on the allow-list.
func Filter(h slog.Handler, allow ...string) slog.Handler {
	keys := maps.Clone(allowed)
	for _, k := range allow {
		keys[k] = true
	}
	return &filter{next: h, allow: keys}
}

// Discard logs nothing: for tests.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

type attrsKey struct{}

// WithAttrs makes every line that is logged under the context carry the attributes, for instance the request id.
func WithAttrs(ctx context.Context, attrs ...slog.Attr) context.Context {
	have, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return context.WithValue(ctx, attrsKey{}, append(have[:len(have):len(have)], attrs...))
}

// allowed are the keys whose text never holds personal data. Keys that end in `_id` are too: ids are no names.
var allowed = set(
	"actor", "addr", "action", "attempt", "audience", "cause", "code", "command", "component", "config", "dead",
	"department", "dir", "dsn", "engine", "error", "err", "event", "event_type", "file", "format", "id", "issuer",
	"job_kind", "kind", "level", "listen", "method", "migration", "mode", "name", "order", "path", "peer", "peers",
	"phase", "queue", "reason", "resource", "role", "roles", "schema", "service", "set", "signal", "source", "stack",
	"state", "step", "subject", "subscription", "table", "target", "type", "unit", "url", "version", "worker",
)

func set(keys ...string) map[string]bool {
	m := make(map[string]bool, len(keys))
	for _, k := range keys {
		m[k] = true
	}
	return m
}

type filter struct {
	next  slog.Handler
	allow map[string]bool
}

func (f *filter) Enabled(ctx context.Context, l slog.Level) bool { return f.next.Enabled(ctx, l) }

func (f *filter) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(f.clean(a))
		return true
	})
	if have, ok := ctx.Value(attrsKey{}).([]slog.Attr); ok {
		for _, a := range have {
			out.AddAttrs(f.clean(a))
		}
	}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		out.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return f.next.Handle(ctx, out)
}

func (f *filter) WithAttrs(attrs []slog.Attr) slog.Handler {
	cleaned := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		cleaned[i] = f.clean(a)
	}
	return &filter{next: f.next.WithAttrs(cleaned), allow: f.allow}
}

func (f *filter) WithGroup(name string) slog.Handler {
	return &filter{next: f.next.WithGroup(name), allow: f.allow}
}

func (f *filter) clean(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindGroup:
		attrs := a.Value.Group()
		cleaned := make([]slog.Attr, len(attrs))
		for i, inner := range attrs {
			cleaned[i] = f.clean(inner)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(cleaned...)}
	case slog.KindString, slog.KindAny:
		if f.allow[a.Key] || strings.HasSuffix(a.Key, "_id") {
			return a
		}
		return slog.String(a.Key, "hidden")
	}
	return a
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
