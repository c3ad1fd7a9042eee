package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/georgysavva/scany/v2/dbscan"
)

// scany fills structs by column names. It takes times for values, not for structs with columns of their own.
var scany = func() *dbscan.API {
	api, err := dbscan.NewAPI(dbscan.WithScannableTypes((*sql.Scanner)(nil), (*interface{ UTC() time.Time })(nil)))
	if err != nil {
		panic(err)
	}
	return api
}()

// Get runs a query and fills a T from its one row: a struct by its `db:"column"` tags or the snake_case of its fields, or a
// plain value from a single column. No row is ErrNoRows; a second one is an error, and so is a column without a field.
func Get[T any](ctx context.Context, tx Tx, sql string, args ...any) (T, error) {
	var out, zero T
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return zero, err
	}
	if err := scany.ScanOne(&out, scanyRows{rows}); err != nil {
		if dbscan.NotFound(err) {
			return zero, ErrNoRows
		}
		return zero, wrap(err, sql)
	}
	return out, nil
}

// Select is Get for any number of rows, in the query's order; without an error the slice is never nil.
func Select[T any](ctx context.Context, tx Tx, sql string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	out := []T{}
	if err := scany.ScanAll(&out, scanyRows{rows}); err != nil {
		return nil, wrap(err, sql)
	}
	return out, nil
}

// scanyRows makes Rows fit dbscan.
type scanyRows struct{ Rows }

func (r scanyRows) Close() error               { r.Rows.Close(); return nil }
func (r scanyRows) Columns() ([]string, error) { return r.Rows.Columns(), nil }
func (r scanyRows) NextResultSet() bool        { return false }
