package store

import (
	"context"
	"errors"
	"runtime"
	"time"
)

const (
	// sharedMost is how many closures at the most share a transaction.
	sharedMost = 32
	// sharedTimeout bounds a shared transaction, whatever deadlines its closures have.
	sharedTimeout = 10 * time.Second
	// sharedLockTimeout is how long a shared transaction waits for a lock: one closure that has to wait must not hold up the others.
	sharedLockTimeout = "50ms"
)

type sharingKey struct{}

// Sharing lets Writes under the context share a transaction with others that come at the same time, when more come than the
// engine does at once. Each closure runs as if it were alone, one after the other, and all that they did is committed
// together, before any of the Writes returns. Where that is not to be had, because one of them fails after it has written, panics
// or waits for a lock, nothing is stored and each runs again in a transaction of its own: what a closure does is as it would be
// without Sharing.
func Sharing(ctx context.Context) context.Context { return context.WithValue(ctx, sharingKey{}, true) }

// Alone takes Sharing back: for Writes that take long, or lock much.
func Alone(ctx context.Context) context.Context { return context.WithValue(ctx, sharingKey{}, false) }

func shares(ctx context.Context) bool {
	yes, _ := ctx.Value(sharingKey{}).(bool)
	return yes
}

// sharedAtOnce is how many shared transactions run at once. SQLite has one writer. On PostgreSQL there are several, so that one
// works while others wait for an answer, from a server that may be far away, or for the disk.
func sharedAtOnce(engine Engine) int {
	if engine == SQLite {
		return 1
	}
	return max(4, 2*runtime.NumCPU())
}

// member is a Write that may share a transaction.
type member struct {
	ctx context.Context
	// alone does all of the Write, in transactions of its own. run is its part of a transaction.
	alone func()
	run   func(tx Tx) error

	fate fate
	// err is what the Write returns, when its fate is to end.
	err error
}

// fate is what became of a member.
type fate int

const (
	undone fate = iota // nothing is stored: it has to go alone
	done               // alone has run
	ended              // stored with others when err is nil, or else not
)

// writeShared does a Write together with others, or by alone.
func (db *DB) writeShared(m *member) error {
	if err := db.shared.Pass(m.ctx, m, db.carry); err != nil {
		return err
	}
	switch m.fate {
	case ended:
		return m.err
	case undone:
		m.alone()
	}
	return nil
}

// carry does the Writes of a batch.
func (db *DB) carry(batch []*member) {
	if len(batch) == 1 {
		batch[0].fate = done
		batch[0].alone()
		return
	}
	outcomes, err := db.commitAll(batch)
	for i, m := range batch {
		switch {
		case err != nil: // nobody knows what is stored
			m.fate, m.err = ended, err
		case outcomes != nil:
			m.fate, m.err = ended, outcomes[i]
		}
	}
}

// commitAll runs all in one transaction. The outcomes are those of the members, nil when nothing is stored and each has to go
// alone. The error is for all.
func (db *DB) commitAll(batch []*member) (outcomes []error, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), sharedTimeout)
	defer cancel()
	tx := db.begin(ctx, false)
	tx.share(ctx)
	committed := false
	defer func() {
		if !committed {
			tx.rollback()
		}
	}()
	outcomes = make([]error, len(batch))
	for i, m := range batch {
		if outcomes[i] = m.ctx.Err(); outcomes[i] != nil {
			continue
		}
		before := tx.written()
		finished, err := m.try(tx)
		outcomes[i] = err
		if !finished || spoils(tx, err, tx.written() != before) {
			return nil, nil
		}
	}
	err = db.end(ctx, tx)
	var e *Error
	var lost *lostAnswer
	switch {
	case errors.As(err, &lost):
		committed = true
		return nil, lost.err
	case retryable(err), errors.As(err, &e) && e.Code != "" && !errors.Is(e, ErrUnavailable): // refused by the database
		return nil, nil
	case err != nil:
		return nil, err
	}
	committed = true
	for _, hook := range tx.committed() {
		hook()
	}
	return outcomes, nil
}

// try runs a closure. One that panics does not finish here, and panics again in its own goroutine when it goes alone.
func (m *member) try(tx Tx) (finished bool, err error) {
	defer func() {
		if recover() != nil {
			finished = false
		}
	}()
	return true, escaped(m.run(tx))
}

// borrowed is the context of a closure with the end of the transaction that it shares: whoever gives up must not break the
// connection of all.
type borrowed struct {
	context.Context                 // the transaction's
	values          context.Context // the closure's
}

// Value implements context.Context.
func (b borrowed) Value(key any) any { return b.values.Value(key) }
