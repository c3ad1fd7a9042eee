package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func script(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("-- +goose Up\n" + sql)} }

// other is a set beside items, in two versions.
func other(versions int) store.Migrations {
	files := fstest.MapFS{}
	for _, engine := range []string{"sqlite", "postgres"} {
		files[engine+"/0001_one.sql"] = script("CREATE TABLE other_one (id BIGINT NOT NULL);")
		if versions > 1 {
			files[engine+"/0003_three.sql"] = script("ALTER TABLE other_one ADD COLUMN more TEXT; CREATE TABLE other_three (id BIGINT);")
		}
	}
	return store.Migrations{Name: "other", FS: files}
}

// byCode is a set that a library would bring.
type byCode struct{}

func (byCode) Key() string { return "1" }

func (byCode) Migrate(ctx context.Context, db *store.DB) error {
	_, err := store.Write(ctx, db, func(tx store.Tx) (int64, error) {
		return tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS by_code (version BIGINT NOT NULL)")
	})
	return err
}

func (byCode) Status(ctx context.Context, db *store.DB) (have, want int64, err error) {
	_, err = store.Read(ctx, db, func(tx store.Tx) (int, error) { return store.Get[int](ctx, tx, "SELECT count(*) FROM by_code") })
	if err != nil {
		return 0, 1, nil //nolint:nilerr // no table, no version
	}
	return 1, 1, nil
}

func TestMigrate(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		status := func(sets ...store.Migrations) []store.SetStatus {
			t.Helper()
			got, err := db.SchemaStatus(t.Context(), sets...)
			must(t, err)
			return got
		}
		code := store.Migrations{Name: "code", By: byCode{}}
		all := []store.Migrations{sets(), other(1), code}
		want := []store.SetStatus{{Name: "items", Want: 2}, {Name: "other", Want: 1}, {Name: "code", Want: 1}}
		if diff := cmp.Diff(want, status(all...)); diff != "" {
			t.Error(diff)
		}
		must(t, db.Migrate(t.Context(), all...))
		must(t, db.Migrate(t.Context(), all...))
		for _, s := range status(all...) {
			if s.Behind() || s.Have != s.Want {
				t.Errorf("after migrating: %+v", s)
			}
		}
		if diff := cmp.Diff([]store.SetStatus{{Name: "other", Have: 1, Want: 3}}, status(other(2))); diff != "" {
			t.Error(diff)
		}
		// A statement used before and after its table changed.
		before, err := count(db, "SELECT * FROM other_one")
		must(t, err)
		must(t, db.Migrate(t.Context(), other(2)))
		after, err := count(db, "SELECT * FROM other_one")
		must(t, err)
		if before != 1 || after != 2 {
			t.Errorf("columns: %d, then %d", before, after)
		}
		if diff := cmp.Diff([]store.SetStatus{{Name: "other", Have: 3, Want: 3}}, status(other(2))); diff != "" {
			t.Error(diff)
		}
	})
}

// count is the number of columns of a query.
func count(db *store.DB, sql string) (int, error) {
	ctx := context.Background()
	return store.Read(ctx, db, func(tx store.Tx) (int, error) {
		rows, err := tx.Query(ctx, sql)
		if err != nil {
			return 0, err
		}
		defer rows.Close()
		return len(rows.Columns()), nil
	})
}

func TestReplicasMigrateAtOnce(t *testing.T) {
	dsn := testkit.PostgresDSN(t)
	must(t, parallel(6, func(int) error {
		db, err := store.Open(t.Context(), dsn, store.WithMaxConns(2))
		if err != nil {
			return err
		}
		defer db.Close()
		return db.Migrate(t.Context(), sets(), other(2))
	}))
}

func TestBrokenMigrations(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		files := fstest.MapFS{}
		for _, engine := range []string{"sqlite", "postgres"} {
			files[engine+"/0001_half.sql"] = script("CREATE TABLE half (id BIGINT); CREATE TABLE half (id BIGINT);")
		}
		broken := store.Migrations{Name: "broken", FS: files}
		if err := db.Migrate(t.Context(), broken); err == nil {
			t.Error("a broken migration passed")
		}
		got, err := db.SchemaStatus(t.Context(), broken)
		if diff := cmp.Diff([]store.SetStatus{{Name: "broken", Want: 1}}, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if _, err := count(db, "SELECT * FROM half"); err == nil {
			t.Error("half of a migration was stored")
		}
		for _, set := range []store.Migrations{{Name: "", FS: files}, {Name: "a b", FS: files}, {Name: "none", FS: fstest.MapFS{}}} {
			if err := db.Migrate(t.Context(), set); err == nil {
				t.Errorf("%q was taken", set.Name)
			}
			if _, err := db.SchemaStatus(t.Context(), set); err == nil {
				t.Errorf("%q has a status", set.Name)
			}
		}
	})
}

func TestOpen(t *testing.T) {
	for _, dsn := range []string{"", "mysql://x", "sqlite:", "sqlite::memory:", "sqlite:" + t.TempDir() + "/no/such.db", "sqlite:" + t.TempDir()} {
		if db, err := store.Open(t.Context(), dsn); err == nil {
			db.Close()
			t.Errorf("%q was opened", dsn)
		}
	}
	for _, dsn := range []string{"postgres://user:hidden@127.0.0.1:1/none?connect_timeout=2", "postgres://user:hidden@[::1/none", "postgres://u:hidden@127.0.0.1:99999/x"} {
		_, err := store.Open(t.Context(), dsn)
		if err == nil || cmp.Equal(err.Error(), "") {
			t.Fatalf("%q was opened", dsn)
		}
		if contains(err, "hidden") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	_, err := store.Open(t.Context(), "postgres://user@127.0.0.1:1/none")
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestPathsWithOddCharacters(t *testing.T) {
	path := t.TempDir() + "/a b?c%20d#é.db"
	db, err := store.Open(t.Context(), "sqlite:"+path)
	must(t, err)
	must(t, db.Migrate(t.Context(), sets()))
	must(t, db.Ping(t.Context()))
	db.Close()
	db.Close()
	if err := db.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("ping after close: %v", err)
	}
	checkFiles(t, path)
}

func TestClosed(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		db.Close()
		err := write(t, db, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM items")
			return err
		})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("write: %v", err)
		}
		err = read(t, db, func(ctx context.Context, tx store.Tx) error {
			_, err := store.Get[int](ctx, tx, "SELECT 1")
			return err
		})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("read: %v", err)
		}
	}, sets())
}
