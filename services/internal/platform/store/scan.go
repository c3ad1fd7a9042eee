package store

import (
	"context"
	"fmt"

	"github.com/georgysavva/scany/v2/dbscan"
)

// Get runs a query and fills a T from its one row: a struct by its `db:"column"` tags or the snake_case of its fields, or a
// plain value from a single column. No row is ErrNoRows; a second one is an error.
func Get[T any](ctx context.Context, tx Tx, sql string, args ...any) (T, error) {
	var out T
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return out, err
	}
	if err := dbscan.ScanOne(&out, scanyRows{rows}); err != nil {
		var zero T
		if dbscan.NotFound(err) {
			return zero, ErrNoRows
		}
		return zero, classify(fmt.Errorf("store: %w", err), sql)
	}
	return out, nil
}

// Select is Get for any number of rows, in the query's order; it never returns nil without an error.
func Select[T any](ctx context.Context, tx Tx, sql string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	out := []T{}
	if err := dbscan.ScanAll(&out, scanyRows{rows}); err != nil {
		return nil, classify(fmt.Errorf("store: %w", err), sql)
	}
	return out, nil
}

// scanyRows makes Rows fit dbscan.
type scanyRows struct{ Rows }

func (r scanyRows) Close() error               { r.Rows.Close(); return nil }
func (r scanyRows) Columns() ([]string, error) { return r.Rows.Columns(), nil }
func (r scanyRows) NextResultSet() bool        { return false }
