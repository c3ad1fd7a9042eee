package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	"modernc.org/sqlite"
)

// What an error of the store can be; ask with errors.Is. Cancelled and expired contexts are context.Canceled and
// context.DeadlineExceeded as everywhere.
var (
	// ErrNoRows: the query found nothing.
	ErrNoRows = errors.New("store: no rows")
	// ErrUnique: a unique index or primary key refused the row. UniqueOn and IsUnique tell which.
	ErrUnique = errors.New("store: unique violation")
	// ErrForeignKey: a referenced row is missing, or the row is still referenced.
	ErrForeignKey = errors.New("store: foreign key violation")
	// ErrCheck: a CHECK or NOT NULL constraint refused the row.
	ErrCheck = errors.New("store: check violation")
	// ErrRetry: the transaction lost against rivals in all attempts. Nothing was stored; trying later can help.
	ErrRetry = errors.New("store: transaction conflict")
	// ErrUnavailable: the database cannot be reached, is shutting down, or has no connection left.
	ErrUnavailable = errors.New("store: database unavailable")
	// ErrReadOnly: a statement in Read tried to write.
	ErrReadOnly = errors.New("store: write in a read-only transaction")
	// ErrRowsOpen: Rows were neither closed nor read to their end before the next statement or the commit.
	ErrRowsOpen = errors.New("store: rows of an earlier query are still open")
	// ErrTxDone: the transaction has ended.
	ErrTxDone = errors.New("store: transaction has ended")
)

// Error is a failure that the database reported. Its text is for logs, never for clients: it names statements, tables and
// constraints. The driver's error is not reachable through it.
type Error struct {
	// Kind is one of the sentinels above, or nil for any other failure.
	Kind error
	// Code is the SQLSTATE of PostgreSQL or the extended result code of SQLite.
	Code string
	// Constraint is the violated constraint's name, for SQLite built by the naming rule. See IsUnique.
	Constraint string

	table   string
	columns []string
	message string
	sql     string
	again   bool // the connection was lost before the commit was sent
	passing bool // of ErrUnavailable: waiting may mend it
}

func (e *Error) Error() string {
	if e.sql == "" {
		return "store: " + e.message
	}
	return "store: " + e.message + " in " + e.sql
}

// Unwrap gives the sentinel.
func (e *Error) Unwrap() error { return e.Kind }

// IsUnique tells whether err is a unique violation, and the name of the constraint. PostgreSQL reports the name. SQLite
// reports the columns only, of which the name is built as <table>_<columns>_key, or <table>_pkey for a primary key: the
// same name on both engines where the naming rule is kept. Of several violated at once the engines may report different
// ones.
func IsUnique(err error) (constraint string, ok bool) {
	if e := find(err); e != nil && errors.Is(e, ErrUnique) {
		return e.Constraint, true
	}
	return "", false
}

// UniqueOn tells whether err is a violation of the unique index or primary key on exactly these columns of the table. An
// index on expressions is found when it is named <table>_<columns>_key.
func UniqueOn(err error, table string, columns ...string) bool {
	e := find(err)
	if e == nil || !errors.Is(e, ErrUnique) {
		return false
	}
	if e.Constraint == keyName(table, columns) {
		return true
	}
	return e.table == table && strings.Join(e.columns, ",") == strings.Join(columns, ",")
}

func keyName(table string, columns []string) string {
	return table + "_" + strings.Join(columns, "_") + "_key"
}

// find gets the *Error in err, and makes one of a driver's error that came from under SQLTx or PgxTx.
func find(err error) *Error {
	var e *Error
	if err == nil {
		return nil
	}
	if !errors.As(err, &e) {
		errors.As(classify(err, ""), &e)
	}
	return e
}

// classify turns a driver's error into one of this package's. Errors that are none of a driver pass unchanged.
func classify(err error, statement string) error {
	var e *Error
	var pg *pgconn.PgError
	var lite *sqlite.Error
	var connect *pgconn.ConnectError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return err
	case errors.Is(err, pgx.ErrNoRows), errors.Is(err, sql.ErrNoRows):
		return ErrNoRows
	case errors.As(err, &pg):
		return pgError(pg, statement)
	case errors.As(err, &lite):
		return sqliteError(lite, statement)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &connect): // before deadlines: this one is that of connecting, and not the caller's
		return &Error{Kind: ErrUnavailable, message: "cannot connect: " + errors.Unwrap(connect).Error(), passing: outOfReach(err)}
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.Is(err, pgx.ErrTxClosed), errors.Is(err, sql.ErrTxDone):
		return ErrTxDone
	case errors.Is(err, puddle.ErrClosedPool), errors.Is(err, sql.ErrConnDone), errors.Is(err, driver.ErrBadConn):
		return &Error{Kind: ErrUnavailable, message: "the store is closed"}
	}
	return err
}

// wrap is classify for errors of statements: what has no class becomes an *Error too, so that no driver's type leaves.
func wrap(err error, statement string) error {
	err = classify(err, statement)
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	for _, known := range []error{ErrNoRows, ErrRowsOpen, ErrTxDone, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known
		}
	}
	return &Error{message: err.Error(), sql: brief(statement), passing: outOfReach(err)}
}

// escaped classifies what a closure returns: only a driver's own error, got from SQLTx or PgxTx, has to be changed.
func escaped(err error) error {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	if errors.As(err, &pg) || errors.As(err, &lite) || errors.Is(err, pgx.ErrNoRows) || errors.Is(err, sql.ErrNoRows) {
		return classify(err, "")
	}
	return err
}

// unavailable is for errors of getting a connection.
func unavailable(err error) error {
	wrapped := wrap(err, "")
	var e *Error
	if errors.As(wrapped, &e) {
		e.Kind = ErrUnavailable
	}
	return wrapped
}

// retryable tells whether the same closure may succeed in another transaction, and surely stored nothing in this one.
func retryable(err error) bool {
	var e *Error
	return errors.As(err, &e) && (errors.Is(e, ErrRetry) || e.again)
}

var detailColumns = regexp.MustCompile(`^[^(]*\(([^()]*)\)=`)

func pgError(pg *pgconn.PgError, statement string) *Error {
	e := &Error{
		Code: pg.Code, Constraint: pg.ConstraintName, table: pg.TableName, sql: brief(statement),
		message: pg.Message + " (" + pg.Code + ")", passing: passingCode(pg.Code),
	}
	switch {
	case pg.Code == "23505":
		e.Kind = ErrUnique
		// The detail reads: Key (a, b)=(…) already exists. Its values stay out of the error.
		if m := detailColumns.FindStringSubmatch(pg.Detail); m != nil {
			e.columns = strings.Split(m[1], ", ")
		}
	case pg.Code == "23503":
		e.Kind = ErrForeignKey
	case pg.Code == "23514", pg.Code == "23502":
		e.Kind = ErrCheck
	case pg.Code == "40001", pg.Code == "40P01":
		e.Kind = ErrRetry
	case pg.Code == "25006":
		e.Kind = ErrReadOnly
	case pg.Code == "57014": // statement_timeout
		e.Kind = context.DeadlineExceeded
	case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "57P"), pg.Code == "53300":
		e.Kind = ErrUnavailable
	}
	return e
}

// Extended result codes of SQLite.
const (
	liteBusy       = 5
	liteLocked     = 6
	liteReadOnly   = 8
	liteInterrupt  = 9
	liteCantOpen   = 14
	liteConstraint = 19
	liteCheck      = 19 | 1<<8
	liteForeignKey = 19 | 3<<8
	liteNotNull    = 19 | 5<<8
	litePrimaryKey = 19 | 6<<8
	liteUnique     = 19 | 8<<8
	liteRowID      = 19 | 10<<8
)

func sqliteError(lite *sqlite.Error, statement string) *Error {
	code := lite.Code()
	e := &Error{Code: strconv.Itoa(code), message: lite.Error(), sql: brief(statement)}
	switch code {
	case liteUnique, litePrimaryKey, liteRowID:
		e.Kind = ErrUnique
		e.table, e.columns, e.Constraint = sqliteKey(lite.Error(), code != liteUnique)
		return e
	case liteForeignKey:
		e.Kind = ErrForeignKey
		return e
	case liteCheck, liteNotNull:
		e.Kind = ErrCheck
		return e
	}
	switch code & 0xff {
	case liteBusy, liteLocked:
		e.Kind = ErrRetry
	case liteReadOnly:
		e.Kind = ErrReadOnly
	case liteInterrupt:
		e.Kind = context.Canceled
	case liteCantOpen:
		e.Kind = ErrUnavailable
	}
	return e
}

// sqliteKey reads "… UNIQUE constraint failed: leads.org, leads.email (2067)", or "… failed: index 'name' (2067)".
func sqliteKey(message string, primary bool) (table string, columns []string, constraint string) {
	_, list, _ := strings.Cut(message, "UNIQUE constraint failed: ")
	if i := strings.LastIndex(list, " ("); i >= 0 {
		list = list[:i]
	}
	if name, ok := strings.CutPrefix(list, "index '"); ok {
		return "", nil, strings.TrimSuffix(name, "'")
	}
	for _, part := range strings.Split(list, ", ") {
		t, column, _ := strings.Cut(part, ".")
		table = t
		columns = append(columns, column)
	}
	if primary {
		return table, columns, table + "_pkey"
	}
	return table, columns, keyName(table, columns)
}

// brief is a statement on one line, cut to what tells it from others.
func brief(statement string) string {
	s := strings.Join(strings.Fields(statement), " ")
	if r := []rune(s); len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return s
}
