package department

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/config"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
	"github.com/tasuki-project/tasuki/services/internal/platform/version"
)

// cli is the command line of a department's program.
type cli struct {
	Serve       serveCmd   `cmd:"" default:"withargs" help:"Serve the department (the default)."`
	Migrate     migrateCmd `cmd:"" help:"Bring the database up to date and end."`
	Healthcheck healthCmd  `cmd:"" help:"Ask a running service whether it is ready; for container health checks."`
	Version     versionCmd `cmd:"" help:"Print the version."`
}

type serveCmd struct {
	config.Service
	AutoMigrate bool          `help:"Bring the database up to date at the start; always so for SQLite."`
	Events      config.Events `embed:""`
}

type migrateCmd struct {
	Data string     `help:"Folder of the embedded database." default:".data" placeholder:"DIR"`
	DSN  config.DSN `name:"dsn" help:"Database: sqlite:PATH or postgres://…; empty is a SQLite file in the data folder." placeholder:"DSN"`

	Patience config.Patience `embed:""`

	Restored bool `help:"The database comes from a backup: let its feed go on where readers miss nothing."`
}

type healthCmd struct {
	Listen config.Address `help:"Address of the service." default:"${listen}" placeholder:"HOST:PORT"`
	TLS    config.TLS     `embed:"" prefix:"tls-" group:"tls"`
}

type versionCmd struct{}

// Ports of the departments when no other address is given.
var ports = map[access.Department]int{
	access.Marketing: 9001, access.InsideSales: 9002, access.FieldSales: 9003, access.CustomerSuccess: 9004, access.Insights: 9005,
}

// program is what a department's program is called.
func program(def Definition) string { return strings.ReplaceAll(string(def.Name), "-", "") }

// Main is the whole program of a department.
func Main(def Definition) {
	var c cli
	ctx, err := config.Parse(&c, os.Args[1:], kong.Vars{"listen": fmt.Sprintf("127.0.0.1:%d", ports[def.Name])},
		kong.Name(program(def)), kong.Description("Tasuki: the "+string(def.Name)+" department."), kong.Bind(def))
	if err == nil {
		err = ctx.Run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", program(def), err)
		os.Exit(1)
	}
}

func (c *serveCmd) Run(def Definition) error {
	ctx := context.Background()
	logger, err := telemetry.NewLogger(telemetry.LogOptions{Level: c.Log.Level, Format: c.Log.Format})
	if err != nil {
		return err
	}
	endTelemetry, err := telemetry.Setup(ctx, telemetry.Options{Service: string(def.Name), Version: version.Version})
	if err != nil {
		return err
	}
	identity, err := c.Identity(ctx, logger)
	if err != nil {
		return err
	}
	as, err := identity.Service(def.Name)
	if err != nil {
		return err
	}
	encrypt, err := c.TLS.Dial(logger)
	if err != nil {
		return err
	}
	own, err := c.TLS.Credentials(logger)
	if err != nil {
		return err
	}
	peers, err := rpc.DialPeers(c.Peers.Target, def.Name, append(encrypt, rpc.As(as))...)
	if err != nil {
		return err
	}
	defer func() { _ = peers.Close() }() // the process ends
	dsn := c.Database(def.Name)
	service, err := Open(ctx, def, Settings{
		DSN: dsn, Migrate: c.AutoMigrate || strings.HasPrefix(dsn, "sqlite:"), Patience: c.Patience.Database, Verifier: identity.Verifier, Credentials: own, Peers: peers.Conns(), Logger: logger,
		KeepEvents: c.Events.Keep(),
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", string(c.Listen))
	if err != nil {
		service.Close()
		return fmt.Errorf("--listen: %w", err)
	}
	group := lifecycle.New(lifecycle.Options{Logger: logger, DrainDelay: c.Shutdown.Drain, StopTimeout: c.Shutdown.Timeout})
	group.Add(lifecycle.Part{Name: "telemetry", Stop: endTelemetry})
	for _, p := range service.Parts(listener) {
		group.Add(p)
	}
	group.OnReady(service.SetServing)
	logger.Info("serving", "department", string(def.Name), "listen", listener.Addr().String(), "dsn", config.DSN(dsn).String(), "version", version.Version)
	return group.Run(ctx)
}

func (c *migrateCmd) Run(def Definition) error {
	ctx := context.Background()
	logger, err := telemetry.NewLogger(telemetry.LogOptions{})
	if err != nil {
		return err
	}
	dsn := config.Database(c.DSN, c.Data, def.Name)
	var leapt bool
	var statuses []store.SetStatus
	w := store.Waiting{Patience: c.Patience.Database, Logger: logger.With("dsn", config.DSN(dsn).String())}
	db, err := store.Await(ctx, dsn, w, func(ctx context.Context, db *store.DB) error {
		if err := db.Migrate(ctx, def.Sets()...); err != nil {
			return err
		}
		if statuses, err = db.SchemaStatus(ctx, def.Sets()...); err != nil {
			return err
		}
		leapt, err = event.Resume(ctx, db, c.Restored, time.Now()) // last, so that no attempt after a leap hides it
		return err
	})
	if err != nil {
		return err
	}
	defer db.Close()
	if leapt {
		fmt.Println("the database was restored or has another server than before: its feed goes on after a leap")
	}
	for _, s := range statuses {
		fmt.Printf("%-16s version %d\n", s.Name, s.Have)
	}
	return nil
}

func (c *healthCmd) Run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var opts []rpc.DialOption
	own, err := c.TLS.Self(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if own != nil {
		opts = append(opts, rpc.Secure(credentials.NewTLS(own)))
	}
	conn, err := rpc.Dial(string(c.Listen), opts...)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // the process ends
	reply, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if reply.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		return fmt.Errorf("not ready: %s", reply.GetStatus())
	}
	fmt.Println("ready")
	return nil
}

func (versionCmd) Run(def Definition) error {
	fmt.Println(version.String(program(def)))
	return nil
}
