package store

import "context"

// WithStatements lets a test see the statements of every Write and Read before they are sent, with their arguments. Those
// that libraries send by themselves are not among them.
func WithStatements(see func(sql string, args []any)) Option {
	return func(o *options) { o.statements = see }
}

// seenTx shows statements and passes them on.
type seenTx struct {
	transaction
	see func(sql string, args []any)
}

func (t seenTx) Query(ctx context.Context, sql string, args ...any) (Rows, error) {
	t.see(sql, args)
	return t.transaction.Query(ctx, sql, args...)
}

func (t seenTx) QueryRow(ctx context.Context, sql string, args ...any) Row {
	t.see(sql, args)
	return t.transaction.QueryRow(ctx, sql, args...)
}

func (t seenTx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	t.see(sql, args)
	return t.transaction.Exec(ctx, sql, args...)
}

func (t seenTx) Queue(sql string, args ...any) {
	t.see(sql, args)
	t.transaction.Queue(sql, args...)
}

// Append shows each row as a statement of its own.
func (t seenTx) Append(table string, columns []string, values ...any) {
	t.see(insertRows(t.Dialect().engine, table, columns, 1), values)
	t.transaction.Append(table, columns, values...)
}

func (t seenTx) copyRows(ctx context.Context, table string, columns []string, rows [][]any) error {
	return t.transaction.(copier).copyRows(ctx, table, columns, rows)
}

// begin makes a transaction that takes no connection before its first statement.
func (db *DB) begin(ctx context.Context, readOnly bool) transaction {
	tx := db.be.begin(ctx, readOnly)
	if db.statements != nil {
		return seenTx{tx, db.statements}
	}
	return tx
}
