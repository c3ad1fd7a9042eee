package testkit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	templatePrefix = "tasuki_template_"
	testPrefix     = "tasuki_test_"
	// abandoned is how old a test's database must be to be taken for one whose process was killed.
	abandoned = 2 * time.Hour
	// templateLock is the advisory lock under which templates are made.
	templateLock = 7_461_737_569
)

var databases atomic.Int64

// PostgresDSN is the DSN of a fresh PostgreSQL database that has the sets' schema, copied from a template which is made once
// for each content of the sets. It is dropped when the test ends.
func PostgresDSN(t testing.TB, sets ...store.Migrations) string {
	t.Helper()
	admin := os.Getenv(EnvPostgres)
	if admin == "" {
		const why = "needs PostgreSQL: set " + EnvPostgres + " to a superuser's DSN"
		if os.Getenv(EnvRequire) == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	template := templatePrefix + fingerprint(t, store.Postgres, sets)
	name := fmt.Sprintf("%s%d_%d_%d", testPrefix, time.Now().Unix(), os.Getpid(), databases.Add(1))
	if err := createFrom(ctx, admin, template, name, sets); err != nil {
		t.Fatal("testkit: ", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := exec(ctx, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Error("testkit: ", err)
		}
	})
	return withDatabase(admin, name)
}

func createFrom(ctx context.Context, admin, template, name string, sets []store.Migrations) error {
	err := exec(ctx, admin, "CREATE DATABASE "+name+" TEMPLATE "+template)
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "3D000" { // the template does not exist
		return err
	}
	if err := makeTemplate(ctx, admin, template, sets); err != nil {
		return err
	}
	return exec(ctx, admin, "CREATE DATABASE "+name+" TEMPLATE "+template)
}

// makeTemplate migrates a database and names it the template when it is complete, so that nobody sees half of one.
func makeTemplate(ctx context.Context, admin, template string, sets []store.Migrations) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // gives the lock back
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return err
	}
	var exists bool
	const find = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)"
	if err := conn.QueryRow(ctx, find, template).Scan(&exists); err != nil || exists {
		return err
	}
	if err := sweep(ctx, conn); err != nil {
		return err
	}
	building := template + "_new"
	for _, sql := range []string{
		"DROP DATABASE IF EXISTS " + building + " WITH (FORCE)",
		"CREATE DATABASE " + building + " TEMPLATE template0 ENCODING 'UTF8'" +
			" LOCALE_PROVIDER icu ICU_LOCALE 'und' LOCALE 'C.UTF-8'",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := migrated(ctx, withDatabase(admin, building), sets); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+building+" RENAME TO "+template)
	return err
}

// sweep drops databases of tests that were killed.
func sweep(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", testPrefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		created, _, _ := strings.Cut(strings.TrimPrefix(name, testPrefix), "_")
		at, err := strconv.ParseInt(created, 10, 64)
		if err != nil || time.Since(time.Unix(at, 0)) < abandoned {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()); err != nil {
			continue // still in use after all
		}
	}
	return nil
}

func exec(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

func withDatabase(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn
	}
	u.Path = "/" + name
	return u.String()
}
