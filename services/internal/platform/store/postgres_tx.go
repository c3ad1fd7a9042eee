package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pgTx takes a connection with its first statement, and sends BEGIN and all that is queued in that statement's pipeline.
type pgTx struct {
	pool     *pgxpool.Pool
	options  pgx.TxOptions
	readOnly bool

	conn  *pgxpool.Conn // nil before the first statement
	begun pgx.Tx        // nil before BEGIN was sent
	open  *pgRows       // rows not yet closed

	txState
}

func (t *pgTx) Dialect() Dialect { return Dialect{Postgres} }
func (t *pgTx) SQLTx() *sql.Tx   { return nil }

// Queue implements Tx.
func (t *pgTx) Queue(sql string, args ...any) { t.enqueue(Postgres, sql, args) }

// ready refuses statements that cannot be sent now.
func (t *pgTx) ready() error {
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

// fail classifies an error of a statement and spoils the transaction.
func (t *pgTx) fail(err error, sql string) error {
	err = wrap(err, sql)
	var e *Error
	if errors.As(err, &e) && t.conn != nil && t.conn.Conn().IsClosed() {
		// Before the commit is sent, a lost connection means that nothing was stored: trying again is safe.
		e.Kind, e.again = ErrUnavailable, true
	}
	return t.record(err)
}

// send makes a pipeline of BEGIN, if needed, what waits and is due, and the given statement, and reads the answers of what was
// due. The caller reads the answer to the statement and closes the results. Without a statement nil results tell that
// nothing had to be sent.
func (t *pgTx) send(ctx context.Context, due []statement, last ...statement) (pgx.BatchResults, error) {
	ctx = t.of(ctx)
	batch := &pgx.Batch{}
	if t.begun == nil {
		if t.conn == nil {
			conn, err := t.pool.Acquire(ctx)
			if err != nil {
				return nil, t.record(unavailable(err))
			}
			t.conn = conn
		}
		batch.BeginTx(t.options)
		if t.shared != nil {
			batch.Queue("SET LOCAL lock_timeout = '" + sharedLockTimeout + "'")
		}
	}
	for _, list := range [][]statement{due, last} {
		for _, s := range list {
			args, err := normalize(s.args, Postgres)
			if err != nil {
				return nil, t.badArgument(err, s.sql)
			}
			batch.Queue(s.sql, args...)
		}
	}
	if batch.Len() == 0 {
		return nil, nil
	}
	results := t.conn.Conn().SendBatch(ctx, batch)
	if t.begun == nil {
		t.begun = results.Tx()
	}
	for _, q := range batch.QueuedQueries[:batch.Len()-len(last)] {
		if _, err := results.Exec(); err != nil {
			_ = results.Close()
			return nil, t.fail(err, q.SQL)
		}
	}
	return results, nil
}

func (t *pgTx) Flush(ctx context.Context) error {
	if err := t.ready(); err != nil {
		return err
	}
	if !t.pending() {
		return nil
	}
	return t.flush(ctx)
}

// flush sends BEGIN and the queue, whichever is still to be sent.
func (t *pgTx) flush(ctx context.Context) error {
	results, err := t.send(ctx, t.take(Postgres))
	if err != nil || results == nil {
		return err
	}
	return t.fail(results.Close(), "")
}

// start sends a query; its errors are the driver's, unless they were recorded before.
func (t *pgTx) start(ctx context.Context, sql string, args []any) (*pgRows, error) {
	if err := t.ready(); err != nil {
		return nil, err
	}
	rows := &pgRows{tx: t, sql: sql}
	due := t.takeFor(Postgres, sql)
	var err error
	if t.begun != nil && len(due) == 0 {
		rows.Rows, err = t.conn.Query(t.of(ctx), sql, args...)
	} else {
		rows.batch, err = t.send(ctx, due, statement{sql, args})
		if err != nil {
			return nil, err
		}
		rows.Rows, err = rows.batch.Query()
	}
	t.open = rows
	if err != nil {
		rows.Close()
		return nil, err
	}
	return rows, nil
}

func (t *pgTx) Query(ctx context.Context, sql string, args ...any) (Rows, error) {
	t.reads(sql)
	args, err := t.arguments(sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := t.start(ctx, sql, args)
	if err != nil {
		return nil, t.fail(err, sql)
	}
	return storeRows{rows}, nil
}

func (t *pgTx) QueryRow(ctx context.Context, sql string, args ...any) Row {
	rows, err := t.Query(ctx, sql, args...)
	return firstRow{rows, err}
}

func (t *pgTx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	args, err := t.arguments(sql, args)
	if err != nil {
		return 0, err
	}
	tag, err := t.exec(ctx, sql, args)
	if err != nil {
		return 0, t.fail(err, sql)
	}
	return tag.RowsAffected(), nil
}

func (t *pgTx) exec(ctx context.Context, sql string, args []any) (pgconn.CommandTag, error) {
	t.writes++
	if err := t.ready(); err != nil {
		return pgconn.CommandTag{}, err
	}
	due := t.takeFor(Postgres, sql)
	if t.begun != nil && len(due) == 0 {
		return t.conn.Exec(t.of(ctx), sql, args...)
	}
	results, err := t.send(ctx, due, statement{sql, args})
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return tag, err
}

func (t *pgTx) arguments(sql string, args []any) ([]any, error) {
	out, err := normalize(args, Postgres)
	if err != nil {
		return nil, t.badArgument(err, sql)
	}
	return out, nil
}

func (t *pgTx) copyRows(ctx context.Context, table string, columns []string, rows [][]any) error {
	t.writes++
	if err := t.ready(); err != nil {
		return err
	}
	if err := t.flush(ctx); err != nil {
		return err
	}
	source := pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) { return normalize(rows[i], Postgres) })
	_, err := t.conn.Conn().CopyFrom(t.of(ctx), pgx.Identifier{table}, columns, source)
	return t.fail(err, "COPY "+table)
}

// commit sends what is queued and COMMIT in one pipeline.
func (t *pgTx) commit(ctx context.Context) error {
	if err := t.ready(); err != nil {
		return err
	}
	if t.begun == nil && !t.pending() {
		t.done = true
		return nil
	}
	if err := t.sendCommit(ctx); err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.again = false // it may have been stored: never run the closure again
		}
		return err
	}
	t.done = true
	t.conn.Release()
	t.conn = nil
	return nil
}

func (t *pgTx) sendCommit(ctx context.Context) error {
	results, err := t.send(ctx, t.take(Postgres), statement{sql: "commit"})
	if err != nil {
		return err
	}
	tag, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return t.fail(err, "COMMIT")
	}
	if tag.String() != "COMMIT" {
		return t.record(&Error{message: "a failed statement of this transaction was overlooked; it is rolled back"})
	}
	return nil
}

// rollback ends a transaction that is not committed. A reader is not kept waiting for the end of its snapshot.
func (t *pgTx) rollback() {
	if t.done {
		return
	}
	t.done = true
	if t.open != nil {
		t.open.Close()
	}
	if t.conn == nil {
		return
	}
	conn := t.conn
	t.conn = nil
	if t.readOnly {
		go endSession(conn, "commit")
		return
	}
	endSession(conn, "rollback")
}

func (t *pgTx) mark() func() {
	forget := t.markState(Postgres)
	return func() {
		if t.open != nil {
			t.open.Close()
		}
		forget()
	}
}

// PgxTx implements Tx.
func (t *pgTx) PgxTx() pgx.Tx {
	t.writes++
	return pgxTx{t}
}

// pgRows are rows of a pipeline or of a single statement, with the driver's errors.
type pgRows struct {
	pgx.Rows
	tx    *pgTx
	sql   string
	batch pgx.BatchResults
	err   error
	shut  bool
}

func (r *pgRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *pgRows) Close() {
	if r.shut {
		return
	}
	r.shut = true
	r.Rows.Close()
	r.err = r.Rows.Err()
	if r.batch != nil {
		if err := r.batch.Close(); r.err == nil {
			r.err = err
		}
	}
	if r.tx.open == r {
		r.tx.open = nil
	}
}

func (r *pgRows) Err() error {
	if r.err != nil {
		return r.err
	}
	return r.Rows.Err()
}

// storeRows are pgRows with this package's errors.
type storeRows struct{ r *pgRows }

func (s storeRows) Next() bool { return s.r.Next() }
func (s storeRows) Close()     { s.r.Close(); _ = s.Err() }
func (s storeRows) Err() error { return s.r.tx.fail(s.r.Err(), s.r.sql) }

func (s storeRows) Scan(dest ...any) error { return s.r.tx.fail(s.r.Scan(dest...), s.r.sql) }

func (s storeRows) Columns() []string {
	fields := s.r.FieldDescriptions()
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

// firstRow is the Row of both engines.
type firstRow struct {
	rows Rows
	err  error
}

func (f firstRow) Scan(dest ...any) error {
	if f.err != nil {
		return f.err
	}
	defer f.rows.Close()
	if !f.rows.Next() {
		if err := f.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := f.rows.Scan(dest...); err != nil {
		return err
	}
	f.rows.Close()
	return f.rows.Err()
}
