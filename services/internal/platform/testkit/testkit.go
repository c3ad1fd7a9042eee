package testkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// The environment that decides about PostgreSQL.
const (
	// EnvPostgres is a DSN postgres://… of a superuser to a maintenance database.
	EnvPostgres = "TASUKI_TEST_POSTGRES_DSN"
	// EnvRequire set to 1 makes a test that needs PostgreSQL fail where it would be skipped.
	EnvRequire = "TASUKI_REQUIRE_POSTGRES"
)

// Engines runs the test on SQLite and on PostgreSQL, each with an empty database that has the sets' schema. PostgreSQL is
// taken from TASUKI_TEST_POSTGRES_DSN; without it that half is skipped, or fails when TASUKI_REQUIRE_POSTGRES=1.
func Engines(t *testing.T, test func(t *testing.T, db *store.DB), sets ...store.Migrations) {
	t.Helper()
	t.Run(string(store.SQLite), func(t *testing.T) { test(t, SQLite(t, sets...)) })
	t.Run(string(store.Postgres), func(t *testing.T) { test(t, Postgres(t, sets...)) })
}

// SQLite opens an empty SQLite database that has the sets' schema. It does not wait for the disk. It is closed and removed
// when the test ends.
func SQLite(t testing.TB, sets ...store.Migrations) *store.DB {
	t.Helper()
	return open(t, SQLiteDSN(t, sets...), store.WithoutSync())
}

// Postgres is SQLite for PostgreSQL. The database compares text linguistically, so that a column which lacks its COLLATE "C"
// shows.
func Postgres(t testing.TB, sets ...store.Migrations) *store.DB {
	t.Helper()
	return open(t, PostgresDSN(t, sets...), store.WithMaxConns(20))
}

// SQLiteDSN is the DSN of a database as SQLite makes it, for programs that open it themselves. Close them before the test ends.
func SQLiteDSN(t testing.TB, sets ...store.Migrations) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	if len(sets) > 0 {
		if err := os.WriteFile(path, sqliteTemplate(t, sets), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "sqlite:" + path
}

func open(t testing.TB, dsn string, opts ...store.Option) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), dsn, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

var templates struct {
	sync.Mutex
	files map[string][]byte
}

// sqliteTemplate is the content of a migrated database file, made once per process and set of migrations.
func sqliteTemplate(t testing.TB, sets []store.Migrations) []byte {
	t.Helper()
	key := fingerprint(t, store.SQLite, sets)
	templates.Lock()
	defer templates.Unlock()
	if file, ok := templates.files[key]; ok {
		return file
	}
	path := filepath.Join(t.TempDir(), "template.db")
	if err := migrated(context.Background(), "sqlite:"+path, sets); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if templates.files == nil {
		templates.files = map[string][]byte{}
	}
	templates.files[key] = file
	return file
}

func migrated(ctx context.Context, dsn string, sets []store.Migrations) error {
	db, err := store.Open(ctx, dsn, store.WithoutSync(), store.WithMaxConns(4))
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Migrate(ctx, sets...)
}

// fingerprint changes with anything in the sets that changes the engine's schema.
func fingerprint(t testing.TB, engine store.Engine, sets []store.Migrations) string {
	t.Helper()
	h := sha256.New()
	for _, set := range sets {
		fmt.Fprintf(h, "set %s\n", set.Name)
		if set.By != nil {
			fmt.Fprintf(h, "by %s\n", set.By.Key())
			continue
		}
		names, err := fs.Glob(set.FS, string(engine)+"/*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := fs.ReadFile(set.FS, name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(h, "file %s %d\n", name, len(b))
			h.Write(b)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:24]
}
