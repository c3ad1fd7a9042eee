package testkit

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

func TestMain(m *testing.M) { VerifyNoLeaks(m) }

func set(sqlite, postgres string) store.Migrations {
	file := func(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("-- +goose Up\n" + sql + ";\n")} }
	return store.Migrations{Name: "kit", FS: fstest.MapFS{"sqlite/0001_a.sql": file(sqlite), "postgres/0001_a.sql": file(postgres)}}
}

func TestEnginesAreSeparate(t *testing.T) {
	const sql = "CREATE TABLE things (id BIGINT NOT NULL)"
	for range 2 {
		Engines(t, func(t *testing.T, db *store.DB) {
			n, err := store.Write(t.Context(), db, func(tx store.Tx) (int, error) {
				tx.Queue("INSERT INTO things (id) VALUES (1)")
				return store.Get[int](t.Context(), tx, "SELECT count(*) FROM things")
			})
			if n != 1 || err != nil {
				t.Errorf("found %d rows, %v", n, err)
			}
		}, set(sql, sql))
	}
}

func TestDatabasesAreDropped(t *testing.T) {
	var name string
	t.Run("test", func(t *testing.T) {
		dsn := PostgresDSN(t)
		name = dsn[strings.Index(dsn, testPrefix):]
		name, _, _ = strings.Cut(name, "?")
	})
	admin := os.Getenv(EnvPostgres)
	if admin == "" {
		t.Skip("needs PostgreSQL: set " + EnvPostgres + " to a superuser's DSN")
	}
	conn, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&n); err != nil || n != 0 {
		t.Errorf("%s: %d, %v", name, n, err)
	}
}

func TestSchemaDiff(t *testing.T) {
	const sqlite = "CREATE TABLE a (id TEXT NOT NULL PRIMARY KEY, at TIMESTAMP NOT NULL, n BIGINT, ok BOOLEAN NOT NULL, j TEXT, b BLOB)"
	const postgres = "CREATE TABLE a (b bytea, id uuid PRIMARY KEY, at timestamptz NOT NULL, n BIGINT, ok BOOLEAN NOT NULL, j jsonb)"
	for name, tc := range map[string]struct {
		sqlite, postgres string
		want             string
	}{
		"same":           {sqlite, postgres, ""},
		"rowid":          {"CREATE TABLE s (n INTEGER PRIMARY KEY)", "CREATE TABLE s (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY)", ""},
		"missing table":  {sqlite, postgres + "; CREATE TABLE more (x BIGINT)", "more"},
		"missing column": {sqlite, strings.Replace(postgres, "n BIGINT,", "n BIGINT, extra TEXT,", 1), "extra"},
		"nullability":    {sqlite, strings.Replace(postgres, "n BIGINT", "n BIGINT NOT NULL", 1), "Null"},
		"nullable key":   {strings.Replace(sqlite, "TEXT NOT NULL PRIMARY", "TEXT PRIMARY", 1), postgres, "Null"},
		"kind":           {strings.Replace(sqlite, "at TIMESTAMP", "at TEXT", 1), postgres, "Kind"},
		"zoneless time":  {sqlite, strings.Replace(postgres, "timestamptz", "timestamp", 1), "without time zone"},
	} {
		t.Run(name, func(t *testing.T) {
			kit := set(tc.sqlite, tc.postgres)
			diff := schemaDiff(t, SQLite(t, kit), Postgres(t, kit))
			if (diff == "") != (tc.want == "") || !strings.Contains(diff, tc.want) {
				t.Errorf("got %s", diff)
			}
		})
	}
}

func TestClock(t *testing.T) {
	c := NewClock(time.Time{})
	start := c.Now()
	if start.Weekday() != time.Monday || start.Location() != time.UTC {
		t.Error(start)
	}
	if got := c.Advance(time.Hour); got.Sub(start) != time.Hour || !c.Now().Equal(got) {
		t.Error(got)
	}
	c.Set(start)
	if !c.Now().Equal(start) {
		t.Error(c.Now())
	}
}
