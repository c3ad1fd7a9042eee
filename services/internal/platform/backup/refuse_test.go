package backup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/backup"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

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
