package rpc

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	_ "unsafe" // for go:linkname

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc/rpctest"
)

// leastPing is how soon gRPC lets a client ask at all: 10 s, which a test does not want to wait for.
//
//go:linkname leastPing google.golang.org/grpc/internal.KeepaliveMinPingTime
var leastPing time.Duration

// muted is a network that can fall silent: connections stay open and new ones are accepted, but nothing comes through any more.
type muted struct {
	net.Listener
	silent atomic.Bool
	lost   chan struct{} // what a client sent into the silence
}

func (m *muted) relay(t *testing.T, to string) {
	var wg sync.WaitGroup
	var open sync.Map
	t.Cleanup(func() {
		_ = m.Close() // ends Accept below
		open.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	pass := func(from, to net.Conn, sent bool) {
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			if m.silent.Load() {
				if sent && n > 0 {
					select {
					case m.lost <- struct{}{}:
					default:
					}
				}
			} else if _, werr := to.Write(buffer[:n]); werr != nil {
				err = errors.Join(err, werr)
			}
			if err != nil {
				_ = to.Close() // so that the other direction ends, too
				return
			}
		}
	}
	wg.Go(func() {
		for {
			in, err := m.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
			if err != nil {
				_ = in.Close() // the test is at its end
				continue
			}
			open.Store(in, nil)
			open.Store(out, nil)
			wg.Go(func() { pass(in, out, true) })
			wg.Go(func() { pass(out, in, false) })
		}
	})
}

// TestSilentPeerIsGivenUp: a machine that went without a word must not hold calls until their deadlines.
func TestSilentPeerIsGivenUp(t *testing.T) {
	before := leastPing
	leastPing = 50 * time.Millisecond
	t.Cleanup(func() { leastPing = before })

	h := start(t, rpctest.Handlers{Watch: func(_ *typev1.Person, s grpc.ServerStream) error {
		<-s.Context().Done()
		return nil
	}})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	network := &muted{Listener: l, lost: make(chan struct{}, 1)}
	network.relay(t, h.addr)
	quick := func(o *dialOptions) {
		o.keepalive.Time, o.keepalive.Timeout = 50*time.Millisecond, 200*time.Millisecond
	}
	cc := closing(t)(Dial(l.Addr().String(), To(access.Marketing), Attempts(1), quick))
	ctx, cancel := context.WithTimeout(h.ctx(t, access.RoleViewer), 20*time.Second)
	defer cancel()
	if _, err := rpctest.Call(ctx, cc, rpctest.Get, hanako); err != nil {
		t.Fatalf("while the network speaks: %v", err)
	}
	stream, err := rpctest.WatchPeople(ctx, cc, hanako)
	if err != nil {
		t.Fatal(err)
	}

	network.silent.Store(true)
	_, unary := rpctest.Call(ctx, cc, rpctest.Get, hanako)
	<-network.lost // the call was on its way, and so not refused at this side
	// UNAVAILABLE comes from the connection; the caller's own 20 s would end as DEADLINE_EXCEEDED.
	if status.Code(unary) != codes.Unavailable {
		t.Errorf("the call ends with %v", unary)
	}
	if err := stream.RecvMsg(&typev1.Person{}); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ends with %v", err)
	}
}

// TestPingsFit holds what clients ask for against what servers, those of the version before too, put up with.
func TestPingsFit(t *testing.T) {
	if most := pingAfter + pingTimeout; most > 20*time.Second {
		t.Errorf("a silent peer holds calls for %v", most)
	}
	if pingAfter <= minPing {
		t.Errorf("clients ask every %v, and servers put up with every %v", pingAfter, minPing)
	}
	if minPing > 10*time.Second {
		t.Errorf("servers put up with every %v: clients of the version before would be refused", minPing)
	}
}
