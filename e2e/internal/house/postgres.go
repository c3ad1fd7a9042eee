package house

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL server of the test's own, on 127.0.0.1, with durable writes as in production. It may be stopped
// in every way and started again on its data.
type Postgres struct {
	// DSN of its administration database.
	DSN string
	// Address where it listens.
	Address string

	dir, program string
	as           *syscall.SysProcAttr
	log          *os.File
	process      *Process
}

// StartPostgres makes a server, which ends with the test. It needs PostgreSQL's programs, and as root the user postgres.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	programs, err := postgresPrograms()
	if err != nil {
		if os.Getenv("TASUKI_REQUIRE_POSTGRES") == "1" {
			t.Fatalf("%v, and TASUKI_REQUIRE_POSTGRES=1 says that PostgreSQL must be there", err)
		}
		t.Skipf("needs PostgreSQL's programs: %v", err)
	}
	s := &Postgres{Address: LastingAddress(t), program: filepath.Join(programs, "postgres")}
	s.DSN = "postgres://postgres@" + s.Address + "/postgres?sslmode=disable"
	// Not in t.TempDir: another user could not enter it.
	if s.dir, err = os.MkdirTemp("", "tasuki-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(s.dir) }) // only space is lost
	if err := s.lend(); err != nil {
		t.Fatal(err)
	}
	initdb := exec.CommandContext(t.Context(), filepath.Join(programs, "initdb"),
		"-D", s.dir, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = "/", s.as
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	if s.log, err = os.Create(filepath.Join(t.ArtifactDir(), "postgres.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.process != nil {
			s.process.Signal(syscall.SIGINT)
			s.process.Stop()
		}
		_ = s.log.Close() // nobody writes any more
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func postgresPrograms() (string, error) {
	// Debian keeps each version apart and off the PATH.
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	return filepath.Dir(path), err
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // what is no number sorts first
	return n
}

// lend gives the folder to the user postgres when we are root, as whom PostgreSQL refuses to run.
func (s *Postgres) lend() error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return err
	}
	s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(s.dir, uid, gid)
}

// Databases makes an empty database for every department and returns their DSNs by program name.
func (s *Postgres) Databases(t testing.TB) map[string]string {
	t.Helper()
	return databases(t, s.DSN)
}

// Start starts the server again and waits until it takes connections. After a kill it waits for what is left of the old one.
func (s *Postgres) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, port, _ := strings.Cut(s.Address, ":")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	s.process = nil
	for {
		if s.process == nil {
			cmd := exec.Command(s.program, "-D", s.dir, "-p", port, "-c", "listen_addresses=127.0.0.1", //nolint:noctx // it is ended by signal
				"-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "shared_buffers=64MB")
			cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = "/", s.log, s.log, s.as
			p, err := launch(cmd)
			if err != nil {
				return fmt.Errorf("start PostgreSQL: %w", err)
			}
			s.process = p
		}
		if last = s.ping(ctx); last == nil {
			return nil
		}
		select {
		case <-s.process.Done():
			last, s.process = fmt.Errorf("it ended: %w", s.process.Err()), nil
		default:
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not start: %w", last)
		}
	}
}

func (s *Postgres) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DSN)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Stop ends it by a signal and waits until it is gone: SIGINT cuts connections and ends in order, SIGQUIT ends at once, SIGKILL
// leaves everything as it lies.
func (s *Postgres) Stop(sig syscall.Signal) {
	s.process.Signal(sig)
	<-s.process.Done()
}
