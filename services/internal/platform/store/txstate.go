package store

import "errors"

type statement struct {
	sql  string
	args []any
}

// txState is what both engines keep of a transaction.
type txState struct {
	queue    []statement
	appended []appended // sent behind the queue
	hooks    []func()
	failed   error // the first error of a statement: nothing more can succeed, on either engine
	unique   bool
	done     bool
}

func (s *txState) Queue(sql string, args ...any) {
	s.queue = append(s.queue, statement{sql, args})
}

func (s *txState) AfterCommit(fn func()) { s.hooks = append(s.hooks, fn) }
func (s *txState) committed() []func()   { return s.hooks }
func (s *txState) sawUnique() bool       { return s.unique }
func (s *txState) failure() error        { return s.failed }

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
