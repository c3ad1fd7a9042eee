package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
)

func defaults() options {
	return options{
		readers:     max(4, 2*runtime.NumCPU()),
		appName:     "tasuki",
		busyTimeout: 5 * time.Second,
	}
}

// sqliteBackend has one connection that writes and a pool of connections that can only read.
type sqliteBackend struct {
	writer  *sql.DB
	readers *sql.DB
	once    sync.Once
}

func openSQLite(ctx context.Context, path string, o options) (*DB, error) {
	if path == "" || strings.HasPrefix(path, ":") {
		return nil, errors.New("store: SQLite needs a file: readers and the writer are separate connections")
	}
	// Made here, because SQLite would let others read it. Its -wal and -shm files take over the mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	writer, err := openSQLitePool(path, o, false)
	if err != nil {
		return nil, err
	}
	readers, err := openSQLitePool(path, o, true)
	if err != nil {
		_ = writer.Close()
		return nil, err
	}
	be := &sqliteBackend{writer: writer, readers: readers}
	if err := be.ping(ctx); err != nil {
		be.close() //nolint:contextcheck // closing outlives the context
		return nil, unavailable(err)
	}
	return &DB{engine: SQLite, dialect: Dialect{SQLite}, be: be}, nil
}

func openSQLitePool(path string, o options, readOnly bool) (*sql.DB, error) {
	synchronous := "FULL"
	if o.relaxed {
		synchronous = "OFF"
	}
	pragmas := []string{
		"busy_timeout(" + strconv.FormatInt(o.busyTimeout.Milliseconds(), 10) + ")",
		"journal_mode(WAL)",
		"synchronous(" + synchronous + ")",
		"foreign_keys(1)",
		"temp_store(MEMORY)",
		"cache_size(-16000)",           // 16 MB a connection
		"journal_size_limit(67108864)", // a burst does not leave a large -wal file for ever
	}
	query := url.Values{"_txlock": {"immediate"}}
	if readOnly {
		query.Set("_txlock", "deferred")
		pragmas = append(pragmas, "query_only(1)")
	}
	query["_pragma"] = pragmas
	connector, err := sqlite.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode())
	if err != nil {
		return nil, fmt.Errorf("store: the path cannot be used: %w", err)
	}
	db := sql.OpenDB(cachingConnector{connector})
	n := 1
	if readOnly {
		n = o.readers
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

func (b *sqliteBackend) ping(ctx context.Context) error {
	// The writer comes first: it makes the file a WAL database, which readers cannot.
	for _, db := range []*sql.DB{b.writer, b.readers} {
		var one int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE 1=0").Scan(&one); err != nil {
			return err
		}
	}
	return nil
}

// close waits for the running writer, and closes the readers first, so that the writer is the last and folds the -wal file
// into the database.
func (b *sqliteBackend) close() {
	b.once.Do(func() {
		last, err := b.writer.Conn(context.Background())
		_ = b.readers.Close()
		_ = b.writer.Close()
		if err == nil {
			_ = last.Close()
		}
	})
}

func (b *sqliteBackend) begin(ctx context.Context, readOnly bool) transaction {
	if readOnly {
		return &liteTx{ctx: ctx, db: b.readers, readOnly: true}
	}
	return &liteTx{ctx: ctx, db: b.writer}
}

func (b *sqliteBackend) migrationDB(context.Context) (*sql.DB, func(), error) {
	return b.writer, func() {}, nil
}
