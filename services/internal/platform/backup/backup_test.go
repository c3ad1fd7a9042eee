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
