package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc/rpctest"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// safeBuffer is a log that handlers write while the test reads.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// house is a marketing service that runs.
type house struct {
	issuer *access.Issuer
	server *Server
	loop   *Loopback
	addr   string
	log    *safeBuffer
}

func start(t *testing.T, h rpctest.Handlers, change ...func(*Options)) *house {
	t.Helper()
	issuer := access.EphemeralIssuer()
	verifier, err := access.NewVerifier(access.TrustIssuer(issuer))
	if err != nil {
		t.Fatal(err)
	}
	log := &safeBuffer{}
	logger, err := telemetry.NewLogger(telemetry.LogOptions{Writer: log, Level: "debug"})
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Department: access.Marketing, Verifier: verifier, Logger: logger}
	for _, c := range change {
		c(&opts)
	}
	s := NewServer(opts)
	s.RegisterService(rpctest.Desc(false), &h)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := &house{issuer: issuer, server: s, loop: InProcess(), addr: l.Addr().String(), log: log}
	var wg sync.WaitGroup
	for _, listener := range []net.Listener{l, out.loop.Listener()} {
		wg.Go(func() {
			if err := s.Serve(listener); err != nil {
				t.Error(err)
			}
		})
	}
	s.SetServing(true)
	t.Cleanup(func() {
		_ = s.Stop(context.Background()) // a test may have stopped it
		wg.Wait()
	})
	return out
}

func (h *house) ctx(t *testing.T, roles ...access.Role) context.Context {
	t.Helper()
	if len(roles) == 0 {
		return t.Context()
	}
	raw, err := h.issuer.Token("sato", "佐藤", roles, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+raw)
}

func (h *house) dial(t *testing.T, opts ...DialOption) *grpc.ClientConn {
	t.Helper()
	return closing(t)(h.loop.Dial(append([]DialOption{To(access.Marketing)}, opts...)...))
}

func closing(t *testing.T) func(*grpc.ClientConn, error) *grpc.ClientConn {
	return func(cc *grpc.ClientConn, err error) *grpc.ClientConn {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cc.Close() })
		return cc
	}
}

var hanako = &typev1.Person{Name: &typev1.PersonName{Full: "佐藤 花子"}}

func TestStepsAreInOrder(t *testing.T) {
	var names []string
	for _, s := range Steps(Options{}) {
		names = append(names, s.Name)
	}
	want := []string{"trace", "request", "recover", "deadline", "log", "problem", "authenticate", "authorise", "validate", "idempotency", "sharing"}
	if !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
}

// TestBothNetworks: the same rules over a wire and inside the process.
func TestBothNetworks(t *testing.T) {
	h := start(t, rpctest.Handlers{})
	for name, cc := range map[string]*grpc.ClientConn{
		"in process": h.dial(t), "wire": closing(t)(Dial(h.addr, To(access.Marketing))),
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				method string
				roles  []access.Role
				want   problem.Reason
			}{
				{rpctest.Public, nil, 0},
				{rpctest.Get, nil, problem.ReasonTokenMissing},
				{rpctest.Get, []access.Role{access.RoleViewer}, 0},
				{rpctest.Get, []access.Role{access.RoleService}, problem.ReasonRoleMissing},
				{rpctest.Roles, []access.Role{access.RoleViewer}, problem.ReasonRoleMissing},
				{rpctest.Roles, []access.Role{access.RoleService}, 0},
				{rpctest.Department, []access.Role{access.RoleFieldSales}, problem.ReasonRoleMissing},
				{rpctest.Department, []access.Role{access.RoleMarketing}, 0},
				{rpctest.Services, []access.Role{access.RoleAdmin}, problem.ReasonRoleMissing},
				{rpctest.Services, []access.Role{access.RoleService}, 0},
				{rpctest.NoRule, []access.Role{access.RoleAdmin}, problem.ReasonNotOffered}, // not registered
			} {
				_, err := rpctest.Call(h.ctx(t, c.roles...), cc, c.method, hanako)
				if c.want == problem.ReasonNotOffered {
					if status.Code(err) != codes.Unimplemented {
						t.Errorf("%s: %v", c.method, err)
					}
				} else if problem.ReasonOf(err) != c.want || (err == nil) != (c.want == 0) {
					t.Errorf("%s as %v: %v", c.method, c.roles, err)
				}
			}
		})
	}
}

func TestTokens(t *testing.T) {
	var seen access.Actor
	h := start(t, rpctest.Handlers{Unary: func(ctx context.Context, _ string, p *typev1.Person) (*typev1.Person, error) {
		seen = access.ActorOf(ctx)
		return p, nil
	}})
	cc := h.dial(t)
	for header, want := range map[string]problem.Reason{
		"Bearer x.y.z": problem.ReasonTokenInvalid, "Basic c2F0bzpzYXRv": problem.ReasonTokenInvalid, "Bearer": problem.ReasonTokenInvalid,
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", header)
		if _, err := rpctest.Call(ctx, cc, rpctest.Get, hanako); !problem.Is(err, want) {
			t.Errorf("%q: %v", header, err)
		}
		if _, err := rpctest.Call(ctx, cc, rpctest.Public, hanako); err != nil || seen.ID != "anonymous" {
			t.Errorf("%q at a public door: %v as %v", header, err, seen)
		}
	}
	old := access.EphemeralIssuer(access.IssueAt(func() time.Time { return time.Now().Add(-time.Hour) }))
	verifier, err := access.NewVerifier(access.TrustIssuer(old))
	if err != nil {
		t.Fatal(err)
	}
	late := start(t, rpctest.Handlers{}, func(o *Options) { o.Verifier = verifier })
	late.issuer = old
	if _, err := rpctest.Call(late.ctx(t, access.RoleAdmin), late.dial(t), rpctest.Get, hanako); !problem.Is(err, problem.ReasonTokenExpired) {
		t.Errorf("expired: %v", err)
	}
	if _, err := rpctest.Call(h.ctx(t, access.RoleViewer), cc, rpctest.Get, hanako); err != nil || seen.ID != "sato" || seen.Name != "佐藤" {
		t.Errorf("%v as %+v", err, seen)
	}
}

// TestIdentities: a service calls in its own name, or in that of its caller.
func TestIdentities(t *testing.T) {
	var seen access.Actor
	inner := start(t, rpctest.Handlers{Unary: func(ctx context.Context, _ string, p *typev1.Person) (*typev1.Person, error) {
		seen = access.ActorOf(ctx)
		return p, nil
	}})
	own := inner.dial(t, As(inner.issuer.Service("marketing")))
	if _, err := rpctest.Call(t.Context(), own, rpctest.Services, hanako); err != nil || seen.ID != "service:marketing" {
		t.Errorf("%v as %v", err, seen)
	}
	forwarding := inner.dial(t, As(access.Forward()))
	outer := start(t, rpctest.Handlers{Unary: func(ctx context.Context, method string, p *typev1.Person) (*typev1.Person, error) {
		return rpctest.Call(ctx, forwarding, method, p)
	}}, func(o *Options) {
		v, err := access.NewVerifier(access.TrustIssuer(inner.issuer))
		if err != nil {
			t.Fatal(err)
		}
		o.Verifier = v
	})
	if _, err := rpctest.Call(inner.ctx(t, access.RoleMarketing), outer.dial(t), rpctest.Department, hanako); err != nil || seen.ID != "sato" {
		t.Errorf("%v as %v", err, seen)
	}
	_, err := rpctest.Call(inner.ctx(t, access.RoleMarketing), outer.dial(t), rpctest.Get, &typev1.Person{Mail: "no-mail"})
	if e, _ := problem.Parse(err); e == nil || len(e.Violations) != 1 {
		t.Errorf("violations through two services: %v", err)
	}
}

func TestPanic(t *testing.T) {
	h := start(t, rpctest.Handlers{
		Unary: func(context.Context, string, *typev1.Person) (*typev1.Person, error) {
			panic("index out of range of 佐藤")
		},
		Watch: func(*typev1.Person, grpc.ServerStream) error { panic("index out of range of 佐藤") },
	})
	ctx := metadata.AppendToOutgoingContext(h.ctx(t, access.RoleViewer), RequestIDHeader, "r-17")
	_, unary := rpctest.Call(ctx, h.dial(t), rpctest.Get, hanako)
	s, err := rpctest.WatchPeople(ctx, h.dial(t), hanako)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"unary": unary, "stream": s.RecvMsg(&typev1.Person{})} {
		e, _ := problem.Parse(err)
		if e == nil || e.Reason != problem.ReasonInternal || e.Message != "internal error" || e.Metadata["request_id"] != "r-17" {
			t.Errorf("%s: %v", name, err)
		}
		if wire := status.Convert(err).Proto().String(); strings.Contains(wire, "goroutine") || strings.Contains(wire, "index") {
			t.Errorf("%s leaks: %s", name, wire)
		}
	}
	if log := h.log.String(); strings.Count(log, "rpc_test.go") < 2 || !strings.Contains(log, `"request_id":"r-17"`) {
		t.Errorf("no stack in the log:\n%s", log)
	}
}

func TestErrorsAndLog(t *testing.T) {
	answer := errors.New("dial tcp 10.1.2.3: refused for sato@example.co.jp")
	h := start(t, rpctest.Handlers{Unary: func(_ context.Context, method string, _ *typev1.Person) (*typev1.Person, error) {
		if method == rpctest.Roles {
			return nil, problem.NotFound("lead", "taro")
		}
		return nil, answer
	}})
	cc, ctx := h.dial(t), h.ctx(t, access.RoleMarketing)
	_, err := rpctest.Call(ctx, cc, rpctest.Get, hanako)
	e, _ := problem.Parse(err)
	if e == nil || e.Reason != problem.ReasonInternal || len(e.Metadata["request_id"]) != 32 || strings.Contains(status.Convert(err).Proto().String(), "dial") {
		t.Fatalf("%v", err)
	}
	if _, err := rpctest.Call(ctx, cc, rpctest.Roles, hanako); !problem.Is(err, problem.ReasonNotFound) {
		t.Errorf("%v", err)
	}
	var broken, caller string
	for l := range strings.Lines(h.log.String()) {
		if strings.Contains(l, rpctest.Get) {
			broken = l
		} else if strings.Contains(l, rpctest.Roles) {
			caller = l
		}
	}
	for _, want := range []string{`"level":"ERROR"`, `"reason":"INTERNAL"`, `"actor":"sato"`, answer.Error(), e.Metadata["request_id"]} {
		if !strings.Contains(broken, want) {
			t.Errorf("%s in %s", want, broken)
		}
	}
	if !strings.Contains(caller, `"level":"INFO"`) || !strings.Contains(caller, "RESOURCE_NOT_FOUND") || strings.Contains(caller, "taro") {
		t.Errorf("%s", caller)
	}
}

func TestRequestID(t *testing.T) {
	var ids []string
	h := start(t, rpctest.Handlers{Unary: func(ctx context.Context, _ string, p *typev1.Person) (*typev1.Person, error) {
		ids = append(ids, problem.RequestID(ctx))
		return p, nil
	}})
	cc := h.dial(t)
	for _, id := range []string{"good-ID_1", "bad\tid", strings.Repeat("x", 65)} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), RequestIDHeader, id)
		if strings.Contains(id, "\t") {
			ctx = metadata.AppendToOutgoingContext(t.Context(), RequestIDHeader, "bad{id}")
		}
		if _, err := rpctest.Call(ctx, cc, rpctest.Public, hanako); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rpctest.Call(problem.WithCall(t.Context(), "from-caller", ""), cc, rpctest.Public, hanako); err != nil {
		t.Fatal(err)
	}
	if ids[0] != "good-ID_1" || len(ids[1]) != 32 || len(ids[2]) != 32 || ids[3] != "from-caller" {
		t.Errorf("%q", ids)
	}
}

func TestValidation(t *testing.T) {
	received := 0
	h := start(t, rpctest.Handlers{Upload: func(ss grpc.ServerStream) error {
		for {
			p := &typev1.Person{}
			if err := ss.RecvMsg(p); errors.Is(err, io.EOF) {
				return ss.SendMsg(p)
			} else if err != nil {
				return err
			}
			received++
		}
	}})
	ctx, cc := h.ctx(t, access.RoleMarketing), h.dial(t)
	bad := &typev1.Person{Mail: "no-mail"}
	_, unary := rpctest.Call(ctx, cc, rpctest.Department, bad)
	s, err := rpctest.UploadPeople(ctx, cc)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.SendMsg(hanako), s.SendMsg(bad), s.CloseSend()); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"unary": unary, "stream": s.RecvMsg(&typev1.Person{})} {
		e, _ := problem.Parse(err)
		if e == nil || e.Reason != problem.ReasonInvalidFields || len(e.Violations) != 1 || e.Violations[0].Field != "mail" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if received != 1 {
		t.Errorf("the handler saw %d", received)
	}
}

func TestHealthAndReflection(t *testing.T) {
	h := start(t, rpctest.Handlers{})
	cc := h.dial(t)
	check := func(service string) healthv1.HealthCheckResponse_ServingStatus {
		t.Helper()
		r, err := healthv1.NewHealthClient(cc).Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus()
	}
	for _, on := range []bool{true, false, true} {
		h.server.SetServing(on)
		for _, service := range []string{"", rpctest.Service} {
			if (check(service) == healthv1.HealthCheckResponse_SERVING) != on {
				t.Errorf("%q: %v", service, check(service))
			}
		}
	}
	r, err := reflectionv1.NewServerReflectionClient(cc).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = r.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	resp, recvErr := r.Recv()
	if err != nil || recvErr != nil || !strings.Contains(resp.String(), rpctest.Service) {
		t.Errorf("%v %v %v", resp, err, recvErr)
	}
	if err := r.CloseSend(); err != nil {
		t.Error(err)
	}
}

func TestNoRuleNoService(t *testing.T) {
	s := NewServer(Options{Department: access.Marketing, Logger: slog.New(slog.DiscardHandler)})
	s.RegisterService(rpctest.Desc(true), &rpctest.Handlers{})
	if err := s.Serve(InProcess().Listener()); err == nil || !strings.Contains(err.Error(), "ForgetPerson has no (tasuki.access.v1.rule)") {
		t.Errorf("%v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
