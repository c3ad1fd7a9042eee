package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tasuki-project/tasuki/services/internal/platform/together"
)

// Engine names a database engine.
type Engine string

// The two engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Row is the result of QueryRow. Scan reports ErrNoRows when there is none, and closes the row.
type Row interface {
	Scan(dest ...any) error
}

// Rows are read front to back. They must be closed, or read to the end, before the next statement of the transaction:
// a statement on open rows fails on both engines.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	// Close may be called more than once.
	Close()
	// Err is the error that ended Next, if any.
	Err() error
	Columns() []string
}

// Tx is one transaction. It belongs to one goroutine and ends with the closure it was given to. After a failed statement or
// Scan (ErrNoRows is none) everything else fails with the same error, and so does the commit, on both engines: what may be
// refused and gone on from, is said in SQL (ON CONFLICT).
//
// Arguments and destinations are plain Go values: string, integers, float64, bool, []byte, time.Time, pointers to them for
// NULL, JSON, and anything that implements driver.Valuer or sql.Scanner.
type Tx interface {
	// Query runs a statement that returns rows. An error of the statement may show in Query or in Rows.Err.
	Query(ctx context.Context, sql string, args ...any) (Rows, error)
	// QueryRow runs a statement of which the first row matters. Scan must be called.
	QueryRow(ctx context.Context, sql string, args ...any) Row
	// Exec runs a statement and tells how many rows it changed.
	Exec(ctx context.Context, sql string, args ...any) (rowsAffected int64, err error)
	// Queue adds a statement whose result does not matter. It is sent with the next statement or with the commit, in
	// order. Its error fails that statement, or the Write as a whole, and everything is rolled back.
	Queue(sql string, args ...any)
	// Append queues a row of a table. Rows of one table travel together, in order, in as few INSERTs as can be: ahead of the
	// next statement that names the table, sent or queued, or else with Flush, SQLTx or the commit. Tables follow one another in the
	// order of their first row. So neither a statement on another table, nor a row that is appended later to a table used earlier,
	// may need the row: a row that others refer to is written by Queue.
	Append(table string, columns []string, values ...any)
	// Flush sends what is queued and appended now, and reports its first error.
	Flush(ctx context.Context) error
	// Dialect has the SQL fragments that differ between the engines.
	Dialect() Dialect
	// Notes are what closures of this transaction remember for one another, by keys of their own types: what was read once, and is
	// forgotten by whoever changes it.
	Notes() map[any]any
	// AfterCommit registers fn to run once, in order, after a successful commit. It does not run after a rollback, and
	// functions of attempts that were retried are dropped.
	AfterCommit(fn func())
	// SQLTx is the transaction under this one for libraries that need it (River); it begins it, and sends what is queued.
	// Nil on PostgreSQL. Nil, too, when beginning or sending failed: return then, and Write reports that error.
	SQLTx() *sql.Tx
	// PgxTx is the same for PostgreSQL. BEGIN and what is queued travel with its first statement. Its Commit and Rollback
	// fail: the closure's result decides. Nil on SQLite.
	PgxTx() pgx.Tx
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine  Engine
	dialect Dialect
	be      backend
	// shared is the gate of Writes that may share a transaction.
	shared *together.Gate[*member]
	// commits may fail Writes, see WithCommits.
	commits Commits
	// statements sees every statement, see WithStatements.
	statements func(sql string, args []any)
}

// backend is what an engine has to do.
type backend interface {
	// begin makes a transaction that takes no connection before its first statement.
	begin(ctx context.Context, readOnly bool) transaction
	ping(ctx context.Context) error
	pools() []Pool
	close()
	// migrationDB opens a database/sql view for goose, and holds off other replicas until release is called.
	migrationDB(ctx context.Context) (db *sql.DB, release func(), err error)
}

// transaction is a Tx seen from Write and Read.
type transaction interface {
	Tx
	commit(ctx context.Context) error
	rollback()
	// sawUnique tells whether a statement of this transaction hit a unique violation.
	sawUnique() bool
	// failure is the error that spoiled the transaction: one failed statement fails all that follow, and the commit.
	failure() error
	committed() []func()
	// share makes it one that several closures share, under ctx. written counts what they did besides reading.
	share(ctx context.Context)
	written() int
	// mark queues a savepoint. forget drops what this transaction keeps of everything after it, once the savepoint was sent.
	mark() (forget func())
}

type options struct {
	maxConns    int32
	readers     int
	appName     string
	busyTimeout time.Duration
	relaxed     bool
	commits     Commits
	statements  func(sql string, args []any)
}

// Option changes how Open opens.
type Option func(*options)

// WithMaxConns bounds the connections to PostgreSQL. Default: 4 per CPU, at least 16.
func WithMaxConns(n int) Option { return func(o *options) { o.maxConns = int32(n) } }

// WithReaders bounds the reading connections to SQLite. Default: 2 per CPU, at least 4. There is one writer, always.
func WithReaders(n int) Option { return func(o *options) { o.readers = n } }

// WithApplicationName is shown in pg_stat_activity. Default: tasuki.
func WithApplicationName(name string) Option { return func(o *options) { o.appName = name } }

// WithBusyTimeout is how long SQLite waits for another process that writes. Default: 5 s.
func WithBusyTimeout(d time.Duration) Option { return func(o *options) { o.busyTimeout = d } }

// WithoutSync makes SQLite not wait for the disk. A power cut may then lose or spoil the file: for tests only.
func WithoutSync() Option { return func(o *options) { o.relaxed = true } }

// Commits are called around the commit of every Write. A nil function does nothing.
type Commits struct {
	// Before runs when the closure has succeeded. Its error rolls back and is what Write returns.
	Before func(ctx context.Context) error
	// After runs when everything is stored, before the functions of AfterCommit. Its error is what Write returns all the
	// same, as when a connection breaks before the answer to COMMIT has come; the functions of AfterCommit do not run.
	After func(ctx context.Context) error
}

// WithCommits lets a simulation fail commits, or end its process in them by a panic, before or after they took effect.
func WithCommits(c Commits) Option { return func(o *options) { o.commits = c } }

// Open opens "sqlite:PATH" or "postgres://…" (or "postgresql://…"). SQLite creates the file, but not its folder. Open
// reaches the database once, so a wrong address fails here. Errors never contain the password of the DSN.
func Open(ctx context.Context, dsn string, opts ...Option) (*DB, error) {
	o := defaults()
	for _, opt := range opts {
		opt(&o)
	}
	var db *DB
	var err error
	switch {
	case strings.HasPrefix(dsn, "sqlite:"):
		db, err = openSQLite(ctx, strings.TrimPrefix(dsn, "sqlite:"), o)
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		db, err = openPostgres(ctx, dsn, o)
	default:
		return nil, fmt.Errorf(`store: a DSN is "sqlite:PATH" or "postgres://…"`)
	}
	if err != nil {
		return nil, err
	}
	db.shared, db.commits, db.statements = together.NewGate[*member](sharedAtOnce(db.engine), sharedMost), o.commits, o.statements
	return db, nil
}

// Engine tells which engine is behind.
func (db *DB) Engine() Engine { return db.engine }

// Dialect has the SQL fragments that differ between the engines.
func (db *DB) Dialect() Dialect { return db.dialect }

// Ping reaches the database.
func (db *DB) Ping(ctx context.Context) error { return unavailable(db.be.ping(ctx)) }

// Close waits for running Writes and closes. It may be called more than once. Called inside of Write it waits for ever.
func (db *DB) Close() { db.be.close() }

// Writer is the pool with SQLite's one writing connection, for River's driver. Nil on PostgreSQL.
func (db *DB) Writer() *sql.DB {
	if be, ok := db.be.(*sqliteBackend); ok {
		return be.writer
	}
	return nil
}

// Pool is PostgreSQL's pool, for River's driver and for LISTEN. Nil on SQLite.
func (db *DB) Pool() *pgxpool.Pool {
	if be, ok := db.be.(*pgBackend); ok {
		return be.pool
	}
	return nil
}
