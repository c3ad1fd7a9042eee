package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Pauses between attempts double from the first to the longest; the log repeats after some of them what is waited for.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	sayAgain     = 5 * time.Second
)

// Waiting says how to wait for a database.
type Waiting struct {
	// Patience is how long, counted from the first failure; zero does not wait.
	Patience time.Duration
	// Logger is told what is waited for.
	Logger *slog.Logger
}

// Await is Open, and then first, which does what comes first on a database, such as Migrate. While PostgreSQL cannot be reached,
// before or in first, it pauses and begins again; an attempt at work is not cut short. What waiting cannot mend ends it at once:
// a wrong password, a database that does not exist, a migration's own mistake.
//
// While it waits SIGINT and SIGTERM end it, since nothing else of the program runs yet that would. So the context that first is
// given ends with Await.
func Await(ctx context.Context, dsn string, w Waiting, first func(ctx context.Context, db *DB) error, opts ...Option) (*DB, error) {
	var db *DB
	err := waiting{Waiting: w, now: time.Now, pause: pauseFor}.run(ctx, func(ctx context.Context) error {
		opened, err := Open(ctx, dsn, opts...)
		if err != nil {
			return err
		}
		if err := first(ctx, opened); err != nil {
			opened.Close()
			return err
		}
		db = opened
		return nil
	})
	if err != nil && db != nil { // told to stop while the last attempt got through
		db.Close()
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// waiting is one Await.
type waiting struct {
	Waiting
	now   func() time.Time
	pause func(ctx context.Context, d time.Duration) error
}

func (w waiting) run(ctx context.Context, attempt func(context.Context) error) error {
	err := attempt(ctx)
	if w.Patience <= 0 || !passing(err) {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	since := w.now()
	var said time.Time
	for next := firstPause; ; next = min(2*next, longestPause) {
		waited := w.now().Sub(since)
		left := w.Patience - waited
		if left <= 0 {
			return fmt.Errorf("store: waited %s for the database: %w; check that PostgreSQL runs, that the DSN names it, and that the network lets this program reach it",
				waited.Round(100*time.Millisecond), err)
		}
		if said.IsZero() || w.now().Sub(said) >= sayAgain {
			said = w.now()
			w.Logger.WarnContext(ctx, "the database cannot be reached: waiting for it", "error", err, "waited", waited.Round(time.Millisecond), "left", left.Round(time.Millisecond))
		}
		last := err
		if err = w.pause(ctx, min(next/2+rand.N(next), left)); err == nil {
			err = attempt(ctx)
		}
		switch {
		case ctx.Err() != nil: // even when the attempt got through: who was told to stop does not go on
			return fmt.Errorf("store: %w while waiting for the database: %w", context.Cause(ctx), last)
		case err == nil:
			w.Logger.InfoContext(ctx, "the database is there", "waited", w.now().Sub(since).Round(time.Millisecond))
			return nil
		case !passing(err):
			return err
		}
	}
}

func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// passing tells whether waiting may mend an error of this package.
func passing(err error) bool {
	var e *Error
	return errors.As(err, &e) && errors.Is(e, ErrUnavailable) && e.passing
}

// passingCode tells so of what PostgreSQL says: it is going down, has crashed, is starting, or has no connection left; or
// something between it and us lost the connection.
func passingCode(code string) bool {
	switch code {
	case "57P01", "57P02", "57P03", "53300":
		return true
	}
	return strings.HasPrefix(code, "08")
}

// outOfReach tells so of a driver's error: nobody listens, the name is not known (yet), no answer came in time, or the
// connection was lost. What was said once connected, by the server or by TLS, is none of these.
func outOfReach(err error) bool {
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	var standby *pgconn.NotPreferredError
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &pg):
		return passingCode(pg.Code)
	case errors.Is(err, context.Canceled):
		return false
	case errors.Is(err, context.DeadlineExceeded):
		return errors.As(err, &connect) // its own deadline; the caller's ends the wait for a connection, not the connecting
	case errors.As(err, &standby), errors.As(err, &dns):
		return true
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "read" || op.Op == "write"):
		return true // TLS has operations of its own for what the other side minds
	}
	for _, lost := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, pgconn.ErrConnClosed, driver.ErrBadConn} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return false
}

// interrupted classifies what a library returns that migrates: only that it lost the server has to be changed. All others stay,
// for they say in which file it was.
func interrupted(err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) || !outOfReach(err) {
		return err
	}
	e = &Error{Kind: ErrUnavailable, message: err.Error(), passing: true}
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
		e.Code = pg.Code
	}
	return e
}
