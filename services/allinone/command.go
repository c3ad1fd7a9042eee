package allinone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tasuki-project/tasuki/services/gateway"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/config"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
	"github.com/tasuki-project/tasuki/services/internal/platform/version"
)

type cli struct {
	Up          upCmd        `cmd:"" help:"Run all departments and the gateway in this process."`
	Demo        demoCmd      `cmd:"" help:"Import lead files and play them through all departments; keeps serving afterwards."`
	Reconcile   reconcileCmd `cmd:"" help:"Compare the handoff ledgers of all departments through a running gateway, and mend what can be mended."`
	Backup      backupCmd    `cmd:"" help:"Copy all databases and keys as they are at one moment, while everything runs."`
	Restore     restoreCmd   `cmd:"" help:"Bring databases and keys back from a backup, to where there are none."`
	Feed        feedCmd      `cmd:"" help:"Follow the events of a department on the terminal."`
	Token       tokenCmd     `cmd:"" help:"Print a token for trying things out."`
	Migrate     migrateCmd   `cmd:"" help:"Bring all databases up to date and end."`
	Healthcheck healthCmd    `cmd:"" help:"Ask a running gateway whether it answers."`
	Version     versionCmd   `cmd:"" help:"Print the version."`
}

// Server are the settings that `up` and `demo` share.
type Server struct {
	config.Base
	Listen config.Address `help:"Address to serve HTTP on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	DSN    string         `name:"dsn" help:"PostgreSQL for all departments, with {department} where its database name has the department's; empty is a SQLite file per department in the data folder." placeholder:"DSN"`
	Door   gateway.Door   `embed:"" prefix:"door-" group:"door"`
	Events config.Events  `embed:""`

	APIKeysDSN string `name:"api-keys-dsn" help:"Database of API keys; empty is a SQLite file in the data folder." placeholder:"DSN"`
}

// Check looks at the settings that depend on one another.
func (s Server) Check() error {
	if s.DSN == "" {
		return nil
	}
	if !strings.Contains(s.DSN, placeholder) {
		return fmt.Errorf("--dsn needs %s in the database name, so that every department has its own", placeholder)
	}
	return config.DSN(s.DSN).Check()
}

const placeholder = "{department}"

// database is the DSN of a department; databases are called after departments without the hyphen.
func database(dsn, data string, d access.Department) string {
	return config.Database(config.DSN(strings.ReplaceAll(dsn, placeholder, strings.ReplaceAll(string(d), "-", ""))), data, d)
}

type (
	upCmd    struct{ Server }
	tokenCmd struct {
		Data string        `help:"Folder with the issuer's key." default:".data" placeholder:"DIR"`
		Role []string      `help:"Role, for instance marketing; repeat or separate by commas for several." required:"" placeholder:"ROLE"`
		User string        `help:"Who the token is for." default:"demo"`
		Name string        `help:"Name to show; the user when empty."`
		TTL  time.Duration `name:"ttl" help:"How long it is good." default:"12h"`
	}
	migrateCmd struct {
		Data string `help:"Folder of the embedded databases." default:".data" placeholder:"DIR"`
		DSN  string `name:"dsn" help:"PostgreSQL for all departments, with {department} in the database name." placeholder:"DSN"`

		Patience config.Patience `embed:""`

		Restored bool `help:"The databases come from a backup: let their feeds go on where readers miss nothing."`
	}
	healthCmd struct {
		Listen config.Address `help:"Address of the gateway." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
		TLS    config.TLS     `embed:"" prefix:"tls-" group:"tls"`
	}
	versionCmd struct{}
)

// Main is the whole program.
func Main() {
	var c cli
	ctx, err := config.Parse(&c, os.Args[1:], kong.Vars{}, kong.Name("tasuki"),
		kong.Description("The backend of a B2B revenue organisation: four departments, and a typed contract for every hand-over."))
	if err == nil {
		err = ctx.Run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "tasuki: %v\n", err)
		os.Exit(1)
	}
}

func (c *upCmd) Run() error {
	return c.serve(context.Background(), func(address string, took time.Duration, logger *slog.Logger) error {
		announce(os.Stdout, c.Server, address, took, logger)
		return nil
	})
}

// serve runs everything until a signal comes. Ready is called in the background once the gateway answers; its error
// ends everything, and errDone ends it well.
func (s *Server) serve(ctx context.Context, ready func(address string, took time.Duration, logger *slog.Logger) error) error {
	began := time.Now()
	logger, err := telemetry.NewLogger(telemetry.LogOptions{Level: s.Log.Level, Format: s.Log.Format})
	if err != nil {
		return err
	}
	endTelemetry, err := telemetry.Setup(ctx, telemetry.Options{Service: "tasuki", Version: version.Version})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Data, 0o750); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", string(s.Listen))
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	identity, err := s.Identity(ctx, logger)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	encrypt, err := s.TLS.Server(logger, gateway.Protocols...)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	keys, err := s.keys(ctx, identity, logger)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	system, err := Open(ctx, Options{
		Keys: keys, Database: func(d access.Department) string { return database(s.DSN, s.Data, d) },
		Identity: identity.Service, Verifier: identity.Verifier, Door: s.Door, TLS: encrypt,
		Patience: s.Patience.Database, KeepEvents: s.Events.Keep(), Logger: logger,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	group := lifecycle.New(lifecycle.Options{Logger: logger, DrainDelay: s.Shutdown.Drain, StopTimeout: s.Shutdown.Timeout})
	group.Add(lifecycle.Part{Name: "telemetry", Stop: endTelemetry})
	system.AddTo(group, listener)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	group.OnReady(func(on bool) {
		if !on {
			return
		}
		go func() {
			if err := ready(listener.Addr().String(), time.Since(began), logger); err != nil {
				cancel(err)
			}
		}()
	})
	if err := group.Run(ctx); err != nil && !errors.Is(err, errDone) {
		return err
	}
	return nil
}

// keys opens the API keys. In production they need a key of their own, and are off without.
func (s *Server) keys(ctx context.Context, identity *config.Identity, logger *slog.Logger) (*gateway.Keys, error) {
	issuer, err := identity.Machines()
	if err != nil {
		if s.APIKeysDSN == "" {
			return nil, nil
		}
		return nil, err
	}
	dsn := s.APIKeysDSN
	if dsn == "" {
		dsn = keysFile(s.Data)
	}
	return gateway.OpenKeys(ctx, gateway.KeyOptions{
		DSN: dsn, Migrate: true, Patience: s.Patience.Database, Issuer: issuer, Verifier: identity.Verifier, Logger: logger,
	})
}

// keysFile is the DSN of API keys when no other is set.
func keysFile(data string) string { return "sqlite:" + filepath.Join(data, "gateway.db") }

// errDone ends a program that has done its work.
var errDone = errors.New("done")

// announce says what runs where: in words for people on a terminal, as a log line otherwise.
func announce(w io.Writer, s Server, address string, took time.Duration, logger *slog.Logger) {
	logger.Info("serving", "component", "tasuki", "listen", address, "took", took, "version", version.Version)
	storage := "SQLite in " + filepath.Clean(s.Data)
	if s.DSN != "" {
		storage = "PostgreSQL"
	}
	fmt.Fprintf(w, `
Tasuki is ready (%d ms, %s).

  read and try   http://%s/docs
  health         http://%s/readyz
  a token        bin/tasuki token --data %s --role marketing

`, took.Milliseconds(), storage, address, address, s.Data)
}

func (c *tokenCmd) Run() error {
	roles := make([]access.Role, 0, len(c.Role))
	for _, name := range c.Role {
		role, ok := access.ParseRole(name)
		if !ok || role == access.RoleService {
			return fmt.Errorf("--role %q: roles are %s", name, humanRoles())
		}
		roles = append(roles, role)
	}
	if c.TTL <= 0 {
		return errors.New("--ttl must be positive")
	}
	issuer, err := access.OpenIssuer(access.EmbeddedIssuer, filepath.Join(c.Data, config.KeyFileName))
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		name = c.User
	}
	token, err := issuer.Token(c.User, name, roles, c.TTL)
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}

func humanRoles() string {
	var names []string
	for _, r := range access.Roles() {
		if r != access.RoleService {
			names = append(names, strings.ToLower(strings.ReplaceAll(string(r), "_", "-")))
		}
	}
	return strings.Join(names, ", ")
}

func (c *migrateCmd) Run() error {
	ctx := context.Background()
	if err := os.MkdirAll(c.Data, 0o750); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	logger, err := telemetry.NewLogger(telemetry.LogOptions{})
	if err != nil {
		return err
	}
	for _, def := range Definitions() {
		w := store.Waiting{Patience: c.Patience.Database, Logger: logger.With("department", string(def.Name))}
		leapt, err := migrate(ctx, database(c.DSN, c.Data, def.Name), w, def.Sets(), c.Restored)
		if err != nil {
			return fmt.Errorf("%s: %w", def.Name, err)
		}
		fmt.Printf("%s is up to date\n", def.Name)
		if leapt {
			fmt.Printf("%s was restored or has another server than before: its feed goes on after a leap\n", def.Name)
		}
	}
	return nil
}

func migrate(ctx context.Context, dsn string, w store.Waiting, sets []store.Migrations, restored bool) (leapt bool, err error) {
	w.Logger = w.Logger.With("dsn", config.DSN(dsn).String())
	db, err := store.Await(ctx, dsn, w, func(ctx context.Context, db *store.DB) error {
		if err := db.Migrate(ctx, sets...); err != nil {
			return err
		}
		leapt, err = event.Resume(ctx, db, restored, time.Now())
		return err
	})
	if err != nil {
		return false, err
	}
	db.Close()
	return leapt, nil
}

func (c *healthCmd) Run() error { return gateway.CheckHealth(string(c.Listen), c.TLS) }

func (versionCmd) Run() error {
	fmt.Println(version.String("tasuki"))
	return nil
}
