package store_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// parallel runs n goroutines and returns their joined errors.
func parallel(n int, fn func(i int) error) error {
	var group errgroup.Group
	for i := range n {
		group.Go(func() error { return fn(i) })
	}
	return group.Wait()
}

// Read, add, write: no addition is lost, and each Write that returned is stored.
func TestConcurrentIncrements(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		const workers, rounds = 16, 10
		id := newID()
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			tx.Queue(insertItem, id, "counter", 0, noon)
			return nil
		}))
		must(t, parallel(workers, func(int) error {
			for range rounds {
				err := write(t, db, func(ctx context.Context, tx store.Tx) error {
					n, err := store.Get[int64](ctx, tx, "SELECT count FROM items WHERE id = $1"+tx.Dialect().ForUpdate(), id)
					tx.Queue("UPDATE items SET count = $1 WHERE id = $2", n+1, id)
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		}))
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			n, err := store.Get[int](ctx, tx, "SELECT count FROM items")
			if n != workers*rounds {
				t.Errorf("counted %d, want %d", n, workers*rounds)
			}
			return err
		}))
	}, sets())
}

// Exactly one of many compare-and-sets on the same version wins.
func TestOneCompareAndSetWins(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		id := newID()
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			tx.Queue(insertItem, id, "", 1, noon)
			return nil
		}))
		var mu sync.Mutex
		wins := 0
		must(t, parallel(12, func(i int) error {
			return write(t, db, func(ctx context.Context, tx store.Tx) error {
				n, err := tx.Exec(ctx, "UPDATE items SET count = 2, name = $1 WHERE id = $2 AND count = 1", strconv.Itoa(i), id)
				tx.AfterCommit(func() {
					mu.Lock()
					defer mu.Unlock()
					wins += int(n)
				})
				return err
			})
		}))
		if wins != 1 {
			t.Errorf("%d won", wins)
		}
	}, sets())
}

// Lock makes transactions on one name follow one another, and each sees what the one before stored.
func TestLock(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		var mu sync.Mutex
		created := 0
		must(t, parallel(12, func(int) error {
			return write(t, db, func(ctx context.Context, tx store.Tx) error {
				store.Lock(tx, "the name")
				n, err := store.Get[int](ctx, tx, "SELECT count(*) FROM items WHERE name = 'once'")
				if err != nil || n > 0 {
					return err
				}
				tx.Queue(insertItem, newID(), "once", created, noon)
				tx.AfterCommit(func() {
					mu.Lock()
					defer mu.Unlock()
					created++
				})
				return nil
			})
		}))
		if created != 1 {
			t.Errorf("created %d", created)
		}
	}, sets())
}

// Two transactions that lock the same rows in opposite order deadlock on PostgreSQL; both get through in the end. On SQLite
// they follow one another.
func TestDeadlocksAreRetried(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		ids := [2]string{newID(), newID()}
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			tx.Queue(insertItem, ids[0], "a", 0, noon)
			tx.Queue(insertItem, ids[1], "b", 0, noon)
			return nil
		}))
		// On PostgreSQL both hold their first row before either asks for its second.
		var met sync.WaitGroup
		met.Add(2)
		runs := [2]int{}
		must(t, parallel(2, func(i int) error {
			return write(t, db, func(ctx context.Context, tx store.Tx) error {
				runs[i]++
				add := "UPDATE items SET count = count + 1 WHERE id = $1"
				if _, err := tx.Exec(ctx, add, ids[i]); err != nil {
					return err
				}
				if runs[i] == 1 && db.Engine() == store.Postgres {
					met.Done()
					met.Wait()
				}
				if _, err := tx.Exec(ctx, add, ids[1-i]); err != nil {
					return fmt.Errorf("hidden in another error: %w", err)
				}
				return nil
			})
		}))
		if total := runs[0] + runs[1]; db.Engine() == store.Postgres && total < 3 {
			t.Errorf("ran %d times: no deadlock happened", total)
		}
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			counts, err := store.Select[int](ctx, tx, "SELECT count FROM items")
			if diff := cmp.Diff([]int{2, 2}, counts); diff != "" {
				t.Error(diff)
			}
			return err
		}))
	}, sets())
}

// A conflict that does not end is given up after five attempts; hooks of lost attempts never run.
func TestRetriesAreBounded(t *testing.T) {
	db := testkit.Postgres(t, sets())
	const conflict = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"
	for name, where := range map[string]func(ctx context.Context, tx store.Tx) error{
		"returned":   func(ctx context.Context, tx store.Tx) error { _, err := tx.Exec(ctx, conflict); return err },
		"overlooked": func(ctx context.Context, tx store.Tx) error { _, _ = tx.Exec(ctx, conflict); return nil },
		"replaced": func(ctx context.Context, tx store.Tx) error {
			_, _ = tx.Exec(ctx, conflict)
			return errors.New("other")
		},
		"at commit": func(_ context.Context, tx store.Tx) error { tx.Queue(conflict); return nil },
		"under pgx": func(ctx context.Context, tx store.Tx) error { _, err := tx.PgxTx().Exec(ctx, conflict); return err },
	} {
		runs := 0
		err := write(t, db, func(ctx context.Context, tx store.Tx) error {
			runs++
			tx.AfterCommit(func() { t.Error("AfterCommit ran") })
			return where(ctx, tx)
		})
		if !errors.Is(err, store.ErrRetry) || runs != 5 {
			t.Errorf("%s: %d runs, %v", name, runs, err)
		}
		runs = 0
		err = write(t, db, func(ctx context.Context, tx store.Tx) error {
			runs++
			tx.Queue(insertItem, newID(), name, runs, noon)
			tx.AfterCommit(func() { runs += 100 })
			if runs < 3 {
				return where(ctx, tx)
			}
			return nil
		})
		if err != nil || runs != 103 {
			t.Errorf("%s: %d runs, %v", name, runs, err)
		}
	}
	if got := names(t, db); len(got) != 5 {
		t.Errorf("stored %v", got)
	}
}

// A connection that is lost before the commit was sent is as good as a conflict: nothing was stored.
func TestLostConnection(t *testing.T) {
	db := testkit.Postgres(t, sets())
	kill := func(ctx context.Context, pid int) {
		_, err := db.Pool().Exec(ctx, "SELECT pg_terminate_backend($1, 5000)", pid)
		must(t, err)
	}
	runs := 0
	must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
		runs++
		pid, err := store.Get[int](ctx, tx, "SELECT pg_backend_pid()")
		must(t, err)
		if runs == 1 {
			kill(ctx, pid)
		}
		_, err = tx.Exec(ctx, insertItem, newID(), "a", 1, noon)
		return err
	}))
	if got := names(t, db); runs != 2 || len(got) != 1 {
		t.Errorf("%d runs, stored %v", runs, got)
	}
	// Lost with the commit: nobody knows what became of it, so it is never run again.
	runs = 0
	err := write(t, db, func(ctx context.Context, tx store.Tx) error {
		runs++
		tx.Queue(insertItem, newID(), "b", 1, noon)
		pid, err := store.Get[int](ctx, tx, "SELECT pg_backend_pid()")
		must(t, err)
		kill(ctx, pid)
		tx.Queue(insertItem, newID(), "c", 1, noon)
		return nil
	})
	if !errors.Is(err, store.ErrUnavailable) || runs != 1 {
		t.Errorf("%d runs, %v", runs, err)
	}
}

// SQLite: another process that writes for long is waited for, then given up on.
func TestBusyFile(t *testing.T) {
	dsn := testkit.SQLiteDSN(t, sets())
	open := func() *store.DB {
		db, err := store.Open(t.Context(), dsn, store.WithBusyTimeout(0))
		must(t, err)
		t.Cleanup(db.Close)
		return db
	}
	ours, theirs := open(), open()
	runs := 0
	must(t, write(t, theirs, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, insertItem, newID(), "theirs", 1, noon)
		must(t, err)
		err = write(t, ours, func(ctx context.Context, tx store.Tx) error {
			runs++
			_, err := tx.Exec(ctx, insertItem, newID(), "ours", 1, noon)
			return err
		})
		if !errors.Is(err, store.ErrRetry) || runs != 5 {
			t.Errorf("%d runs, %v", runs, err)
		}
		return nil
	}))
	runs = 0
	release := make(chan struct{})
	held := make(chan struct{})
	var group errgroup.Group
	group.Go(func() error {
		return write(t, theirs, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, insertItem, newID(), "again", 1, noon)
			close(held)
			<-release
			return err
		})
	})
	<-held
	must(t, write(t, ours, func(ctx context.Context, tx store.Tx) error {
		runs++
		if runs == 2 {
			close(release)
			must(t, group.Wait())
		}
		_, err := tx.Exec(ctx, insertItem, newID(), "ours", 1, noon)
		return err
	}))
	if got := names(t, ours); len(got) != 3 {
		t.Errorf("stored %v", got)
	}
}
