package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

// checkFiles expects the database's file alone, readable by its owner only.
func checkFiles(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	for _, entry := range entries {
		info, err := entry.Info()
		must(t, err)
		if entry.Name() != filepath.Base(path) || info.Mode().Perm() != 0o600 {
			t.Errorf("left %s with mode %v", entry.Name(), info.Mode())
		}
	}
}

// What the design promises of SQLite holds on each connection: a full sync, WAL, foreign keys, readers that cannot write.
func TestSQLitePragmas(t *testing.T) {
	db, err := store.Open(t.Context(), testkit.SQLiteDSN(t, sets()))
	must(t, err)
	defer db.Close()
	for name, run := range map[string]func(testing.TB, *store.DB, func(context.Context, store.Tx) error) error{"write": write, "read": read} {
		must(t, run(t, db, func(ctx context.Context, tx store.Tx) error {
			readOnly := 0
			if name == "read" {
				readOnly = 1
			}
			for pragma, want := range map[string]any{
				"journal_mode": "wal", "synchronous": int64(2), "foreign_keys": int64(1), "busy_timeout": int64(5000), "query_only": int64(readOnly),
			} {
				var got any
				must(t, tx.QueryRow(ctx, "PRAGMA "+pragma).Scan(&got))
				if got != want {
					t.Errorf("%s: %s is %v, want %v", name, pragma, got, want)
				}
			}
			return nil
		}))
	}
}

func TestSchemasMatch(t *testing.T) { testkit.SchemasMatch(t, sets()) }
