package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tasuki-project/tasuki/services/internal/platform/config"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
	"github.com/tasuki-project/tasuki/services/internal/platform/version"
)

type cli struct {
	Serve       serveCmd   `cmd:"" default:"withargs" help:"Serve the gateway (the default)."`
	Migrate     migrateCmd `cmd:"" help:"Bring the database of API keys up to date and end."`
	Healthcheck healthCmd  `cmd:"" help:"Ask a running gateway whether it answers; for container health checks."`
	Version     versionCmd `cmd:"" help:"Print the version."`
}

// Door are the settings of the HTTP port.
type Door struct {
	AllowedOrigins []string `help:"Origins of browsers on other hosts that may call, for instance https://app.example.com." placeholder:"ORIGIN"`
	BodyBytes      int64    `help:"Largest body of an ordinary request, in bytes." default:"1048576"`
	UploadBytes    int64    `help:"Largest body of a file upload, in bytes." default:"20971520"`

	BodyTime time.Duration `help:"Longest time that the body of an ordinary request may take to come; a file upload may take ten times as long." default:"30s"`
}

type serveCmd struct {
	config.Base
	Listen config.Address `help:"Address to serve HTTP on." default:"${listen}" placeholder:"HOST:PORT"`
	Peers  config.Peers   `embed:"" prefix:"peer-" group:"peers"`
	Door   Door           `embed:"" prefix:"door-" group:"door"`
	Keys   KeyFlags       `embed:"" prefix:"api-keys-" group:"api keys"`
}

type migrateCmd struct {
	Keys     KeyFlags        `embed:"" prefix:"api-keys-" group:"api keys"`
	Patience config.Patience `embed:""`
}

type healthCmd struct {
	Listen config.Address `help:"Address of the gateway." default:"${listen}" placeholder:"HOST:PORT"`
	TLS    config.TLS     `embed:"" prefix:"tls-" group:"tls"`
}

type versionCmd struct{}

// Main is the whole program of the gateway.
func Main() {
	var c cli
	ctx, err := config.Parse(&c, os.Args[1:], kong.Vars{"listen": "127.0.0.1:8080"}, kong.Name("gateway"),
		kong.Description("Tasuki's front door: REST, Connect, gRPC-Web and gRPC on one HTTP port."))
	if err == nil {
		err = ctx.Run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "gateway: %v\n", err)
		os.Exit(1)
	}
}

func (c *serveCmd) Run() error {
	ctx := context.Background()
	logger, err := telemetry.NewLogger(telemetry.LogOptions{Level: c.Log.Level, Format: c.Log.Format})
	if err != nil {
		return err
	}
	endTelemetry, err := telemetry.Setup(ctx, telemetry.Options{Service: "gateway", Version: version.Version})
	if err != nil {
		return err
	}
	identity, err := c.Identity(ctx, logger)
	if err != nil {
		return err
	}
	encrypt, err := c.TLS.Server(logger, Protocols...)
	if err != nil {
		return err
	}
	dial, err := c.TLS.Dial(logger)
	if err != nil {
		return err
	}
	peers, err := rpc.DialPeers(c.Peers.Target, "", dial...)
	if err != nil {
		return err
	}
	defer func() { _ = peers.Close() }() // the process ends
	keys, err := openKeys(ctx, identity, c.Keys, c.Patience.Database, logger)
	if err != nil {
		return err
	}
	gw, err := New(ctx, Options{
		Keys: keys, Departments: peers.Conns(), Verifier: identity.Verifier, BodyBytes: c.Door.BodyBytes, UploadBytes: c.Door.UploadBytes, BodyTime: c.Door.BodyTime,
		AllowedOrigins: c.Door.AllowedOrigins, TLS: encrypt, Logger: logger,
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", string(c.Listen))
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	group := lifecycle.New(lifecycle.Options{Logger: logger, DrainDelay: c.Shutdown.Drain, StopTimeout: c.Shutdown.Timeout})
	group.Add(lifecycle.Part{Name: "telemetry", Stop: endTelemetry})
	if keys != nil {
		group.Add(keys.Part())
	}
	group.Add(gw.Part(listener))
	logger.Info("serving", "component", "gateway", "listen", listener.Addr().String(), "version", version.Version)
	return group.Run(ctx)
}

// openKeys opens the API keys when they are switched on.
func openKeys(ctx context.Context, identity *config.Identity, f KeyFlags, patience time.Duration, logger *slog.Logger) (*Keys, error) {
	if f.DSN == "" {
		return nil, nil
	}
	issuer, err := identity.Machines()
	if err != nil {
		return nil, err
	}
	return OpenKeys(ctx, KeyOptions{
		DSN: f.DSN, Migrate: f.AutoMigrate, Patience: patience, Issuer: issuer, Verifier: identity.Verifier, Logger: logger,
	})
}

func (c *migrateCmd) Run() error { return migrateKeys(c.Keys.DSN, c.Patience.Database) }

func (c *healthCmd) Run() error { return CheckHealth(string(c.Listen), c.TLS) }

// CheckHealth asks the gateway at an address whether it answers.
func CheckHealth(address string, files config.TLS) error {
	own, err := files.Self(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	scheme := "http"
	if own != nil {
		scheme = "https"
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: own, DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not healthy: %s", resp.Status)
	}
	fmt.Println("healthy")
	return nil
}

func (versionCmd) Run() error {
	fmt.Println(version.String("gateway"))
	return nil
}
