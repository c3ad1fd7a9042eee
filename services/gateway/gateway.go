// Package gateway is the front door of Tasuki: one HTTP port that offers every department as REST, Connect, gRPC-Web and
// gRPC, with the documents to read them by.
package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tasuki-project/tasuki/services/gateway/internal/bridge"
	"github.com/tasuki-project/tasuki/services/gateway/internal/docs"
	"github.com/tasuki-project/tasuki/services/gateway/internal/door"
	"github.com/tasuki-project/tasuki/services/gateway/internal/rest"
	"github.com/tasuki-project/tasuki/services/gateway/internal/upstream"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

// Limits of the door unless Options say otherwise, in bytes.
const (
	DefaultBodyBytes   = 1 << 20
	DefaultUploadBytes = 20 << 20
)

// DefaultBodyTime is how long an ordinary body may take to come unless Options say otherwise.
const DefaultBodyTime = 30 * time.Second

// Options of a gateway.
type Options struct {
	// Departments by name, each with a connection to its gRPC address. A department that is missing answers 404.
	Departments map[access.Department]grpc.ClientConnInterface
	// Verifier checks tokens before a call leaves the gateway.
	Verifier *access.Verifier
	// BodyBytes and UploadBytes bound ordinary bodies and file uploads; 0 means the defaults.
	BodyBytes, UploadBytes int64
	// BodyTime is how long an ordinary body may take to come; 0 means the default.
	BodyTime time.Duration
	// AllowedOrigins for browsers on other hosts, for instance `https://app.example.com`; empty allows none.
	AllowedOrigins []string
	// Keys are the API keys; nil knows none.
	Keys *Keys
	// TLS encrypts the port; nil leaves it plain.
	TLS *tls.Config
	// Logger is told of callers who are turned away; nil logs nothing.
	Logger *slog.Logger
}

// Gateway is the handler of the HTTP port, and what ends its streams.
type Gateway struct {
	handler http.Handler
	drain   context.CancelFunc
	tls     *tls.Config
	logger  *slog.Logger
}

// ServeHTTP answers a request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// New builds the handler of the HTTP port. The context bounds nothing but the registration.
func New(ctx context.Context, o Options) (*Gateway, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	draining, drain := context.WithCancel(context.WithoutCancel(ctx))
	h, err := build(ctx, draining, o)
	if err != nil {
		drain()
		return nil, err
	}
	return &Gateway{handler: h, drain: drain, tls: o.TLS, logger: o.Logger}, nil
}

func build(ctx, draining context.Context, o Options) (http.Handler, error) {
	if o.BodyBytes == 0 {
		o.BodyBytes = DefaultBodyBytes
	}
	if o.UploadBytes == 0 {
		o.UploadBytes = DefaultUploadBytes
	}
	if o.BodyTime == 0 {
		o.BodyTime = DefaultBodyTime
	}
	root := http.NewServeMux()
	health := &healthDoor{conns: o.Departments}
	root.HandleFunc("GET /healthz", health.live)
	root.HandleFunc("GET /readyz", health.ready)
	var names []string
	for _, d := range access.Departments() {
		conn, ok := o.Departments[d]
		if !ok {
			continue
		}
		names = append(names, string(d))
		if err := mountDepartment(ctx, root, d, o.upstream(draining, d, conn), o.limits()); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("gateway: no department is configured; name at least one, for instance --peer-marketing=127.0.0.1:9001")
	}
	if o.Keys != nil {
		names = append(names, string(Self))
		services := servicesIn(gatewayPackage)
		if err := mount(ctx, root, string(Self), services, services, o.upstream(draining, Self, o.Keys.conn), o.limits()); err != nil {
			return nil, err
		}
	}
	if err := docs.Register(root, names); err != nil {
		return nil, err
	}
	root.HandleFunc("/", notFound)
	h, err := door.New(root, door.Options{
		Limits: door.Limits{BodyBytes: o.BodyBytes, UploadBytes: o.UploadBytes, BodyTime: o.BodyTime}, AllowedOrigins: o.AllowedOrigins,
	})
	if err != nil {
		return nil, err
	}
	if !telemetry.Enabled() {
		return h, nil // it would measure all the same, for nobody
	}
	return otelhttp.NewHandler(h, "gateway", otelhttp.WithFilter(func(r *http.Request) bool {
		return r.URL.Path != "/healthz" && r.URL.Path != "/readyz"
	})), nil
}

func notFound(w http.ResponseWriter, r *http.Request) {
	door.WriteStatus(w, http.StatusNotFound, problem.NotFound("path", r.URL.Path).GRPCStatus())
}

func (o Options) limits() bridge.Limits {
	return bridge.Limits{Body: int(o.BodyBytes), Upload: int(o.UploadBytes)}
}

// upstream is the way to a department, or to the gateway's own service.
func (o Options) upstream(draining context.Context, d access.Department, conn grpc.ClientConnInterface) *upstream.Conn {
	to := upstream.Options{Department: d, Verifier: o.Verifier, Logger: o.Logger}
	if o.Keys != nil {
		to.Exchange = o.Keys.exchange.Token
	}
	return upstream.New(draining, to, conn)
}

func mountDepartment(ctx context.Context, root *http.ServeMux, d access.Department, conn grpc.ClientConnInterface, limits bridge.Limits) error {
	services, err := servicesOf(d)
	if err != nil {
		return err
	}
	return mount(ctx, root, string(d), services, servicesIn(d.Package()), conn, limits)
}

// mount puts services under a prefix: REST at /<prefix>/v1/…, Connect and gRPC-Web at /<prefix>/<service>/<method>. Those
// that nobody else has are also at /<service>/<method>, where plain gRPC clients look for them.
func mount(ctx context.Context, root *http.ServeMux, name string, services, own []protoreflect.ServiceDescriptor, conn grpc.ClientConnInterface, limits bridge.Limits) error {
	var rests []rest.Registration
	connects := http.NewServeMux()
	connects.HandleFunc("/", notFound)
	for _, s := range services {
		bridge.Register(connects, s, conn, limits)
		if r, ok := registrations[s.FullName()]; ok {
			rests = append(rests, r)
		}
		if slices.Contains(own, s) {
			bridge.Register(root, s, conn, limits)
		}
	}
	mux, err := rest.NewMux(ctx, conn, rests...)
	if err != nil {
		return err
	}
	prefix := "/" + name
	root.Handle(prefix+"/", http.StripPrefix(prefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/tasuki.") {
			connects.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})))
	return nil
}

// shared are the packages whose services every department serves.
var shared = []string{"tasuki.handoff.v1", "tasuki.feed.v1", "tasuki.jobs.v1", "tasuki.party.v1"}

// servicesOf lists the services of a department: its own and the shared ones, from the descriptors linked in.
func servicesOf(d access.Department) ([]protoreflect.ServiceDescriptor, error) {
	var found []protoreflect.ServiceDescriptor
	packages := append([]string{d.Package()}, shared...)
	for _, p := range packages {
		in := servicesIn(p)
		if len(in) == 0 {
			return nil, fmt.Errorf("gateway: no service of package %s is linked in", p)
		}
		found = append(found, in...)
	}
	return found, nil
}

// gatewayPackage holds the gateway's own service.
const gatewayPackage = "tasuki.gateway.v1"

func servicesIn(pkg string) []protoreflect.ServiceDescriptor {
	var found []protoreflect.ServiceDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage(protoreflect.FullName(pkg), func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			found = append(found, f.Services().Get(i))
		}
		return true
	})
	return found
}
