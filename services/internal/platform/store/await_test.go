package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// await is what store.Await does with its attempts, by a clock that only its pauses move. It returns how often it tried and what was logged.
func await(ctx context.Context, patience time.Duration, paused func(n int), attempt func(ctx context.Context) error) (tries int, log string, err error) {
	var out bytes.Buffer
	now, pauses := noon, 0
	pause := func(ctx context.Context, d time.Duration) error {
		now = now.Add(d)
		pauses++
		paused(pauses)
		return ctx.Err()
	}
	w := store.Waiting{Patience: patience, Logger: slog.New(slog.NewTextHandler(&out, nil))}
	err = store.AwaitBy(ctx, w, func() time.Time { return now }, pause, func(ctx context.Context) error {
		tries++
		return attempt(ctx)
	})
	return tries, out.String(), err
}

func noPause(int) {}

// migrating opens a database and migrates it.
func migrating(dsn string, sets ...store.Migrations) func(context.Context) error {
	return func(ctx context.Context) error {
		db, err := store.Open(ctx, dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.Migrate(ctx, sets...)
	}
}

func complete(t *testing.T, dsn string, sets ...store.Migrations) {
	t.Helper()
	db, err := store.Open(t.Context(), dsn)
	must(t, err)
	defer db.Close()
	statuses, err := db.SchemaStatus(t.Context(), sets...)
	must(t, err)
	for _, s := range statuses {
		if s.Have != s.Want {
			t.Errorf("%+v", s)
		}
	}
}

// A server that comes while one waits is found, and the log says what was waited for, but no password.
func TestAwaitAServerThatComes(t *testing.T) {
	dsn := testkit.PostgresDSN(t)
	d := testkit.ShutDoor(t, dsn)
	tries, log, err := await(t.Context(), time.Minute, func(n int) {
		if n == 3 {
			d.Open(t)
		}
	}, migrating(d.DSN, sets(), other(2)))
	if err != nil || tries != 4 {
		t.Fatalf("%d tries, %v", tries, err)
	}
	complete(t, dsn, sets(), other(2))
	if strings.Count(log, "level=WARN") != 1 || strings.Count(log, "level=INFO") != 1 || !strings.Contains(log, d.Address) || strings.Contains(log, testkit.DoorPassword) {
		t.Error(log)
	}
}

// A connection that is lost in the middle of a migration, by the server's word or without one, is made again and goes on
// from where it was.
func TestAwaitMigratesAgain(t *testing.T) {
	for name, middle := range map[string]string{
		"terminated": `DO $$ BEGIN IF nextval('turns') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; END $$;`,
		"cut":        `SELECT 'cut here';`,
	} {
		t.Run(name, func(t *testing.T) {
			dsn := testkit.PostgresDSN(t, sets())
			turns := store.Migrations{Name: "turns", FS: fstest.MapFS{"postgres/0001_turns.sql": script("CREATE SEQUENCE turns;")}}
			must(t, migrating(dsn, turns)(t.Context())) // what a transaction took of a sequence is never given back
			broken := store.Migrations{Name: "broken", FS: fstest.MapFS{
				"postgres/0001_first.sql":  script("CREATE TABLE first (id BIGINT);"),
				"postgres/0002_middle.sql": script("CREATE TABLE middle (id BIGINT);\n-- +goose StatementBegin\n" + middle + "\n-- +goose StatementEnd\n"),
				"postgres/0003_last.sql":   script("CREATE TABLE last (id BIGINT);"),
			}}
			d := testkit.ShutDoor(t, dsn, "cut here")
			d.Open(t)
			tries, log, err := await(t.Context(), time.Minute, noPause, migrating(d.DSN, sets(), broken, other(2)))
			if err != nil || tries != 2 {
				t.Fatalf("%d tries, %v\n%s", tries, err, log)
			}
			complete(t, dsn, sets(), broken, other(2))
		})
	}
}

// What waiting cannot mend ends it at once, however patient.
func TestAwaitNotForEver(t *testing.T) {
	dsn := testkit.PostgresDSN(t, sets())
	changed := func(change func(u *url.URL)) string {
		u, err := url.Parse(dsn)
		must(t, err)
		change(u)
		return u.String()
	}
	twice := store.Migrations{Name: "twice", FS: fstest.MapFS{"postgres/0001_twice.sql": script("CREATE TABLE items (id BIGINT);")}}
	for name, attempt := range map[string]func(context.Context) error{
		"no such role":            migrating(changed(func(u *url.URL) { u.User = url.UserPassword("nobody_here", testkit.DoorPassword) })),
		"no such database":        migrating(changed(func(u *url.URL) { u.Path = "/no_such" })),
		"no TLS":                  migrating(changed(func(u *url.URL) { u.RawQuery = "sslmode=require" })),
		"wrong password":          migrating(replying(t, "28P01")),
		"not in pg_hba.conf":      migrating(replying(t, "28000")),
		"no right to connect":     migrating(replying(t, "42501")),
		"a migration's mistake":   migrating(dsn, twice),
		"no DSN":                  migrating("postgres://u:hunter2@h:99999/x"),
		"SQLite without a folder": migrating("sqlite:" + t.TempDir() + "/no/such.db"),
		"something else":          func(context.Context) error { return errors.New("behind") },
		"unavailable by others":   func(context.Context) error { return &store.Error{Kind: store.ErrUnavailable} },
	} {
		tries, log, err := await(t.Context(), time.Hour, noPause, attempt)
		if err == nil || tries != 1 || log != "" || strings.Contains(err.Error(), testkit.DoorPassword) {
			t.Errorf("%s: %d tries, %v\n%s", name, tries, err, log)
		}
	}
}

// The end of patience says for how long it lasted, and what to do. Meanwhile the log is not filled.
func TestAwaitHasAnEnd(t *testing.T) {
	dsn := testkit.PostgresDSN(t)
	away := testkit.ShutDoor(t, dsn).DSN
	for name, attempt := range map[string]func(context.Context) error{
		"refused":        migrating(away),
		"hangs up":       migrating(replying(t, "")),
		"starting":       migrating(replying(t, "57P03")),
		"going down":     migrating(replying(t, "57P01")),
		"crashed":        migrating(replying(t, "57P02")),
		"full":           migrating(replying(t, "53300")),
		"a proxy's word": migrating(replying(t, "08006")),
	} {
		tries, log, err := await(t.Context(), time.Minute, noPause, attempt)
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "waited 1m0s for the database") || !strings.Contains(err.Error(), "check that") {
			t.Errorf("%s: %v", name, err)
		}
		if said := strings.Count(log, "level=WARN"); tries < 25 || tries > 60 || said < 8 || said > 12 {
			t.Errorf("%s: %d tries, said %d times", name, tries, said)
		}
		if strings.Contains(log+err.Error(), testkit.DoorPassword) {
			t.Errorf("%s: the password is told:\n%s%v", name, log, err)
		}
		tries, log, err = await(t.Context(), 0, noPause, attempt)
		if !errors.Is(err, store.ErrUnavailable) || strings.Contains(err.Error(), "waited") || tries != 1 || log != "" {
			t.Errorf("%s, without patience: %d tries, %v\n%s", name, tries, err, log)
		}
	}
}

// A name that is not known yet, and a server that takes connections and says nothing, are away, too: the time of connecting is up
// before the caller's.
func TestAwaitWhatTakesTime(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer mute.Close()
	for _, dsn := range []string{
		"postgres://u@no-such.invalid/x",
		"postgres://u@" + mute.Addr().String() + "/x?sslmode=disable&connect_timeout=1",
	} {
		tries, _, err := await(t.Context(), time.Millisecond, noPause, migrating(dsn))
		if tries != 2 || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%d tries, %v", tries, err)
		}
	}
}

// Who waits can be stopped, between attempts and in one; what was waited for is said all the same.
func TestAwaitCanBeStopped(t *testing.T) {
	d := testkit.ShutDoor(t, testkit.PostgresDSN(t))
	for _, where := range []string{"in a pause", "in an attempt"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		paused := func(int) {
			if where == "in a pause" {
				cancel()
			}
		}
		began := 0
		tries, _, err := await(ctx, time.Hour, paused, func(ctx context.Context) error {
			if began++; began == 2 {
				cancel()
			}
			return migrating(d.DSN)(ctx)
		})
		if !errors.Is(err, context.Canceled) || !errors.Is(err, store.ErrUnavailable) || tries > 2 {
			t.Errorf("%s: %d tries, %v", where, tries, err)
		}
	}
	// In the last attempt, which gets through: what it opened is closed again.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := store.Waiting{Patience: time.Hour, Logger: slog.New(slog.NewTextHandler(onWrite(func() { d.Open(t) }), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	var opened *store.DB
	db, err := store.Await(ctx, d.DSN, w, func(_ context.Context, db *store.DB) error {
		opened = db
		cancel()
		return nil
	})
	if db != nil || !errors.Is(err, context.Canceled) || !errors.Is(opened.Ping(t.Context()), store.ErrUnavailable) {
		t.Error(db, err)
	}
	// And in a real pause.
	d.Shut()
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	w.Logger = slog.New(slog.NewTextHandler(onWrite(cancel), nil))
	if db, err := store.Await(ctx, d.DSN, w, nil); db != nil || !errors.Is(err, context.Canceled) {
		t.Error(db, err)
	}
}

// onWrite does something when a line is logged.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// replying is the DSN of a server that answers everybody with an error of this code, or hangs up when it is empty.
func replying(t *testing.T, code string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			backend := pgproto3.NewBackend(conn, conn)
			if _, err := backend.ReceiveStartupMessage(); err == nil && code != "" {
				backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: "no"})
				_ = backend.Flush() // they may be gone
				_, _ = io.Copy(io.Discard, conn)
			}
			_ = conn.Close() // all is said
		}
	})
	t.Cleanup(func() {
		_ = listener.Close() // the test is over
		running.Wait()
	})
	return "postgres://u:hunter2@" + listener.Addr().String() + "/x?sslmode=disable"
}
