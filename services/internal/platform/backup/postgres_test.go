package backup_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tasuki-project/tasuki/services/internal/platform/backup"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestPostgresRefusals(t *testing.T) {
	dsn := testkit.PostgresDSN(t, event.Migrations())
	programs(t)
	dir := filepath.Join(t.TempDir(), "backup")
	o := backup.Options{Parts: []backup.Part{part("a", dsn)}, To: dir, PgDump: "no-such-pg_dump", PgRestore: "pg_restore"}
	if _, err := backup.Take(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no-such-pg_dump") {
		t.Errorf("without pg_dump: %v", err)
	}
	o.PgDump = "pg_dump"
	d := open(t, dsn)
	undo := backup.HoldFor(5 * time.Millisecond)
	_, err := store.Write(t.Context(), d.db, func(tx store.Tx) (struct{}, error) {
		if err := d.log.Append(t.Context(), tx, event.Event{Subject: "a/1", Data: wrapperspb.Int64(1)}); err != nil {
			return struct{}{}, err
		}
		if err := tx.Flush(t.Context()); err != nil {
			return struct{}{}, err
		}
		_, err := backup.Take(t.Context(), o)
		mustContain(t, err, "somebody writes all the time")
		return struct{}{}, nil
	})
	undo()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Take(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	_, err = backup.Restore(t.Context(), backup.RestoreOptions{From: dir, Data: t.TempDir(), Parts: o.Parts, PgRestore: "pg_restore"})
	mustContain(t, err, "the database is not empty")
}

// Who restores may be an administrator; what is restored belongs to the owner of the database.
func TestRestoreForOwner(t *testing.T) {
	from := testkit.PostgresDSN(t, event.Migrations())
	programs(t)
	dir := filepath.Join(t.TempDir(), "backup")
	o := backup.Options{Parts: []backup.Part{part("a", from)}, To: dir, PgDump: "pg_dump", PgRestore: "pg_restore"}
	if _, err := backup.Take(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	to := testkit.PostgresDSN(t)
	admin, err := pgx.Connect(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	role := pgx.Identifier{"owner_of_" + admin.Config().Database}.Sanitize()
	name := pgx.Identifier{admin.Config().Database}.Sanitize()
	exec := func(ctx context.Context, statements ...string) {
		for _, sql := range statements {
			if _, err := admin.Exec(ctx, sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
	exec(t.Context(), "CREATE ROLE "+role, "ALTER DATABASE "+name+" OWNER TO "+role)
	t.Cleanup(func() {
		ctx := context.Background()
		exec(ctx, "REASSIGN OWNED BY "+role+" TO CURRENT_USER", "DROP OWNED BY "+role, "DROP ROLE "+role)
		if err := admin.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	_, err = backup.Restore(t.Context(), backup.RestoreOptions{From: dir, Data: t.TempDir(), Parts: []backup.Part{part("a", to)}, PgRestore: "pg_restore"})
	if err != nil {
		t.Fatal(err)
	}
	var others int
	err = admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = 'public' AND pg_get_userbyid(c.relowner) <> 'owner_of_' || current_database()`).Scan(&others)
	if err != nil || others != 0 {
		t.Errorf("%d things belong to somebody else, %v", others, err)
	}
	d := open(t, to)
	if err := d.tell(t.Context(), "lead/1", 1); err != nil {
		t.Error(err)
	}
}

func TestLibpqURI(t *testing.T) {
	for dsn, want := range map[string][2]string{
		"postgres://u:p%40ss@h:5433/db?sslmode=verify-full&pool_max_conns=4&timezone=UTC": {"postgres://u@h:5433/db?sslmode=verify-full", "p@ss"},
		"postgresql://h/db?user=u&password=secret":                                        {"postgresql://h/db?user=u", "secret"},
		"postgres://postgres@127.0.0.1/x":                                                 {"postgres://postgres@127.0.0.1/x", ""},
	} {
		if uri, password, err := backup.LibpqURI(dsn); err != nil || uri != want[0] || password != want[1] {
			t.Errorf("%s: %q, %q, %v", dsn, uri, password, err)
		}
	}
}
