package store_test

import (
	"context"
	"embed"
	"io/fs"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

//go:embed testdata
var testdata embed.FS

func sets() store.Migrations {
	files, err := fs.Sub(testdata, "testdata")
	if err != nil {
		panic(err)
	}
	return store.Migrations{Name: "items", FS: files}
}

var noon = time.Date(2026, 4, 6, 12, 0, 0, 123_456_000, time.UTC)

func newID() string { return uuid.Must(uuid.NewV7()).String() }

const insertItem = "INSERT INTO items (id, name, count, at) VALUES ($1, $2, $3, $4)"

type nothing = struct{}

// write and read run closures without a result.
func write(t testing.TB, db *store.DB, fn func(ctx context.Context, tx store.Tx) error) error {
	ctx := t.Context()
	_, err := store.Write(ctx, db, func(tx store.Tx) (nothing, error) { return nothing{}, fn(ctx, tx) })
	return err
}

func read(t testing.TB, db *store.DB, fn func(ctx context.Context, tx store.Tx) error) error {
	ctx := t.Context()
	_, err := store.Read(ctx, db, func(tx store.Tx) (nothing, error) { return nothing{}, fn(ctx, tx) })
	return err
}

func names(t testing.TB, db *store.DB) []string {
	t.Helper()
	ctx := context.Background()
	out, err := store.Read(ctx, db, func(tx store.Tx) ([]string, error) {
		return store.Select[string](ctx, tx, "SELECT name FROM items ORDER BY name")
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
