// Package upstream is the gateway's way to the departments. Whatever protocol a call came in by, it leaves here: the token
// is checked, If-Match becomes the etag of the command, and an unreachable department becomes one clear error. So REST,
// Connect, gRPC-Web and gRPC answer alike.
package upstream

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// IfMatch is the metadata key in which the doors hand over the If-Match header.
const IfMatch = "if-match"

// RequestID is the metadata key of the request's id.
const RequestID = "x-request-id"

// Conn is a connection to one department.
type Conn struct {
	department access.Department
	verifier   *access.Verifier
	next       grpc.ClientConnInterface
}

// New wraps the connection to a department.
func New(d access.Department, v *access.Verifier, next grpc.ClientConnInterface) *Conn {
	return &Conn{department: d, verifier: v, next: next}
}

// Invoke makes a unary call.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, err := c.admit(ctx, method)
	if err != nil {
		return err
	}
	if m, ok := args.(proto.Message); ok {
		setEtag(ctx, m)
	}
	return c.explain(ctx, c.next.Invoke(ctx, method, args, reply, opts...))
}

// NewStream opens a stream.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, err := c.admit(ctx, method)
	if err != nil {
		return nil, err
	}
	s, err := c.next.NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return &stream{ClientStream: s, conn: c}, nil
}

// admit turns away callers who cannot be admitted, before a department is bothered. The department checks again.
func (c *Conn) admit(ctx context.Context, method string) (context.Context, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	ctx = problem.WithCall(ctx, first(md, RequestID), string(c.department))
	rule, err := access.RuleOf(method)
	if err != nil {
		return nil, problem.Status(ctx, err).Err()
	}
	if access.IsPublic(rule) {
		return ctx, nil
	}
	raw := access.BearerToken(first(md, "authorization"))
	if raw == "" {
		return nil, problem.TokenMissing()
	}
	actor, err := c.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, problem.Status(ctx, err).Err()
	}
	if err := access.Authorize(rule, c.department, actor); err != nil {
		return nil, problem.Status(ctx, err).Err()
	}
	return ctx, nil
}

// explain names the department in errors of the connection itself; errors that the department sent pass unchanged.
func (c *Conn) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if status.Code(err) == codes.Unavailable && problem.ReasonOf(err) == 0 {
		slog.WarnContext(ctx, "department unavailable", "department", string(c.department), "error", err.Error())
		return problem.Unavailable(string(c.department)).GRPCStatus().Err()
	}
	return problem.Status(ctx, err).Err()
}

func first(md metadata.MD, key string) string {
	if v := md.Get(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// setEtag fills the `etag` field of a command from If-Match, unless the body names one itself.
func setEtag(ctx context.Context, m proto.Message) {
	md, _ := metadata.FromOutgoingContext(ctx)
	value := first(md, IfMatch)
	if value == "" {
		return
	}
	field := m.ProtoReflect().Descriptor().Fields().ByName("etag")
	if field == nil || field.Kind() != protoreflect.StringKind || m.ProtoReflect().Has(field) {
		return
	}
	m.ProtoReflect().Set(field, protoreflect.ValueOfString(value))
}

type stream struct {
	grpc.ClientStream
	conn *Conn
}

func (s *stream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return s.conn.explain(s.Context(), err)
}
