// Package testkit gives tests their stores and their clock.
package testkit

import (
	"testing"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Engines runs the test on SQLite and on PostgreSQL, each with an empty database that has the sets' schema. PostgreSQL is
// taken from TASUKI_TEST_POSTGRES_DSN; without it that half is skipped, or fails when TASUKI_REQUIRE_POSTGRES=1.
func Engines(t *testing.T, test func(t *testing.T, db *store.DB), sets ...store.Migrations) {
	t.Helper()
	t.Run(string(store.SQLite), func(t *testing.T) { test(t, SQLite(t, sets...)) })
	t.Run(string(store.Postgres), func(t *testing.T) { test(t, Postgres(t, sets...)) })
}

// SQLite opens an empty SQLite database that has the sets' schema. It is closed and removed when the test ends.
func SQLite(t testing.TB, sets ...store.Migrations) *store.DB { panic("not built yet") }

// Postgres is SQLite for PostgreSQL.
func Postgres(t testing.TB, sets ...store.Migrations) *store.DB { panic("not built yet") }

// SQLiteDSN is the DSN of a database as SQLite makes it, for programs that open it themselves.
func SQLiteDSN(t testing.TB, sets ...store.Migrations) string { panic("not built yet") }

// PostgresDSN is SQLiteDSN for PostgreSQL.
func PostgresDSN(t testing.TB, sets ...store.Migrations) string { panic("not built yet") }

// SchemasMatch applies the sets on both engines and fails on any difference in tables, columns or their nullability.
func SchemasMatch(t *testing.T, sets ...store.Migrations) { panic("not built yet") }
