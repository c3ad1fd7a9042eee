package problem

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type callKey struct{}

type call struct{ requestID, department string }

// WithCall names the call, for logs and INTERNAL errors, and the department that serves it, for UNAVAILABLE.
func WithCall(ctx context.Context, requestID, department string) context.Context {
	return context.WithValue(ctx, callKey{}, call{requestID, department})
}

func callOf(ctx context.Context) call {
	c, ok := ctx.Value(callKey{}).(call)
	if !ok {
		c.department = "the department"
	}
	return c
}

// RequestID is the name of the call: the one set by WithCall, else the trace id, else empty.
func RequestID(ctx context.Context) string {
	if c := callOf(ctx); c.requestID != "" {
		return c.requestID
	}
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// Status maps any error to the status that a client may see. It is the only place where that is decided; a nil error
// gives a nil status, which means OK.
func Status(ctx context.Context, err error) *status.Status {
	if err == nil {
		return nil
	}
	e, foreign := classify(ctx, err)
	if foreign != nil {
		return foreign
	}
	if e.Reason == ReasonInternal && e.Metadata["request_id"] == "" {
		if id := RequestID(ctx); id != "" {
			e = e.With("request_id", id)
		}
	}
	return e.GRPCStatus()
}

// classify finds the Tasuki error in err, or a status of another service that may pass as it is.
func classify(ctx context.Context, err error) (*Error, *status.Status) {
	var own *Error
	if errors.As(err, &own) {
		return own, nil
	}
	var invalid *protovalidate.ValidationError
	if errors.As(err, &invalid) {
		return Invalid(violations(invalid)...), nil
	}
	if e := sentinel(ctx, err); e != nil {
		return e, nil
	}
	if st, ok := statusOf(err); ok {
		return upstream(ctx, st, err)
	}
	return broken(ctx, err), nil
}

// broken is for what is left: the end of the call, or an error that nobody foresaw. Drivers report an interrupted
// statement in words of their own, and an expired one as cancelled, so the context itself is asked. Whoever ends it with
// an *Error as its cause decides what the caller sees.
func broken(ctx context.Context, err error) *Error {
	if ctx.Err() == nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return DeadlineExceeded().Because(err)
		}
		return Internal(err)
	}
	var why *Error
	switch cause := context.Cause(ctx); {
	case errors.As(cause, &why):
		return why.Because(err)
	case errors.Is(cause, context.DeadlineExceeded):
		return DeadlineExceeded().Because(err)
	}
	return Cancelled().Because(err)
}

// upstream decides about a gRPC status: one that names a Tasuki reason passes through; of the others only those whose
// text was written for callers keep it.
func upstream(ctx context.Context, st *status.Status, err error) (*Error, *status.Status) {
	if ReasonOf(st.Err()) != 0 {
		return nil, st
	}
	switch st.Code() {
	case codes.Unavailable:
		return Unavailable(callOf(ctx).department).Because(err), nil
	case codes.DeadlineExceeded:
		return DeadlineExceeded().Because(err), nil
	case codes.Canceled:
		if ctx.Err() != nil {
			return broken(ctx, err), nil
		}
		return Cancelled().Because(err), nil
	case codes.Unimplemented:
		return NotOffered("the method").Because(err), nil
	case codes.ResourceExhausted:
		if limit, ok := messageLimit(st.Message()); ok {
			return TooLarge(limit).Because(err), nil
		}
		return nil, st
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.Unauthenticated,
		codes.FailedPrecondition, codes.OutOfRange, codes.Aborted:
		return nil, st
	default:
		return broken(ctx, err), nil
	}
}

// messageLimit reads gRPC's own text about a message that is too large, which it writes before any interceptor runs.
func messageLimit(text string) (bytes int64, ok bool) {
	_, sizes, found := strings.Cut(text, "larger than max (")
	if !found {
		return 0, false
	}
	_, limit, _ := strings.Cut(strings.TrimSuffix(sizes, ")"), " vs. ")
	n, err := strconv.ParseInt(limit, 10, 64)
	return n, err == nil
}
