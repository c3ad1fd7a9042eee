// Package upstream is the gateway's way to the departments. Whatever protocol a call came in by, it leaves here: the token
// is checked, If-Match becomes the etag of the command, and an unreachable department becomes one clear error. So REST,
// Connect, gRPC-Web and gRPC answer alike.
package upstream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tasuki-project/tasuki/services/gateway/internal/apikey"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// IfMatch is the metadata key in which the doors hand over the If-Match header.
const IfMatch = "if-match"

// RequestID is the metadata key of the request's id.
const RequestID = "x-request-id"

// Options of a Conn.
type Options struct {
	Department access.Department
	// Verifier checks tokens before a call leaves.
	Verifier *access.Verifier
	// Exchange gives the token that stands for an API key; nil knows no keys.
	Exchange func(ctx context.Context, key string) (token string, err error)
	// Logger is told of callers who are turned away.
	Logger *slog.Logger
}

// Conn is a connection to one department.
type Conn struct {
	Options
	next     grpc.ClientConnInterface
	draining context.Context
}

// New wraps the connection to a department. Streams end when draining does: their readers resume elsewhere.
func New(draining context.Context, o Options, next grpc.ClientConnInterface) *Conn {
	return &Conn{Options: o, next: next, draining: draining}
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
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(c.draining, cancel) //nolint:contextcheck // two contexts end the stream: the caller's and the gateway's
	s, err := c.next.NewStream(ctx, desc, method, opts...)
	if err != nil {
		release()
		cancel()
		return nil, c.explain(ctx, err)
	}
	return &stream{ClientStream: s, conn: c, end: func() { release(); cancel() }}, nil
}

// admit turns away callers who cannot be admitted, before a department is bothered. The department checks again.
func (c *Conn) admit(ctx context.Context, method string) (context.Context, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	ctx = problem.WithCall(ctx, first(md, RequestID), string(c.Department))
	rule, err := access.RuleOf(method)
	if err != nil {
		return nil, problem.Status(ctx, err).Err()
	}
	if access.IsPublic(rule) {
		return withoutKey(ctx, md), nil
	}
	ctx, md, err = c.exchange(ctx, md)
	if err != nil {
		c.turnAway(ctx, method, err)
		return nil, problem.Status(ctx, err).Err()
	}
	asked, err := c.Verifier.Authenticate(ctx, first(md, "authorization"))
	if err == nil {
		actor, _ := access.FromContext(asked)
		err = access.Admit(method, c.Department, actor)
	}
	if err != nil {
		c.turnAway(ctx, method, err)
		return nil, problem.Status(ctx, err).Err()
	}
	return ctx, nil
}

// exchange puts the token that stands for an API key in its place: keys go no further than here.
func (c *Conn) exchange(ctx context.Context, md metadata.MD) (context.Context, metadata.MD, error) {
	key, ok := keyIn(md)
	if !ok {
		return ctx, md, nil
	}
	if c.Exchange == nil {
		return ctx, md, problem.TokenInvalid(errors.New("there are no API keys here"))
	}
	token, err := c.Exchange(ctx, key)
	if err != nil {
		return ctx, md, err
	}
	md = md.Copy()
	md.Set("authorization", "Bearer "+token)
	return metadata.NewOutgoingContext(ctx, md), md, nil
}

// withoutKey lets the holder of a key through a public door, as the stranger that everybody is there.
func withoutKey(ctx context.Context, md metadata.MD) context.Context {
	if _, ok := keyIn(md); !ok {
		return ctx
	}
	md = md.Copy()
	md.Delete("authorization")
	return metadata.NewOutgoingContext(ctx, md)
}

func keyIn(md metadata.MD) (key string, ok bool) {
	scheme, raw, _ := strings.Cut(first(md, "authorization"), " ")
	raw = strings.TrimSpace(raw)
	return raw, strings.EqualFold(scheme, "bearer") && apikey.Is(raw)
}

// turnAway counts and logs a caller who may not, without who that was or what was sent.
func (c *Conn) turnAway(ctx context.Context, method string, err error) {
	access.CountDenied(ctx, "gateway", err)
	c.Logger.LogAttrs(ctx, slog.LevelInfo, "turned away", slog.String("method", method),
		slog.String("department", c.Department.String()), slog.String("reason", problem.ReasonName(problem.ReasonOf(err))),
		slog.String("request_id", problem.RequestID(ctx)))
}

// explain maps whatever went wrong to what a caller may see; errors that the department sent pass unchanged.
func (c *Conn) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
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
	end  func()
}

func (s *stream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		s.end()
		return err
	case s.conn.draining.Err() != nil:
		err = problem.Unavailable(string(s.conn.Department))
	}
	err = s.conn.explain(s.Context(), err)
	s.end()
	return err
}
