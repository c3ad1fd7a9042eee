package store

import (
	"context"
	"database/sql"
	"errors"
	"runtime"

	"github.com/jackc/pgx/v5"
)

// liteTx begins with its first statement: work before it, or a closure that only queues, does not keep the writer waiting.
type liteTx struct {
	ctx      context.Context // of Write, for SQLTx
	db       *sql.DB
	readOnly bool

	conn *sql.Conn
	tx   *sql.Tx
	open *liteRows

	txState
}

func (t *liteTx) Dialect() Dialect { return Dialect{SQLite} }
func (t *liteTx) PgxTx() pgx.Tx    { return nil }

// Queue implements Tx.
func (t *liteTx) Queue(sql string, args ...any) { t.enqueue(SQLite, sql, args) }

// background keeps database/sql and the driver from watching the context of each short statement of a writer, which costs
// two goroutines a statement. It is looked at before every statement instead. Reads may be long, and are interrupted.
func (t *liteTx) background(ctx context.Context) context.Context {
	if t.readOnly {
		return ctx
	}
	return context.Background()
}

// ready begins the transaction if needed.
func (t *liteTx) ready(ctx context.Context) error {
	switch {
	case t.done:
		return ErrTxDone
	case t.failed != nil:
		return t.failed
	case t.open != nil:
		return ErrRowsOpen
	}
	if err := t.of(ctx).Err(); err != nil {
		return t.record(err)
	}
	if t.tx == nil {
		return t.begin(ctx)
	}
	return nil
}

// send runs what waited.
func (t *liteTx) send(ctx context.Context, due []statement) error {
	for _, s := range due {
		if _, err := t.exec(ctx, s.sql, s.args); err != nil {
			return err
		}
	}
	return nil
}

// readyFor begins if needed, and sends what must be sent before a statement.
func (t *liteTx) readyFor(ctx context.Context, sql string) error {
	if err := t.ready(ctx); err != nil {
		return err
	}
	return t.send(ctx, t.takeFor(SQLite, sql))
}

// flush begins if needed, and sends all that waits.
func (t *liteTx) flush(ctx context.Context) error {
	if err := t.ready(ctx); err != nil {
		return err
	}
	return t.send(ctx, t.take(SQLite))
}

func (t *liteTx) begin(ctx context.Context) error {
	conn, err := t.db.Conn(t.of(ctx)) // waits for its turn
	if err != nil {
		return t.record(unavailable(err))
	}
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{ReadOnly: t.readOnly})
	if err != nil {
		_ = conn.Close()
		return t.fail(err, "BEGIN")
	}
	t.conn, t.tx = conn, tx
	return nil
}

func (t *liteTx) fail(err error, sql string) error { return t.record(wrap(err, sql)) }

func (t *liteTx) Flush(ctx context.Context) error {
	if !t.pending() {
		switch {
		case t.done:
			return ErrTxDone
		case t.failed != nil:
			return t.failed
		case t.open != nil:
			return ErrRowsOpen
		}
		return nil
	}
	return t.flush(ctx)
}

func (t *liteTx) Query(ctx context.Context, sql string, args ...any) (Rows, error) {
	t.reads(sql)
	if err := t.readyFor(ctx, sql); err != nil {
		return nil, err
	}
	args, err := normalize(args, SQLite)
	if err != nil {
		return nil, t.badArgument(err, sql)
	}
	rows, err := t.tx.QueryContext(t.background(ctx), sql, args...) //nolint:rowserrcheck // liteRows shows it
	if err != nil {
		return nil, t.fail(err, sql)
	}
	t.open = &liteRows{rows: rows, tx: t, sql: sql}
	return t.open, nil
}

func (t *liteTx) QueryRow(ctx context.Context, sql string, args ...any) Row {
	rows, err := t.Query(ctx, sql, args...)
	return firstRow{rows, err}
}

func (t *liteTx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	t.writes++
	if err := t.readyFor(ctx, sql); err != nil {
		return 0, err
	}
	return t.exec(ctx, sql, args)
}

func (t *liteTx) exec(ctx context.Context, sql string, args []any) (int64, error) {
	args, err := normalize(args, SQLite)
	if err != nil {
		return 0, t.badArgument(err, sql)
	}
	result, err := t.tx.ExecContext(t.background(ctx), sql, args...)
	if err != nil {
		return 0, t.fail(err, sql)
	}
	n, err := result.RowsAffected()
	return n, t.fail(err, sql)
}

// copyParams bounds the parameters of one INSERT; more gains nothing.
const copyParams = 900

func (t *liteTx) copyRows(ctx context.Context, table string, columns []string, rows [][]any) error {
	t.writes++
	if err := t.flush(ctx); err != nil {
		return err
	}
	size := max(1, copyParams/len(columns))
	for len(rows) > 0 {
		n := min(size, len(rows))
		args := make([]any, 0, n*len(columns))
		for _, row := range rows[:n] {
			if len(row) != len(columns) {
				return t.badArgument(errors.New("a row has not as many values as there are columns"), "COPY "+table)
			}
			args = append(args, row...)
		}
		if _, err := t.exec(ctx, insertRows(SQLite, table, columns, n), args); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (t *liteTx) commit(ctx context.Context) error {
	if err := t.Flush(ctx); err != nil {
		return err
	}
	if t.tx == nil {
		t.done = true
		return nil
	}
	if err := ctx.Err(); err != nil {
		return t.record(err)
	}
	if err := t.tx.Commit(); err != nil {
		return t.fail(err, "COMMIT")
	}
	t.done = true
	_ = t.conn.Close() // back to the pool
	// Whoever waits for the writer goes first, right here: the writer must not idle while we make an answer of what was written.
	runtime.Gosched()
	return nil
}

func (t *liteTx) rollback() {
	if t.done {
		return
	}
	t.done = true
	if t.open != nil {
		t.open.Close()
	}
	if t.tx != nil {
		_ = t.tx.Rollback() // a connection that cannot is closed by the pool
		_ = t.conn.Close()
	}
}

func (t *liteTx) mark() func() {
	forget := t.markState(SQLite)
	return func() {
		if t.open != nil {
			t.open.Close()
		}
		forget()
	}
}

// SQLTx implements Tx.
func (t *liteTx) SQLTx() *sql.Tx {
	t.writes++
	if t.flush(t.ctx) != nil {
		return nil
	}
	return t.tx
}

type liteRows struct {
	rows *sql.Rows
	tx   *liteTx
	sql  string
	shut bool
}

func (r *liteRows) Next() bool {
	if r.rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *liteRows) Close() {
	if r.shut {
		return
	}
	r.shut = true
	err := r.rows.Err()
	if closeErr := r.rows.Close(); err == nil {
		err = closeErr
	}
	_ = r.tx.fail(err, r.sql)
	if r.tx.open == r {
		r.tx.open = nil
	}
}

func (r *liteRows) Err() error { return wrap(r.rows.Err(), r.sql) }

func (r *liteRows) Scan(dest ...any) error {
	return r.tx.fail(r.rows.Scan(sqliteDests(dest)...), r.sql)
}

func (r *liteRows) Columns() []string {
	names, _ := r.rows.Columns() // fails on closed rows only
	return names
}
