package department_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

var table = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE house (id bigint NOT NULL PRIMARY KEY);\n-- +goose Down\nDROP TABLE house;\n")}

var definition = department.Definition{
	Name:       access.Marketing,
	Migrations: store.Migrations{Name: "house", FS: fstest.MapFS{"postgres/0001_house.sql": table, "sqlite/0001_house.sql": table}},
	Build:      func(*department.Base) error { return nil },
}

// A department whose database came to another server lets its feed leap and says so. A user who may not do that gets to
// know who may, and the department does not start.
func TestStartOnAnotherServer(t *testing.T) {
	dsn := testkit.PostgresDSN(t, definition.Sets()...)
	admin, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(ctx context.Context, statements ...string) {
		t.Helper()
		for _, sql := range statements {
			if _, err := admin.Exec(ctx, sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
	guest := "guest_of_" + admin.Config().Database
	exec(t.Context(), "CREATE ROLE "+guest, "GRANT ALL ON ALL TABLES IN SCHEMA public TO "+guest)
	t.Cleanup(func() {
		exec(context.Background(), "DROP OWNED BY "+guest, "DROP ROLE "+guest)
		if err := admin.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	start := func(dsn string) (log string, err error) {
		var out bytes.Buffer
		service, err := department.Open(t.Context(), definition, department.Settings{DSN: dsn, Logger: slog.New(slog.NewTextHandler(&out, nil))})
		if err == nil {
			service.Close()
		}
		return out.String(), err
	}
	const said = "its feed goes on after a leap"
	if log, err := start(dsn); err != nil || strings.Contains(log, said) {
		t.Fatalf("at first: %v\n%s", err, log)
	}
	const move = "UPDATE feed_clock SET server = '7000000000000000000/00000001'"
	exec(t.Context(), move)
	asGuest, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := asGuest.Query()
	query.Set("role", guest)
	asGuest.RawQuery = query.Encode()
	if _, err := start(asGuest.String()); err == nil || !strings.Contains(err.Error(), "run `marketing migrate` as its owner") {
		t.Errorf("as a guest: %v", err)
	}
	for _, want := range []bool{true, false} {
		if log, err := start(dsn); err != nil || strings.Contains(log, said) != want {
			t.Errorf("said %v, want %v: %v\n%s", !want, want, err, log)
		}
	}
	exec(t.Context(), move)
	if _, err := admin.Exec(t.Context(), "ALTER TABLE events OWNER TO "+guest); err != nil {
		t.Fatal(err)
	}
	if log, err := start(asGuest.String()); err != nil || !strings.Contains(log, said) {
		t.Errorf("as the owner: %v\n%s", err, log)
	}
	// A server that does not tell which one it is, is none that anybody has moved to.
	exec(t.Context(), move, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
	if log, err := start(asGuest.String()); err != nil || strings.Contains(log, said) {
		t.Errorf("on a server that does not tell: %v\n%s", err, log)
	}
	exec(t.Context(), "ALTER TABLE events OWNER TO CURRENT_USER")
}
