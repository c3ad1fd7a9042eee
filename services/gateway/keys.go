package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"

	gatewayv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/gateway/v1"
	"github.com/tasuki-project/tasuki/services/gateway/internal/apikey"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/config"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

// Self is the name of the gateway where departments have theirs: of its own service, and in prefixes.
const Self access.Department = "gateway"

// KeyOptions of OpenKeys.
type KeyOptions struct {
	// DSN is the database of the keys: `sqlite:PATH` or `postgres://…`.
	DSN string
	// Migrate brings it up to date at the start; it is always so for SQLite.
	Migrate bool
	// Patience is how long to wait for a PostgreSQL that cannot be reached; zero does not wait.
	Patience time.Duration
	// Issuer signs the tokens that stand for keys; departments must trust it.
	Issuer *access.Issuer
	// Verifier checks the tokens of those who keep up keys.
	Verifier *access.Verifier
	// Clock is the time; nil is the system's.
	Clock clock.Clock
	// Logger receives what happens; nil discards it.
	Logger *slog.Logger
}

// Keys are the API keys of a gateway: their store, their service and their exchange.
type Keys struct {
	db       *store.DB
	exchange *apikey.Exchange
	server   *rpc.Server
	network  *rpc.Loopback
	conn     *grpc.ClientConn
}

// OpenKeys opens and checks the database of keys. Nothing is served until Part runs; call Close when it never does.
func OpenKeys(ctx context.Context, o KeyOptions) (*Keys, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := store.Waiting{Patience: o.Patience, Logger: o.Logger.With("component", "gateway", "dsn", config.DSN(o.DSN).String())}
	db, err := store.Await(ctx, o.DSN, w, func(ctx context.Context, db *store.DB) error {
		if o.Migrate || db.Engine() == store.SQLite {
			return db.Migrate(ctx, apikey.Sets()...)
		}
		return keysUpToDate(ctx, db)
	}, store.WithApplicationName("tasuki-gateway"))
	if err != nil {
		return nil, fmt.Errorf("API keys: %w", err)
	}
	k := &Keys{db: db, network: rpc.InProcess()}
	if k.conn, err = k.network.Dial(rpc.To(Self)); err != nil {
		db.Close()
		return nil, fmt.Errorf("API keys: %w", err)
	}
	k.exchange = &apikey.Exchange{DB: db, Issuer: o.Issuer, Clock: o.Clock, Logger: o.Logger}
	k.server = rpc.NewServer(rpc.Options{Department: Self, Verifier: o.Verifier, Logger: o.Logger}) //nolint:contextcheck // it outlives the context of the start
	gatewayv1.RegisterApiKeyServiceServer(k.server, &apikey.Server{DB: db, Clock: o.Clock, Exchange: k.exchange})
	return k, nil
}

// KeySets are the migrations of a database of API keys.
func KeySets() []store.Migrations { return apikey.Sets() }

func keysUpToDate(ctx context.Context, db *store.DB) error {
	statuses, err := db.SchemaStatus(ctx, apikey.Sets()...)
	if err != nil {
		return err
	}
	for _, st := range statuses {
		if st.Behind() {
			return errors.New("the database is behind this program: run `gateway migrate` with the same --api-keys-dsn first")
		}
	}
	return nil
}

// Part serves the keys' own service inside the process, and closes the store at the end.
func (k *Keys) Part() lifecycle.Part {
	return lifecycle.Part{
		Name: "api keys",
		Run:  func(context.Context) error { return k.server.Serve(k.network.Listener()) },
		Stop: func(ctx context.Context) error {
			err := errors.Join(k.conn.Close(), k.server.Stop(ctx))
			k.db.Close()
			return err
		},
	}
}

// Close releases Keys whose Part never ran.
func (k *Keys) Close() error {
	err := k.conn.Close()
	k.db.Close()
	return err
}

// KeyFlags are the settings of API keys.
type KeyFlags struct {
	DSN         string `name:"dsn" help:"Database of API keys: sqlite:PATH or postgres://…; replicas of the gateway share one." placeholder:"DSN"`
	AutoMigrate bool   `help:"Bring the database of API keys up to date at the start; always so for SQLite."`
}

// migrateKeys brings a database of keys up to date.
func migrateKeys(dsn string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute+patience)
	defer cancel()
	if strings.TrimSpace(dsn) == "" {
		fmt.Println("no --api-keys-dsn: nothing to bring up to date")
		return nil
	}
	logger, err := telemetry.NewLogger(telemetry.LogOptions{})
	if err != nil {
		return err
	}
	w := store.Waiting{Patience: patience, Logger: logger.With("dsn", config.DSN(dsn).String())}
	db, err := store.Await(ctx, dsn, w, func(ctx context.Context, db *store.DB) error { return db.Migrate(ctx, apikey.Sets()...) })
	if err != nil {
		return err
	}
	defer db.Close()
	fmt.Println("gateway is up to date")
	return nil
}
