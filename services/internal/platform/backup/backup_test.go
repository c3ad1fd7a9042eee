package backup_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tasuki-project/tasuki/services/internal/platform/backup"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// programs fails, or skips where that is allowed, without PostgreSQL's own programs.
func programs(t *testing.T) {
	t.Helper()
	for _, name := range []string{"pg_dump", "pg_restore"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv(testkit.EnvRequire) == "1" {
				t.Fatal(err)
			}
			t.Skip("needs PostgreSQL's client programs: ", err)
		}
	}
}

// both runs a test with a maker of DSNs of databases that have the sets.
func both(t *testing.T, test func(t *testing.T, dsn func(sets ...store.Migrations) string)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, func(sets ...store.Migrations) string { return testkit.SQLiteDSN(t, sets...) })
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := testkit.PostgresDSN(t, event.Migrations())
		programs(t)
		first := true
		test(t, func(sets ...store.Migrations) string {
			if first && len(sets) > 0 {
				first = false
				return dsn
			}
			return testkit.PostgresDSN(t, sets...)
		})
	})
}

func part(name, dsn string) backup.Part {
	return backup.Part{Name: name, DSN: dsn, Sets: []store.Migrations{event.Migrations()}, Feed: true}
}

// department is a database with a feed.
type department struct {
	t   *testing.T
	db  *store.DB
	log *event.Log
}

func open(t *testing.T, dsn string) *department {
	t.Helper()
	db, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return &department{t, db, event.NewLog(db, clock.System{})}
}

func (d *department) tell(ctx context.Context, subject string, n int64) error {
	_, err := store.Write(ctx, d.db, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, d.log.Append(ctx, tx, event.Event{Subject: subject, SubjectVersion: n, Data: wrapperspb.Int64(n)})
	})
	return err
}

// learn is what a subscription does when an event has no effect.
func (d *department) learn(ctx context.Context, name string, n int64) error {
	_, err := store.Write(ctx, d.db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(`INSERT INTO subscriptions (name, source, cursor, holder, lease_until, last_error) VALUES ($1, '', $2, '', $3, '')
			ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor`, name, fmt.Sprint(n), time.Now())
		return struct{}{}, nil
	})
	return err
}

// counts are how many events there are by subject, and how many a subscription knows of.
func (d *department) counts() map[string]int64 {
	d.t.Helper()
	type row struct {
		Name string
		N    int64
	}
	rows, err := store.Read(d.t.Context(), d.db, func(tx store.Tx) ([]row, error) {
		return store.Select[row](d.t.Context(), tx, `SELECT subject AS name, count(*) AS n FROM events GROUP BY subject
			UNION ALL SELECT name, CAST(cursor AS bigint) AS n FROM subscriptions`)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	all := map[string]int64{}
	for _, r := range rows {
		all[r.Name] = r.N
	}
	return all
}

// Two departments answer one another as fast as they can, by events and by cursors, while backups are taken. In none of them
// does one know what the other has not said.
func TestOneMoment(t *testing.T) {
	both(t, func(t *testing.T, dsn func(...store.Migrations) string) {
		here, there := dsn(event.Migrations()), dsn(event.Migrations())
		a, b := open(t, here), open(t, there)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		const talks = 4
		var talking sync.WaitGroup
		defer talking.Wait()
		defer cancel()
		for i := range talks {
			talking.Go(func() {
				name := fmt.Sprintf("talk/%d", i)
				answer := b.tell
				if i%2 == 1 {
					answer = b.learn
				}
				for n := int64(1); ctx.Err() == nil; n++ {
					for _, say := range []func(context.Context, string, int64) error{a.tell, answer} {
						if err := say(ctx, name, n); err != nil && ctx.Err() == nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		rounds := 4
		if a.db.Engine() == store.Postgres { // making databases takes it long
			rounds = 2
		}
		for range rounds {
			before := a.counts()["talk/0"]
			dir := filepath.Join(t.TempDir(), "backup")
			m, err := backup.Take(t.Context(), backup.Options{
				Parts: []backup.Part{part("a", here), part("b", there)}, To: dir, PgDump: "pg_dump", PgRestore: "pg_restore",
			})
			if err != nil {
				t.Fatal(err)
			}
			restoredA, restoredB := dsn(), dsn()
			if _, err := backup.Restore(t.Context(), backup.RestoreOptions{
				From: dir, Data: filepath.Dir(path(restoredA, t)), Parts: []backup.Part{part("a", restoredA)}, PgRestore: "pg_restore",
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := backup.Restore(t.Context(), backup.RestoreOptions{
				From: dir, Data: filepath.Dir(path(restoredB, t)), Parts: []backup.Part{part("b", restoredB)}, PgRestore: "pg_restore",
			}); err != nil {
				t.Fatal(err)
			}
			said, known := open(t, restoredA).counts(), open(t, restoredB).counts()
			t.Logf("held for %s: %v and %v", time.Duration(m.Held), said, known)
			if said["talk/0"] < before {
				t.Errorf("%d events are in the backup, and %d were there before it", said["talk/0"], before)
			}
			for name, n := range said {
				if ahead := n - known[name]; ahead < 0 || ahead > 1 {
					t.Errorf("%s: one has said %d, and the other knows %d", name, n, known[name])
				}
			}
		}
	})
}

// path is the file of a database; a file of no interest on PostgreSQL.
func path(dsn string, t *testing.T) string {
	if file, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return file
	}
	return filepath.Join(t.TempDir(), "none")
}

func mustContain(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestTakeRefuses(t *testing.T) {
	dsn := testkit.SQLiteDSN(t, event.Migrations())
	dir := t.TempDir()
	take := func(to string, parts ...backup.Part) error {
		_, err := backup.Take(t.Context(), backup.Options{Parts: parts, To: to})
		if _, serr := os.Stat(to + ".partial"); err != nil && serr == nil {
			t.Errorf("%s.partial is left behind", to)
		}
		return err
	}
	full := filepath.Join(dir, "full")
	if err := take(full, part("a", dsn)); err != nil {
		t.Fatal(err)
	}
	mustContain(t, take(full, part("a", dsn)), "is not empty")
	mustContain(t, take(filepath.Join(dir, "x"), part("a", "sqlite:"+filepath.Join(dir, "none.db"))), "no such file")
	mustContain(t, take(filepath.Join(dir, "x"), part("a", dsnOf(t))), "no tables of event")

	// Somebody writes and does not end.
	defer backup.HoldFor(5 * time.Millisecond)()
	d := open(t, dsn)
	_, err := store.Write(t.Context(), d.db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(`UPDATE feed_clock SET leaps = leaps`)
		if err := tx.Flush(t.Context()); err != nil {
			return struct{}{}, err
		}
		mustContain(t, take(filepath.Join(dir, "x"), part("a", dsn)), "somebody writes all the time")
		return struct{}{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := take(filepath.Join(dir, "x"), part("a", dsn)); err != nil {
		t.Error(err)
	}
}

// dsnOf is a SQLite file without tables.
func dsnOf(t *testing.T) string {
	t.Helper()
	dsn := testkit.SQLiteDSN(t)
	open(t, dsn)
	return dsn
}

func TestRestoreRefuses(t *testing.T) {
	dsn := testkit.SQLiteDSN(t, event.Migrations())
	dir := filepath.Join(t.TempDir(), "backup")
	key := filepath.Join(t.TempDir(), "issuer.key")
	if err := os.WriteFile(key, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Take(t.Context(), backup.Options{Parts: []backup.Part{part("a", dsn)}, Files: []string{key}, To: dir}); err != nil {
		t.Fatal(err)
	}
	restore := func(data string, p backup.Part, files ...string) error {
		_, err := backup.Restore(t.Context(), backup.RestoreOptions{From: dir, Data: data, Parts: []backup.Part{p}, Files: files})
		return err
	}
	data := t.TempDir()
	target := part("a", "sqlite:"+filepath.Join(data, "a.db"))
	mustContain(t, restore(data, part("b", target.DSN)), "the backup has no b")
	mustContain(t, restore(data, part("a", "postgres://nobody@127.0.0.1:1/none")), "cannot be restored to postgres")
	mustContain(t, restore(data, target, "other.key"), "the backup has no other.key")

	// A file that is there, and one that is in use.
	if err := os.WriteFile(filepath.Join(data, "a.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustContain(t, restore(data, target), "is there")
	if err := os.Rename(filepath.Join(data, "a.db"), filepath.Join(data, "b.db")); err != nil {
		t.Fatal(err)
	}
	other := open(t, "sqlite:"+filepath.Join(data, "b.db"))
	mustContain(t, restore(data, target), "is in use")
	other.db.Close()
	if err := restore(data, target, "issuer.key"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(data, "issuer.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is %v, %v", info, err)
	}
	mustContain(t, restore(t.TempDir(), part("a", target.DSN), "issuer.key"), "is there")

	// Of a newer program, damaged, incomplete.
	manifest := filepath.Join(dir, backup.ManifestName)
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, now string) {
		t.Helper()
		if err := os.WriteFile(manifest, []byte(strings.Replace(string(text), old, now, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fresh := t.TempDir()
	target = part("a", "sqlite:"+filepath.Join(fresh, "a.db"))
	change(`"event": `, `"event": 9`)
	mustContain(t, restore(fresh, target), "of a newer program")
	change(`"format": 1`, `"format": 2`)
	mustContain(t, restore(fresh, target), "has format 2")
	change(`"name": "a.db"`, `"name": "../a.db"`)
	mustContain(t, restore(fresh, target), "not in its folder")
	change("", "")
	f, err := os.OpenFile(filepath.Join(dir, "a.db"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff}, 5000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	mustContain(t, restore(fresh, target), "is damaged")
	if err := os.Remove(manifest); err != nil {
		t.Fatal(err)
	}
	mustContain(t, restore(fresh, target), "is no complete backup")
	if left, err := os.ReadDir(fresh); err != nil || len(left) != 0 {
		t.Errorf("refused, and yet there are %v, %v", left, err)
	}
}

// What is damaged at its source is noticed when it is copied.
func TestTakeNoticesDamage(t *testing.T) {
	dsn := testkit.SQLiteDSN(t, event.Migrations())
	d := open(t, dsn)
	for n := range int64(200) {
		if err := d.tell(t.Context(), fmt.Sprintf("lead/%d", n), 1); err != nil {
			t.Fatal(err)
		}
	}
	_, err := store.Write(t.Context(), d.db, func(tx store.Tx) (struct{}, error) { // an index that lacks an entry
		tx.Queue(`PRAGMA writable_schema = ON`)
		tx.Queue(`UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'parked_events_subject') WHERE name = 'events_subject'`)
		return struct{}{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.db.Close()
	_, err = backup.Take(t.Context(), backup.Options{Parts: []backup.Part{part("a", dsn)}, To: filepath.Join(t.TempDir(), "backup")})
	mustContain(t, err, "the copy is damaged")
}

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
