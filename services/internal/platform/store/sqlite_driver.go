package store

import (
	"context"
	"database/sql/driver"
	"strings"
)

// cachedStatements bounds the prepared statements of one SQLite connection.
const cachedStatements = 512

// cachingConnector makes connections that keep their statements prepared, for the store and for River alike: database/sql
// by itself parses and plans a statement anew for each call.
type cachingConnector struct{ driver.Connector }

func (c cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &cachingConn{liteConn: conn.(liteConn), cache: map[string]*cachedStmt{}}, nil
}

// liteConn is what the driver's connection can do.
type liteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type liteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// cachingConn is used by one goroutine at a time, as database/sql promises.
type cachingConn struct {
	liteConn
	cache map[string]*cachedStmt
}

type cachedStmt struct {
	liteStmt
	busy bool // its rows are being read
	kept bool // in the cache
}

// take gives a prepared statement. One that is busy, or a script of several statements, is prepared for this call only.
func (c *cachingConn) take(ctx context.Context, query string) (*cachedStmt, error) {
	s := c.cache[query]
	if s != nil && !s.busy {
		s.busy = true
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	fresh := &cachedStmt{liteStmt: prepared.(liteStmt), busy: true}
	if s == nil && !strings.Contains(query, ";") {
		if len(c.cache) >= cachedStatements {
			c.evict()
		}
		fresh.kept = true
		c.cache[query] = fresh
	}
	return fresh, nil
}

// evict drops any idle statement.
func (c *cachingConn) evict() {
	for query, s := range c.cache {
		if !s.busy {
			delete(c.cache, query)
			_ = s.Close()
			return
		}
	}
}

func (s *cachedStmt) give() error {
	s.busy = false
	if s.kept {
		return nil
	}
	return s.Close()
}

func (c *cachingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	if giveErr := s.give(); err == nil {
		err = giveErr
	}
	return result, err
}

func (c *cachingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		_ = s.give()
		return nil, err
	}
	return &cachedRows{Rows: rows, stmt: s}, nil
}

// BeginTx takes the write lock at once, unless the transaction is read-only.
func (c *cachingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	begin := "begin immediate"
	if opts.ReadOnly {
		begin = "begin"
	}
	if _, err := c.ExecContext(ctx, begin, nil); err != nil {
		return nil, err
	}
	return cachedTx{c}, nil
}

func (c *cachingConn) Close() error {
	for _, s := range c.cache {
		_ = s.Close()
	}
	c.cache = nil
	return c.liteConn.Close()
}

type cachedTx struct{ c *cachingConn }

func (t cachedTx) Commit() error {
	_, err := t.c.ExecContext(context.Background(), "commit", nil)
	if err != nil {
		// The connection has to be idle after Commit. Fails when SQLite has rolled back by itself.
		_ = t.Rollback()
	}
	return err
}

func (t cachedTx) Rollback() error {
	_, err := t.c.ExecContext(context.Background(), "rollback", nil)
	return err
}

type cachedRows struct {
	driver.Rows
	stmt   *cachedStmt
	closed bool
}

func (r *cachedRows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.Rows.Close()
	if giveErr := r.stmt.give(); err == nil {
		err = giveErr
	}
	return err
}

// ColumnTypeDatabaseTypeName passes on the declared type, which some scanners ask for.
func (r *cachedRows) ColumnTypeDatabaseTypeName(index int) string {
	if named, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return named.ColumnTypeDatabaseTypeName(index)
	}
	return ""
}
