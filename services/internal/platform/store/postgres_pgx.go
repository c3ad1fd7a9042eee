package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var errClosureDecides = errors.New("store: the closure of Write decides about commit and rollback")

// pgxTx shows a pgTx to libraries. Its errors are the driver's, as they expect. It never runs ahead of what is queued.
type pgxTx struct{ t *pgTx }

func (p pgxTx) Commit(context.Context) error   { return errClosureDecides }
func (p pgxTx) Rollback(context.Context) error { return errClosureDecides }

// begun sends what has to come before a call that cannot share its pipeline.
func (p pgxTx) begun(ctx context.Context) error {
	if err := p.t.ready(); err != nil {
		return err
	}
	if p.t.begun != nil && !p.t.pending() {
		return nil
	}
	return p.t.flush(ctx)
}

// Begin makes a savepoint.
func (p pgxTx) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := p.begun(ctx); err != nil {
		return nil, err
	}
	return p.t.begun.Begin(ctx)
}

func (p pgxTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := p.begun(ctx); err != nil {
		return 0, err
	}
	return p.t.begun.CopyFrom(ctx, table, columns, rows)
}

func (p pgxTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := p.begun(ctx); err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	return p.t.begun.SendBatch(ctx, b)
}

// LargeObjects needs the transaction to have begun.
func (p pgxTx) LargeObjects() pgx.LargeObjects {
	if p.t.begun == nil {
		return pgx.LargeObjects{}
	}
	return p.t.begun.LargeObjects()
}

func (p pgxTx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if err := p.begun(ctx); err != nil {
		return nil, err
	}
	return p.t.begun.Prepare(ctx, name, sql)
}

func (p pgxTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if hasOptions(args) {
		if err := p.begun(ctx); err != nil {
			return pgconn.CommandTag{}, err
		}
	}
	tag, err := p.t.exec(ctx, sql, args)
	_ = p.t.fail(err, sql)
	return tag, err
}

func (p pgxTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if hasOptions(args) {
		if err := p.begun(ctx); err != nil {
			return nil, err
		}
	}
	rows, err := p.t.start(ctx, sql, args)
	if err != nil {
		_ = p.t.fail(err, sql)
		return nil, err
	}
	return rows, nil
}

func (p pgxTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := p.Query(ctx, sql, args...)
	return pgxRow{rows, err}
}

// Conn is the connection; nil before the first statement.
func (p pgxTx) Conn() *pgx.Conn {
	if p.t.conn == nil {
		return nil
	}
	return p.t.conn.Conn()
}

// hasOptions tells whether the arguments start with pgx options that pipelines do not know.
func hasOptions(args []any) bool {
	if len(args) == 0 {
		return false
	}
	switch args[0].(type) {
	case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID:
		return true
	}
	return false
}

type pgxRow struct {
	rows pgx.Rows
	err  error
}

func (r pgxRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
