package rpc

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// Loopback is a network inside the process: a Server serves its Listener, and its Dial reaches that server through the
// same steps as over a wire.
type Loopback struct{ l *bufconn.Listener }

// InProcess makes a Loopback.
func InProcess() *Loopback { return &Loopback{l: bufconn.Listen(256 << 10)} }

// Listener is what the server serves. It is closed with the server.
func (n *Loopback) Listener() net.Listener { return n.l }

// Dial makes a client connection to the server behind.
func (n *Loopback) Dial(opts ...DialOption) (*grpc.ClientConn, error) {
	dialer := func(o *dialOptions) {
		o.dialer = func(ctx context.Context, _ string) (net.Conn, error) { return n.l.DialContext(ctx) }
	}
	return Dial("passthrough:///in-process", append(opts, dialer)...)
}
