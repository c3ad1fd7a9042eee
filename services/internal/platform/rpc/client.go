package rpc

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver/dns"
	"google.golang.org/grpc/status"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/idempotency"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

type dialOptions struct {
	department string
	timeout    time.Duration
	identity   credentials.PerRPCCredentials
	transport  credentials.TransportCredentials
	dialer     func(context.Context, string) (net.Conn, error)
	attempts   uint
	keepalive  keepalive.ClientParameters
}

// Over a connection with calls on it that is silent for pingAfter the other side is asked whether it lives; it is given up when it says
// nothing for pingTimeout. Calls to a machine that went without a word then fail, and may be made again elsewhere. Servers close
// connections that ask more often than every minPing.
const (
	pingAfter   = 12 * time.Second
	pingTimeout = 5 * time.Second
	minPing     = 10 * time.Second
)

// DialOption changes a client connection.
type DialOption func(*dialOptions)

// To names the department at the other end, for the error when it cannot be reached.
func To(d access.Department) DialOption { return func(o *dialOptions) { o.department = d.String() } }

// As sends a token with every call: access.Issuer.Service for the service's own identity, access.Forward for the
// caller's.
func As(identity credentials.PerRPCCredentials) DialOption {
	return func(o *dialOptions) { o.identity = identity }
}

// Timeout is the deadline of unary calls that have none; default DefaultTimeout.
func Timeout(d time.Duration) DialOption { return func(o *dialOptions) { o.timeout = d } }

// Attempts bounds how often a repeatable call is made; default 3, and 1 switches repeating off.
func Attempts(n uint) DialOption { return func(o *dialOptions) { o.attempts = n } }

// A replica that ends closes its connections, and the name is asked for again. gRPC's own pause of 30 s between two questions
// would leave callers with the addresses of the dead when replicas are replaced one soon after the other.
func init() { dns.SetMinResolutionInterval(time.Second) }

const serviceConfig = `{"loadBalancingConfig": [{"round_robin": {}}]}`

// Dial makes a client connection. It does not connect yet, so the other side may be down.
func Dial(target string, opts ...DialOption) (*grpc.ClientConn, error) {
	o := dialOptions{
		department: "the department", timeout: DefaultTimeout, transport: insecure.NewCredentials(), attempts: 3,
		keepalive: keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout},
	}
	for _, opt := range opts {
		opt(&o)
	}
	connect := backoff.DefaultConfig
	connect.BaseDelay, connect.MaxDelay = 100*time.Millisecond, 3*time.Second
	grpcOpts := []grpc.DialOption{
		grpc.WithTransportCredentials(o.transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: connect, MinConnectTimeout: 3 * time.Second}),
		grpc.WithKeepaliveParams(o.keepalive),
		grpc.WithChainUnaryInterceptor(o.unary, repeat(o.attempts)),
		grpc.WithChainStreamInterceptor(o.stream),
	}
	if o.identity != nil {
		grpcOpts = append(grpcOpts, grpc.WithPerRPCCredentials(o.identity))
	}
	if o.dialer != nil {
		grpcOpts = append(grpcOpts, grpc.WithContextDialer(o.dialer))
	}
	if telemetry.Enabled() {
		grpcOpts = append(grpcOpts, grpc.WithStatsHandler(otelgrpc.NewClientHandler()))
	}
	return grpc.NewClient(target, grpcOpts...)
}

func (o dialOptions) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	return o.explain(invoker(withRequestID(ctx), method, req, reply, cc, opts...))
}

func (o dialOptions) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(withRequestID(ctx), desc, cc, method, opts...)
	if err != nil {
		return nil, o.explain(err)
	}
	return explainedStream{s, o}, nil
}

type explainedStream struct {
	grpc.ClientStream
	o dialOptions
}

func (s explainedStream) RecvMsg(m any) error { return s.o.explain(s.ClientStream.RecvMsg(m)) }

// explain gives gRPC's own UNAVAILABLE the reason and the name of the department. What a service said itself stays.
func (o dialOptions) explain(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if status.Code(err) == codes.Unavailable && problem.ReasonOf(err) == 0 {
		return problem.Unavailable(o.department).Because(err)
	}
	return err
}

func withRequestID(ctx context.Context) context.Context {
	id := problem.RequestID(ctx)
	if id == "" {
		return ctx
	}
	if md, _ := metadata.FromOutgoingContext(ctx); len(md.Get(RequestIDHeader)) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, RequestIDHeader, id)
}

// repeat makes a call again that found nobody, if a second effect is impossible.
func repeat(attempts uint) grpc.UnaryClientInterceptor {
	again := retry.UnaryClientInterceptor(
		retry.WithMax(attempts), retry.WithCodes(codes.Unavailable),
		retry.WithBackoff(retry.BackoffExponentialWithJitterBounded(50*time.Millisecond, 0.3, time.Second)),
	)
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if attempts <= 1 || !repeatable(ctx, method) {
			return invoker(ctx, method, req, reply, cc, opts...)
		}
		return again(ctx, method, req, reply, cc, invoker, opts...)
	}
}

func repeatable(ctx context.Context, method string) bool {
	if idempotency.IsRead(method) {
		return true
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	return len(md.Get(idempotency.Header)) > 0
}
