// Package allinone runs every department and the gateway in one process, on embedded storage unless told otherwise. The
// departments speak gRPC with one another over in-memory connections, through the same steps as over a wire.
package allinone

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/tasuki-project/tasuki/services/customersuccess"
	"github.com/tasuki-project/tasuki/services/fieldsales"
	"github.com/tasuki-project/tasuki/services/gateway"
	"github.com/tasuki-project/tasuki/services/insidesales"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
	"github.com/tasuki-project/tasuki/services/marketing"
)

// Definitions are the departments of the house, in the order of the relay.
func Definitions() []department.Definition {
	return []department.Definition{marketing.Definition, insidesales.Definition, fieldsales.Definition, customersuccess.Definition}
}

// Options of a System.
type Options struct {
	// Database gives the DSN of a department.
	Database func(access.Department) string
	// Identity is with which a department calls others.
	Identity func(access.Department) (credentials.PerRPCCredentials, error)
	Verifier *access.Verifier
	Door     gateway.Door
	// Keys are the API keys, which the System takes over; nil knows none.
	Keys *gateway.Keys
	// TLS encrypts the gateway's port; nil leaves it plain.
	TLS *tls.Config
	// Patience is how long to wait for a PostgreSQL that cannot be reached; zero does not wait.
	Patience time.Duration
	// KeepEvents is how long departments keep their events at least; zero keeps them for ever.
	KeepEvents time.Duration
	Logger     *slog.Logger
}

// System is all departments and the gateway, put together and ready to start.
type System struct {
	services []*department.Service
	networks map[access.Department]*rpc.Loopback
	conns    []*grpc.ClientConn
	gateway  *gateway.Gateway
	keys     *gateway.Keys
}

// Open opens and migrates the databases and puts everything together.
func Open(ctx context.Context, o Options) (*System, error) {
	s := &System{keys: o.Keys, networks: map[access.Department]*rpc.Loopback{}}
	for _, d := range Definitions() {
		s.networks[d.Name] = rpc.InProcess()
	}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *System) open(ctx context.Context, o Options) error {
	definitions := Definitions()
	s.services = make([]*department.Service, len(definitions))
	peers := make([]map[access.Department]grpc.ClientConnInterface, len(definitions))
	for i, def := range definitions {
		as, err := o.Identity(def.Name)
		if err != nil {
			return err
		}
		conns, err := s.dial(def.Name, rpc.As(as))
		if err != nil {
			return err
		}
		peers[i] = conns
	}
	// Opening is mostly waiting for the disk, so the departments do it side by side.
	g, openCtx := errgroup.WithContext(ctx)
	for i, def := range definitions {
		g.Go(func() (err error) {
			s.services[i], err = department.Open(openCtx, def, department.Settings{
				DSN: o.Database(def.Name), Migrate: true, Patience: o.Patience, Verifier: o.Verifier, Peers: peers[i],
				KeepEvents: o.KeepEvents, Logger: o.Logger,
			})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	conns, err := s.dial("")
	if err != nil {
		return err
	}
	s.gateway, err = gateway.New(ctx, gateway.Options{
		Departments: conns, Verifier: o.Verifier, BodyBytes: o.Door.BodyBytes, UploadBytes: o.Door.UploadBytes, BodyTime: o.Door.BodyTime,
		AllowedOrigins: o.Door.AllowedOrigins, Keys: o.Keys, TLS: o.TLS, Logger: o.Logger,
	})
	return err
}

// dial connects to every department but the caller's own.
func (s *System) dial(from access.Department, opts ...rpc.DialOption) (map[access.Department]grpc.ClientConnInterface, error) {
	conns := map[access.Department]grpc.ClientConnInterface{}
	for to, network := range s.networks {
		if to == from {
			continue
		}
		conn, err := network.Dial(append(opts[:len(opts):len(opts)], rpc.To(to))...)
		if err != nil {
			return nil, fmt.Errorf("%s → %s: %w", from, to, err)
		}
		s.conns = append(s.conns, conn)
		conns[to] = conn
	}
	return conns, nil
}

// AddTo adds everything that runs to the group, and the gateway last: it serves once all departments do.
func (s *System) AddTo(group *lifecycle.Group, listener net.Listener) {
	group.Add(lifecycle.Part{Name: "connections", Stop: func(context.Context) error { return s.closeConns() }})
	for i, def := range Definitions() {
		for _, p := range s.services[i].Parts(s.networks[def.Name].Listener()) {
			group.Add(p)
		}
		group.OnReady(s.services[i].SetServing)
	}
	if s.keys != nil {
		group.Add(s.keys.Part())
	}
	group.Add(s.gateway.Part(listener))
}

// Close releases a System whose parts were never started.
func (s *System) Close() error {
	for _, service := range s.services {
		if service != nil {
			service.Close()
		}
	}
	if s.keys != nil {
		return errors.Join(s.keys.Close(), s.closeConns())
	}
	return s.closeConns()
}

func (s *System) closeConns() error {
	var errs error
	for _, c := range s.conns {
		errs = errors.Join(errs, c.Close())
	}
	return errs
}
