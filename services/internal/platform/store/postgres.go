package store

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// cleanupTimeout bounds what ends a transaction after its context may have ended.
const cleanupTimeout = 5 * time.Second

// connectTimeout bounds the way to one address of a server, unless the DSN has a connect_timeout. The driver's two minutes are
// longer than anybody waits for an address that does not answer at all, such as that of a pod that is gone.
const connectTimeout = 10 * time.Second

// migrationLock is the advisory lock that replicas queue on to migrate one database.
const migrationLock = 0x7461_7375_6b69 // "tasuki"

type pgBackend struct {
	pool *pgxpool.Pool
	once sync.Once
}

func openPostgres(ctx context.Context, dsn string, o options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The parser's error repeats parts of the DSN.
		return nil, fmt.Errorf("store: the PostgreSQL DSN cannot be parsed")
	}
	// An option beats pool_max_conns in the DSN, which beats the default.
	if o.maxConns > 0 {
		cfg.MaxConns = o.maxConns
	} else if !strings.Contains(dsn, "pool_max_conns=") {
		cfg.MaxConns = max(cfg.MaxConns, 16, int32(4*runtime.NumCPU()))
	}
	if cfg.ConnConfig.ConnectTimeout <= 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	cfg.MaxConnLifetimeJitter = cfg.MaxConnLifetime / 10
	params := cfg.ConnConfig.RuntimeParams
	params["timezone"] = "UTC"
	params["default_transaction_isolation"] = "read committed"
	if params["application_name"] == "" {
		params["application_name"] = o.appName
	}
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		types := conn.TypeMap()
		types.RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID,
			Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, unavailable(err)
	}
	be := &pgBackend{pool: pool}
	if err := be.ping(ctx); err != nil {
		pool.Close()
		return nil, unavailable(err)
	}
	return &DB{engine: Postgres, dialect: Dialect{Postgres}, be: be}, nil
}

func (b *pgBackend) ping(ctx context.Context) error { return b.pool.Ping(ctx) }

func (b *pgBackend) close() { b.once.Do(b.pool.Close) }

func (b *pgBackend) begin(_ context.Context, readOnly bool) transaction {
	tx := &pgTx{pool: b.pool}
	if readOnly {
		tx.readOnly = true
		tx.options = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	}
	return tx
}

func (b *pgBackend) migrationDB(ctx context.Context) (*sql.DB, func(), error) {
	conn, err := b.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	// Blocking, unlike goose's own locker, which polls: the next replica goes on as soon as this one is done.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		conn.Release()
		return nil, nil, err
	}
	db := stdlib.OpenDBFromPool(b.pool)
	return db, func() {
		_ = db.Close() // the pool stays open
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_unlock($1)", int64(migrationLock)); err != nil {
			_ = conn.Conn().Close(ctx) // the lock ends with its session
		}
		conn.Release()
		b.pool.Reset() // statements that were prepared on the old tables
	}, nil
}

// endSession ends a transaction whose result nobody waits for and gives the connection back. A connection that cannot be
// brought back to idle is closed by Release.
func endSession(conn *pgxpool.Conn, statement string) {
	if pc := conn.Conn().PgConn(); !pc.IsClosed() && pc.TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		_, _ = pc.Exec(ctx, statement).ReadAll()
		cancel()
	}
	conn.Release()
}
