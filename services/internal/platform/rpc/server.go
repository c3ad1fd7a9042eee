package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/idempotency"
)

// MaxMessage is the largest message, in bytes, that servers and clients accept: a file to import fits in.
const MaxMessage = 32 << 20

// DefaultTimeout is the deadline of a unary call that has none.
const DefaultTimeout = 30 * time.Second

// Options of a Server.
type Options struct {
	// Department serves the calls; AUDIENCE_DEPARTMENT means its role.
	Department access.Department
	// Verifier checks the tokens. Required.
	Verifier *access.Verifier
	// Logger receives a line per call; nil logs nothing.
	Logger *slog.Logger
	// Idempotency may set how long answers are kept, and the clock.
	Idempotency idempotency.Options
	// UnaryTimeout is the deadline of unary calls that come without one; zero is DefaultTimeout.
	UnaryTimeout time.Duration
	// MaxConnectionAge makes clients connect anew, so that load spreads over new replicas; zero is 30 minutes. Streams
	// get one minute more and are then cut: clients resume them.
	MaxConnectionAge time.Duration
	// Credentials encrypt the connection; nil leaves it plain.
	Credentials credentials.TransportCredentials

	draining context.Context
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.UnaryTimeout == 0 {
		o.UnaryTimeout = DefaultTimeout
	}
	if o.MaxConnectionAge == 0 {
		o.MaxConnectionAge = 30 * time.Minute
	}
	return o
}

// Server is a gRPC server with health and reflection. It is a grpc.ServiceRegistrar. It starts as NOT_SERVING.
type Server struct {
	grpc   *grpc.Server
	health *health.Server
	drain  context.CancelFunc
	rules  error // the methods that lack a rule
}

// NewServer builds a server.
func NewServer(o Options) *Server {
	o = o.withDefaults()
	s := &Server{health: health.NewServer()}
	o.draining, s.drain = context.WithCancel(context.Background())
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: o.MaxConnectionAge, MaxConnectionAgeGrace: time.Minute,
			Time: time.Minute, Timeout: 20 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	}
	if o.Credentials != nil {
		opts = append(opts, grpc.Creds(o.Credentials))
	}
	for _, step := range Steps(o) {
		if step.Unary != nil {
			opts = append(opts, grpc.ChainUnaryInterceptor(step.Unary))
		}
		if step.Stream != nil {
			opts = append(opts, grpc.ChainStreamInterceptor(step.Stream))
		}
		if step.Stats != nil {
			opts = append(opts, grpc.StatsHandler(step.Stats))
		}
	}
	s.grpc = grpc.NewServer(opts...)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.SetServing(false)
	return s
}

// RegisterService implements grpc.ServiceRegistrar.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, m := range desc.Methods {
		s.checkRule(desc.ServiceName, m.MethodName)
	}
	for _, m := range desc.Streams {
		s.checkRule(desc.ServiceName, m.StreamName)
	}
	s.grpc.RegisterService(desc, impl)
	s.health.SetServingStatus(desc.ServiceName, healthv1.HealthCheckResponse_NOT_SERVING)
}

func (s *Server) checkRule(service, method string) {
	_, err := access.RuleOf("/" + service + "/" + method)
	s.rules = errors.Join(s.rules, err)
}

// Serve answers calls until Stop, and then returns nil. It may be called for several listeners. It fails at once when a
// registered method has no access rule.
func (s *Server) Serve(l net.Listener) error {
	if s.rules != nil {
		return s.rules
	}
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// SetServing tells health checks whether to send calls here.
func (s *Server) SetServing(on bool) {
	state := healthv1.HealthCheckResponse_NOT_SERVING
	if on {
		state = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", state)
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, state)
	}
}

// Stop takes no more calls, ends streams that only the server writes to, waits for the others until the context ends,
// and then cuts them. It returns the context's error when it had to cut.
func (s *Server) Stop(ctx context.Context) error {
	s.health.Shutdown()
	s.drain()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return ctx.Err()
	}
}
