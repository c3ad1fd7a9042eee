package rpc

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/idempotency"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc/rpctest"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestDeadlines(t *testing.T) {
	left := make(chan time.Duration, 1)
	h := start(t, rpctest.Handlers{Unary: func(ctx context.Context, method string, p *typev1.Person) (*typev1.Person, error) {
		if d, ok := ctx.Deadline(); ok {
			left <- time.Until(d)
		} else {
			left <- 0
		}
		if method == rpctest.Get {
			<-ctx.Done()
			return nil, errors.New("interrupted (9)") // as a driver says it
		}
		return p, nil
	}}, func(o *Options) { o.UnaryTimeout = 20 * time.Millisecond })

	// A client of our own always sets one.
	if _, err := rpctest.Call(t.Context(), h.dial(t, Timeout(10*time.Second)), rpctest.Public, hanako); err != nil {
		t.Fatal(err)
	}
	if d := <-left; d < 5*time.Second || d > 10*time.Second {
		t.Errorf("the client's default became %v", d)
	}
	// A foreign client that sets none gets the server's.
	foreign := closing(t)(grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return h.loop.l.DialContext(ctx) })))
	_, err := rpctest.Call(h.ctx(t, access.RoleViewer), foreign, rpctest.Get, hanako)
	if d := <-left; d <= 0 || d > 20*time.Millisecond || !problem.Is(err, problem.ReasonDeadlineExceeded) {
		t.Errorf("the server's default became %v: %v", d, err)
	}
	// A caller's own deadline stays.
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := rpctest.Call(ctx, foreign, rpctest.Public, hanako); err != nil || <-left < 59*time.Minute {
		t.Errorf("a caller's own deadline was changed: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	h := start(t, rpctest.Handlers{})
	big := &typev1.Person{Title: string(make([]byte, MaxMessage+1))}
	foreign := closing(t)(grpc.NewClient(h.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(2*MaxMessage))))
	_, err := rpctest.Call(t.Context(), foreign, rpctest.Public, big)
	e, _ := problem.Parse(problem.Status(t.Context(), err).Err()) // as the gateway answers
	if e == nil || e.Reason != problem.ReasonTooLarge || e.Metadata["limit_bytes"] != strconv.Itoa(MaxMessage) {
		t.Errorf("%v", err)
	}
}

func TestDrain(t *testing.T) {
	opened := make(chan struct{})
	var uploads atomic.Int32
	h := start(t, rpctest.Handlers{
		Watch: func(p *typev1.Person, ss grpc.ServerStream) error {
			close(opened)
			<-ss.Context().Done()
			return ss.Context().Err()
		},
		Upload: func(ss grpc.ServerStream) error {
			opened <- struct{}{}
			for range 2 {
				if err := ss.RecvMsg(&typev1.Person{}); err != nil {
					return err
				}
				uploads.Add(1)
			}
			return ss.SendMsg(&typev1.Person{})
		},
	})
	cc, ctx := h.dial(t), h.ctx(t, access.RoleMarketing)
	upload, err := rpctest.UploadPeople(ctx, cc)
	if err != nil {
		t.Fatal(err)
	}
	<-opened
	watch, err := rpctest.WatchPeople(ctx, cc, hanako)
	if err != nil {
		t.Fatal(err)
	}
	<-opened
	stopped := make(chan error)
	go func() { stopped <- h.server.Stop(context.Background()) }()
	// A stream that would never end is ended, and says why.
	e, _ := problem.Parse(watch.RecvMsg(&typev1.Person{}))
	if e == nil || e.Reason != problem.ReasonDepartmentUnavailable || e.Metadata["department"] != "marketing" {
		t.Errorf("%v", e)
	}
	// An upload in progress is completed.
	for range 2 {
		if err := upload.SendMsg(hanako); err != nil {
			t.Error(err)
		}
	}
	if err := upload.RecvMsg(&typev1.Person{}); err != nil || uploads.Load() != 2 {
		t.Errorf("%d uploaded, %v", uploads.Load(), err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := rpctest.Call(ctx, cc, rpctest.Get, hanako); !problem.Is(err, problem.ReasonDepartmentUnavailable) {
		t.Errorf("after the stop: %v", err)
	}
}

func TestStopCutsAtItsDeadline(t *testing.T) {
	opened := make(chan struct{})
	h := start(t, rpctest.Handlers{Unary: func(ctx context.Context, _ string, _ *typev1.Person) (*typev1.Person, error) {
		close(opened)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	failed := make(chan error)
	cc := h.dial(t)
	go func() {
		_, err := rpctest.Call(t.Context(), cc, rpctest.Public, hanako)
		failed <- err
	}()
	<-opened
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.server.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := <-failed; err == nil {
		t.Error("answered")
	}
}

func TestDeadDepartment(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cc := closing(t)(Dial(addr, To(access.FieldSales)))
	for _, method := range []string{rpctest.Get, rpctest.Department} {
		_, err := rpctest.Call(t.Context(), cc, method, hanako)
		e, _ := problem.Parse(err)
		if e == nil || e.Reason != problem.ReasonDepartmentUnavailable || e.Metadata["department"] != "field-sales" || e.RetryAfter == 0 {
			t.Errorf("%s: %v", method, err)
		}
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", method, status.Code(err))
		}
	}
	s, err := rpctest.WatchPeople(t.Context(), cc, hanako)
	if err == nil {
		err = s.RecvMsg(&typev1.Person{})
	}
	if !problem.Is(err, problem.ReasonDepartmentUnavailable) {
		t.Errorf("stream: %v", err)
	}
}

func TestOnlyRepeatableCallsAreRepeated(t *testing.T) {
	var calls atomic.Int32
	h := start(t, rpctest.Handlers{Unary: func(context.Context, string, *typev1.Person) (*typev1.Person, error) {
		calls.Add(1)
		return nil, problem.Unavailable("marketing")
	}})
	cc := h.dial(t)
	for _, c := range []struct {
		name, method string
		key          bool
		want         int32
	}{{"read", rpctest.Get, false, 3}, {"command", rpctest.Department, false, 1}, {"command with a key", rpctest.Department, true, 3}} {
		calls.Store(0)
		ctx := h.ctx(t, access.RoleMarketing)
		if c.key {
			ctx = metadata.AppendToOutgoingContext(ctx, idempotency.Header, "k1")
		}
		if _, err := rpctest.Call(ctx, cc, c.method, hanako); !problem.Is(err, problem.ReasonDepartmentUnavailable) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := calls.Load(); got != c.want {
			t.Errorf("%s: made %d times", c.name, got)
		}
	}
}

// TestOneEffect goes the whole way: token, rule, key, transaction; and a panic stores nothing.
func TestOneEffect(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		var runs atomic.Int32
		h := start(t, rpctest.Handlers{Unary: func(ctx context.Context, _ string, p *typev1.Person) (*typev1.Person, error) {
			return store.Write(ctx, db, func(tx store.Tx) (*typev1.Person, error) {
				// The table of keys serves as the table of effects, too.
				tx.Queue(`INSERT INTO idempotency_keys (actor, method, key, request_hash, response_type, response, created_at, expires_at)
					SELECT 'effect', 'x', $1, request_hash, '', response, created_at, expires_at FROM idempotency_keys WHERE actor = 'sato'`, p.GetTitle())
				if err := tx.Flush(ctx); err != nil {
					return nil, err
				}
				if runs.Add(1) == 1 {
					panic("bug")
				}
				return &typev1.Person{Title: strconv.Itoa(int(runs.Load()))}, nil
			})
		}})
		count := func() int {
			n, err := store.Read(t.Context(), db, func(tx store.Tx) (int, error) {
				return store.Get[int](t.Context(), tx, "SELECT count(*) FROM idempotency_keys")
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		cc := h.dial(t)
		ctx := metadata.AppendToOutgoingContext(h.ctx(t, access.RoleMarketing), idempotency.Header, "k1")
		req := &typev1.Person{Title: "部長"}
		if _, err := rpctest.Call(ctx, cc, rpctest.Department, req); !problem.Is(err, problem.ReasonInternal) || count() != 0 {
			t.Errorf("panic: %v, and %d rows", err, count())
		}
		for range 3 {
			if p, err := rpctest.Call(ctx, cc, rpctest.Department, req); err != nil || p.GetTitle() != "2" || count() != 2 {
				t.Errorf("%v %v %d", p, err, count())
			}
		}
		if _, err := rpctest.Call(ctx, cc, rpctest.Department, hanako); !problem.Is(err, problem.ReasonIdempotencyKeyReused) {
			t.Errorf("%v", err)
		}
	}, idempotency.Migrations)
}
