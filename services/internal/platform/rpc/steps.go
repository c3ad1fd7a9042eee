package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/idempotency"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

// Step is one thing that happens to every call. Nil fields do nothing.
type Step struct {
	Name   string
	Unary  grpc.UnaryServerInterceptor
	Stream grpc.StreamServerInterceptor
	Stats  stats.Handler
}

// Steps are what a call passes on its way to the handler, outermost first. This list is the one place to read them.
func Steps(o Options) []Step {
	o = o.withDefaults()
	return []Step{
		traceStep(),         // a span, when telemetry is on
		requestStep(o),      // names the call
		recoverStep(o),      // a panic becomes INTERNAL
		deadlineStep(o),     // unary calls end; streams end when the server drains
		logStep(o),          // one line per call
		problemStep(),       // errors become what clients may see
		authenticateStep(o), // who is calling
		authoriseStep(o),    // whether they may
		validateStep(o),     // whether the request makes sense
		idempotencyStep(o),  // whether it was made before
		sharingStep(),       // what it writes may be committed with what others write
	}
}

func traceStep() Step {
	if !telemetry.Enabled() {
		return Step{Name: "trace"}
	}
	return Step{Name: "trace", Stats: otelgrpc.NewServerHandler(otelgrpc.WithFilter(func(call *stats.RPCTagInfo) bool {
		// Callers must not make up names for spans and metrics, and health checks are of no interest.
		_, err := access.RuleOf(call.FullMethodName)
		return err == nil && !strings.HasPrefix(call.FullMethodName, "/grpc.")
	}))}
}

// RequestIDHeader is the metadata key that carries the name of a call from service to service.
const RequestIDHeader = "x-request-id"

func requestStep(o Options) Step {
	name := func(ctx context.Context) context.Context {
		id := incomingRequestID(ctx)
		if id == "" {
			id = problem.RequestID(ctx) // the trace id, if there is one
		}
		if id == "" {
			id = NewRequestID()
		}
		ctx = problem.WithCall(ctx, id, o.Department.String())
		return telemetry.WithAttrs(ctx, slog.String("request_id", id))
	}
	return both("request", func(ctx context.Context, _ string) (context.Context, error) { return name(ctx), nil })
}

// incomingRequestID accepts only what is safe to log and to send back.
func incomingRequestID(ctx context.Context) string {
	vs := metadata.ValueFromIncomingContext(ctx, RequestIDHeader)
	if len(vs) == 0 || len(vs[0]) > 64 || strings.Trim(vs[0], "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
		return ""
	}
	return vs[0]
}

// NewRequestID makes a name for a call.
func NewRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func recoverStep(o Options) Step {
	handle := recovery.WithRecoveryHandlerContext(func(ctx context.Context, p any) error {
		o.Logger.ErrorContext(ctx, "panic in a handler", "cause", p, "stack", string(debug.Stack()))
		return problem.Status(ctx, problem.Internal(nil)).Err()
	})
	return Step{
		Name: "recover", Unary: recovery.UnaryServerInterceptor(handle), Stream: recovery.StreamServerInterceptor(handle),
	}
}

func deadlineStep(o Options) Step {
	return Step{
		Name: "deadline",
		Unary: func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if _, ok := ctx.Deadline(); !ok {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, o.UnaryTimeout)
				defer cancel()
			}
			return handler(ctx, req)
		},
		// A stream that only the server writes to would outlive any drain; the client resumes it elsewhere.
		Stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if info.IsClientStream || o.draining == nil {
				return handler(srv, ss)
			}
			ctx, cancel := context.WithCancelCause(ss.Context())
			defer cancel(nil)
			defer context.AfterFunc(o.draining, func() { cancel(problem.Unavailable(o.Department.String())) })()
			return handler(srv, withContext(ctx, ss))
		},
	}
}

// call collects what the inner steps learn for the line that an outer one writes.
type call struct {
	actor string
	cause error
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

func logStep(o Options) Step {
	return Step{
		Name: "log",
		Unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			c, began := &call{}, time.Now()
			ctx = context.WithValue(ctx, callKey{}, c)
			resp, err := handler(ctx, req)
			logCall(ctx, o, info.FullMethod, c, began, err)
			return resp, err
		},
		Stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			c, began := &call{}, time.Now()
			ctx := context.WithValue(ss.Context(), callKey{}, c)
			err := handler(srv, withContext(ctx, ss))
			logCall(ctx, o, info.FullMethod, c, began, err)
			return err
		},
	}
}

// levels: what we broke is an error, what waits for somebody a warning, what the caller did wrong is information, and
// what went well is only for those who ask.
func levelOf(c codes.Code) slog.Level {
	switch c {
	case codes.OK, codes.Canceled:
		return slog.LevelDebug
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	case codes.Unavailable, codes.DeadlineExceeded:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func logCall(ctx context.Context, o Options, method string, c *call, began time.Time, err error) {
	l, code := o.Logger, status.Code(err)
	level := levelOf(code)
	if code == codes.Unavailable && o.draining != nil && o.draining.Err() != nil {
		level = slog.LevelDebug // streams that end with the server are no news
	}
	if !l.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("code", code.String()), slog.Duration("took", time.Since(began)),
	}
	if c.actor != "" {
		attrs = append(attrs, slog.String("actor", c.actor))
	}
	if err != nil {
		if r := problem.ReasonOf(err); r != 0 {
			attrs = append(attrs, slog.String("reason", problem.ReasonName(r)))
		}
	}
	// What callers did wrong may quote what they sent, so its text is not logged.
	if c.cause != nil && level >= slog.LevelWarn {
		attrs = append(attrs, slog.String("cause", c.cause.Error()))
	}
	l.LogAttrs(ctx, level, "call", attrs...)
}

func problemStep() Step {
	toStatus := func(ctx context.Context, err error) error {
		if err == nil {
			return nil
		}
		callOf(ctx).cause = err
		return problem.Status(ctx, err).Err()
	}
	return Step{
		Name: "problem",
		Unary: func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			resp, err := handler(ctx, req)
			return resp, toStatus(ctx, err)
		},
		Stream: func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return toStatus(ss.Context(), handler(srv, ss))
		},
	}
}

func authenticateStep(o Options) Step {
	return both("authenticate", func(ctx context.Context, method string) (context.Context, error) {
		rule, err := access.RuleOf(method)
		if err != nil {
			return ctx, err
		}
		ctx, err = authenticate(ctx, o.Verifier)
		if err != nil && !access.IsPublic(rule) {
			access.CountDenied(ctx, o.Department.String(), err)
			return ctx, err
		}
		// A public door is open to a caller with a bad token, too: as a stranger.
		if a, ok := access.FromContext(ctx); ok {
			callOf(ctx).actor = a.ID
		}
		return ctx, nil
	})
}

func authenticate(ctx context.Context, v *access.Verifier) (context.Context, error) {
	vs := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(vs) == 0 {
		return ctx, nil
	}
	return v.Authenticate(ctx, vs[0])
}

func authoriseStep(o Options) Step {
	return both("authorise", func(ctx context.Context, method string) (context.Context, error) {
		actor, _ := access.FromContext(ctx)
		err := access.Admit(method, o.Department, actor)
		access.CountDenied(ctx, o.Department.String(), err)
		return ctx, err
	})
}

func idempotencyStep(o Options) Step {
	return Step{Name: "idempotency", Unary: idempotency.Unary(o.Idempotency)}
}

func sharingStep() Step {
	return Step{Name: "sharing", Unary: func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(store.Sharing(ctx), req)
	}}
}

// both makes a step that only looks at the context and the method, for unary calls and streams alike.
func both(name string, do func(ctx context.Context, method string) (context.Context, error)) Step {
	return Step{
		Name: name,
		Unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			ctx, err := do(ctx, info.FullMethod)
			if err != nil {
				return nil, err
			}
			return handler(ctx, req)
		},
		Stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			ctx, err := do(ss.Context(), info.FullMethod)
			if err != nil {
				return err
			}
			return handler(srv, withContext(ctx, ss))
		},
	}
}

func withContext(ctx context.Context, ss grpc.ServerStream) grpc.ServerStream {
	return &middleware.WrappedServerStream{ServerStream: ss, WrappedContext: ctx}
}
