package store

import (
	"context"
	"strings"
)

// Copy loads many rows into a table: COPY on PostgreSQL, INSERT of many rows a statement on SQLite. Values are given as to
// Exec, in the order of columns. What is queued is sent first.
func Copy(ctx context.Context, tx Tx, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	return tx.(copier).copyRows(ctx, table, columns, rows)
}

type copier interface {
	copyRows(ctx context.Context, table string, columns []string, rows [][]any) error
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
