package store

import (
	"context"
	"errors"
	"strings"
)

type statement struct {
	sql  string
	args []any
}

// txState is what both engines keep of a transaction.
type txState struct {
	queue    []statement
	appended []appended // sent when something reads their tables, or at the end
	hooks    []func()
	failed   error // the first error of a statement: nothing more can succeed, on either engine
	unique   bool
	done     bool

	notes map[any]any

	// writes counts what was not only read. shared is the context of a transaction that several closures share.
	writes int
	shared context.Context
}

// enqueue is Queue of both engines: behind rows that the statement may be about.
func (s *txState) enqueue(engine Engine, sql string, args []any) {
	s.writes++
	s.push(engine, func(table string) bool { return strings.Contains(sql, table) })
	s.queue = append(s.queue, statement{sql, args})
}

func (s *txState) AfterCommit(fn func()) {
	s.writes++
	s.hooks = append(s.hooks, fn)
}

// reads notes a query, which may write all the same.
func (s *txState) reads(sql string) {
	if !strings.HasPrefix(strings.TrimLeft(sql, " \n\t"), "SELECT") {
		s.writes++
	}
}

// Notes implements Tx.
func (s *txState) Notes() map[any]any {
	if s.notes == nil {
		s.notes = map[any]any{}
	}
	return s.notes
}

func (s *txState) written() int              { return s.writes }
func (s *txState) share(ctx context.Context) { s.shared = ctx }

// of is the context of a statement: a closure's own, but for the end of a shared transaction.
func (s *txState) of(ctx context.Context) context.Context {
	if s.shared == nil {
		return ctx
	}
	return borrowed{s.shared, ctx}
}

// savepoint is the one name of savepoints: the latest is meant.
const savepoint = "SAVEPOINT each"

// markState queues a savepoint behind all that waits.
func (s *txState) markState(engine Engine) (forget func()) {
	s.push(engine, func(string) bool { return true })
	s.queue = append(s.queue, statement{sql: savepoint})
	hooks := len(s.hooks)
	return func() {
		s.queue, s.appended, s.hooks = nil, nil, s.hooks[:hooks]
		s.failed, s.unique = nil, false
		s.notes = nil // what was read may have been changed, and is as it was
	}
}

func (s *txState) committed() []func() { return s.hooks }
func (s *txState) sawUnique() bool     { return s.unique }
func (s *txState) failure() error      { return s.failed }

// record keeps the first error that spoils the transaction, and returns err.
func (s *txState) record(err error) error {
	if err == nil || errors.Is(err, ErrRowsOpen) || errors.Is(err, ErrTxDone) {
		return err
	}
	if s.failed == nil {
		s.failed = err
	}
	s.unique = s.unique || errors.Is(err, ErrUnique)
	return err
}

// badArgument is an argument that cannot be sent.
func (s *txState) badArgument(err error, sql string) error {
	return s.record(&Error{message: err.Error(), sql: brief(sql)})
}
