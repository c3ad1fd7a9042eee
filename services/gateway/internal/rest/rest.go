// Package rest offers the departments' services as REST and JSON, by grpc-gateway from the contracts' google.api.http.
package rest

import (
	"context"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tasuki-project/tasuki/services/gateway/internal/door"
	"github.com/tasuki-project/tasuki/services/gateway/internal/upstream"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Registration connects one service's REST paths to a connection: a generated Register…Handler.
type Registration func(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error

// NewMux builds the mux of one department.
func NewMux(ctx context.Context, conn grpc.ClientConnInterface, registrations ...Registration) (*runtime.ServeMux, error) {
	json := &runtime.JSONPb{
		// Numbers that are zero and lists that are empty are sent: a front end need not guess. Unknown fields of requests
		// are refused: they are typing errors.
		MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true},
	}
	body := &runtime.HTTPBodyMarshaler{Marshaler: json}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, body),
		runtime.WithMarshalerOption("text/event-stream", eventStream{json}),
		runtime.WithMarshalerOption("text/csv", rawBody{body, "text/csv"}),
		runtime.WithMarshalerOption("application/octet-stream", rawBody{body, "application/octet-stream"}),
		runtime.WithIncomingHeaderMatcher(incoming),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithForwardResponseOption(etagHeader),
		runtime.WithErrorHandler(writeError),
		runtime.WithStreamErrorHandler(problem.Status),
		runtime.WithRoutingErrorHandler(routingError),
	)
	for _, register := range registrations {
		if err := register(ctx, mux, conn); err != nil {
			return nil, err
		}
	}
	return mux, nil
}

// incoming says which request headers travel on, and under which metadata key.
func incoming(header string) (string, bool) {
	switch strings.ToLower(header) {
	case "authorization", "idempotency-key", upstream.IfMatch, upstream.RequestID, "traceparent", "tracestate":
		return strings.ToLower(header), true
	}
	return "", false
}

// etagHeader repeats the etag of a resource as the header that If-Match is compared with.
func etagHeader(_ context.Context, w http.ResponseWriter, m proto.Message) error {
	if m == nil {
		return nil
	}
	field := m.ProtoReflect().Descriptor().Fields().ByName("etag")
	if field != nil && field.Kind() == protoreflect.StringKind && m.ProtoReflect().Has(field) {
		w.Header().Set("ETag", `"`+m.ProtoReflect().Get(field).String()+`"`)
	}
	return nil
}

// writeError gives every error of the REST door the one shape: google.rpc.Status as JSON.
func writeError(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if limit, over := door.TooLarge(r); over {
		err = problem.TooLarge(limit)
	}
	if door.TooSlow(r) {
		w.Header().Set("Connection", "close")
		door.WriteStatus(w, http.StatusRequestTimeout, problem.Malformed("the body came too slowly").GRPCStatus())
		return
	}
	st := problem.Status(ctx, explainDecoding(err))
	reason := problem.ReasonOf(st.Err())
	code := runtime.HTTPStatusFromCode(st.Code())
	switch {
	case reason == problem.ReasonTooLarge:
		code = http.StatusRequestEntityTooLarge
	case reason == problem.ReasonEtagMismatch && r.Header.Get("If-Match") != "":
		code = http.StatusPreconditionFailed
	case st.Code() == codes.Unauthenticated:
		w.Header().Set("WWW-Authenticate", `Bearer realm="tasuki"`)
	}
	door.WriteStatus(w, code, st)
}

// explainDecoding turns what grpc-gateway says of a body or parameter that it cannot read into our own words. Such
// errors are made in this process, so they carry no reason.
func explainDecoding(err error) error {
	st, ok := status.FromError(err)
	if !ok || st.Code() != codes.InvalidArgument || problem.ReasonOf(err) != 0 || len(st.Details()) > 0 {
		return err
	}
	text := strings.NewReplacer("proto:\u00a0", "", "proto: ", "", "\u00a0", " ").Replace(st.Message())
	return problem.Malformed(strings.TrimSpace(text))
}

func routingError(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	switch code {
	case http.StatusMethodNotAllowed:
		st := problem.NotOffered(r.Method + " " + r.URL.Path).GRPCStatus()
		door.WriteStatus(w, code, st)
	case http.StatusNotFound:
		door.WriteStatus(w, code, problem.NotFound("path", r.URL.Path).GRPCStatus())
	default:
		door.WriteStatus(w, code, problem.Malformed(http.StatusText(code)).GRPCStatus())
	}
}
