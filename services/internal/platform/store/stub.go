package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
)

var errStub = errors.New("store: engine not built yet")

func itoa(n int) string { return strconv.Itoa(n) }

func defaults() options { return options{} }

type stubBackend struct{}

func (stubBackend) begin(bool) transaction     { panic(errStub) }
func (stubBackend) ping(context.Context) error { return errStub }
func (stubBackend) close()                     {}
func (stubBackend) migrationDB(context.Context) (*sql.DB, func(), error) {
	return nil, nil, errStub
}
func (stubBackend) query(context.Context, string, ...any) (Rows, error) { return nil, errStub }

type sqliteBackend struct {
	stubBackend
	writer *sql.DB
}
type pgBackend struct {
	stubBackend
	pool *pgxpool.Pool
}

func openSQLite(context.Context, string, options) (*DB, error)                 { return nil, errStub }
func openPostgres(context.Context, string, options) (*DB, error)               { return nil, errStub }
func (db *DB) migrate(context.Context, []Migrations) error                     { return errStub }
func (db *DB) schemaStatus(context.Context, []Migrations) ([]SetStatus, error) { return nil, errStub }
