package backup

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// lockNotAvailable is PostgreSQL's code for a lock that was not had in time.
const lockNotAvailable = "55P03"

// server is a view of a PostgreSQL database.
type server struct {
	part           Part
	dump, restore  string
	lock, exporter *pgx.Conn
	begun          bool
	snapshot       string
}

func openServer(ctx context.Context, p Part, o Options) (view, error) {
	s := &server{part: p, dump: o.PgDump, restore: o.PgRestore}
	var err error
	if s.lock, err = connect(ctx, p.DSN); err == nil {
		s.exporter, err = connect(ctx, p.DSN)
	}
	if err != nil {
		s.close() //nolint:contextcheck // closing outlives the context
		return nil, err
	}
	return s, nil
}

// connect understands what the services' DSNs may have, and repeats nothing of it in errors.
func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the PostgreSQL DSN cannot be parsed")
	}
	return pgx.ConnectConfig(ctx, cfg.ConnConfig)
}

// hold waits for transactions that have written events, and keeps others from it.
func (s *server) hold(ctx context.Context) error {
	if !s.part.Feed {
		return nil
	}
	wait := holdFor
	if deadline, ok := ctx.Deadline(); ok {
		wait = time.Until(deadline)
	}
	if wait < time.Millisecond {
		return errHeld
	}
	ctx = context.WithoutCancel(ctx) // the end of a context would end the connection; the server keeps time
	s.begun = true
	_, err := s.lock.Exec(ctx, fmt.Sprintf("BEGIN; SET LOCAL lock_timeout = %d; LOCK TABLE events IN SHARE MODE", wait.Milliseconds()))
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == lockNotAvailable {
		return errors.Join(errHeld, err)
	}
	return err
}

func (s *server) pin(ctx context.Context) error {
	if _, err := s.exporter.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return err
	}
	return s.exporter.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&s.snapshot)
}

func (s *server) release() error {
	if !s.begun {
		return nil
	}
	s.begun = false
	// Others wait for this, so it does not end with anybody's context.
	_, err := s.lock.Exec(context.Background(), "ROLLBACK")
	return err
}

func (s *server) copy(ctx context.Context, to string) error {
	if err := writeFile(to, strings.NewReader("")); err != nil { // pg_dump would let others read it
		return err
	}
	if err := postgresProgram(ctx, s.part.DSN, s.dump, "--format=custom", "--snapshot="+s.snapshot, "--file="+to); err != nil {
		return err
	}
	// Reads all of it, as a restore would.
	return runProgram(ctx, nil, s.restore, "--file="+os.DevNull, to)
}

func (s *server) close() {
	for _, c := range []*pgx.Conn{s.lock, s.exporter} {
		if c != nil {
			_ = c.Close(context.Background()) // nothing was written
		}
	}
}

// postgresProgram runs pg_dump or pg_restore on a database. The password goes by the environment, where others cannot see it.
func postgresProgram(ctx context.Context, dsn, program string, args ...string) error {
	uri, password, err := libpqURI(dsn)
	if err != nil {
		return err
	}
	var env []string
	if password != "" {
		env = []string{"PGPASSWORD=" + password}
	}
	return runProgram(ctx, env, program, append(args, "--dbname="+uri)...)
}

func runProgram(ctx context.Context, env []string, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// libpqParameters are the settings of a DSN that PostgreSQL's own programs know, too. The others are pgx's, or of the session.
var libpqParameters = []string{
	"application_name", "channel_binding", "connect_timeout", "dbname", "gssencmode", "host", "hostaddr", "keepalives", "keepalives_count",
	"keepalives_idle", "keepalives_interval", "krbsrvname", "options", "passfile", "port", "require_auth", "service", "sslcert", "sslcrl",
	"sslkey", "sslmode", "sslpassword", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout", "user",
}

// libpqURI is a DSN as PostgreSQL's own programs take it, without the password.
func libpqURI(dsn string) (uri, password string, err error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", "", errors.New("the PostgreSQL DSN cannot be parsed")
	}
	query := u.Query()
	password = query.Get("password")
	for name := range query {
		if !slices.Contains(libpqParameters, name) {
			query.Del(name)
		}
	}
	u.RawQuery = query.Encode()
	if u.User != nil {
		if p, ok := u.User.Password(); ok {
			password = p
		}
		u.User = url.User(u.User.Username())
	}
	return u.String(), password, nil
}

// asOwner is a DSN under which everything that is made belongs to the owner of the database: whoever restores may be an
// administrator, and services have roles of their own.
func asOwner(ctx context.Context, dsn string) (ownerDSN, owner string, err error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it was only read
	err = conn.QueryRow(ctx, `SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()`).Scan(&owner)
	if err != nil {
		return "", "", err
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "", "", errors.New("the PostgreSQL DSN cannot be parsed")
	}
	query := u.Query()
	query.Set("role", owner)
	u.RawQuery = query.Encode()
	return u.String(), owner, nil
}

// emptyDatabase fails when a database has tables.
func emptyDatabase(ctx context.Context, dsn string) error {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it was only read
	var n int
	err = conn.QueryRow(ctx, `SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'`).Scan(&n)
	if err == nil && n > 0 {
		err = fmt.Errorf("the database is not empty, it has %d tables: a restore overwrites nothing, so make a new one", n)
	}
	return err
}
