package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// crowd are Writes that share a transaction: they come while everything is busy, and go on together.
type crowd struct {
	t       *testing.T
	db      *store.DB
	letGo   chan struct{}
	wg      sync.WaitGroup
	mu      sync.Mutex
	results map[string]error
	waiting int
}

func newCrowd(t *testing.T, db *store.DB) *crowd {
	t.Helper()
	c := &crowd{t: t, db: db, letGo: make(chan struct{}), results: map[string]error{}}
	var busy sync.WaitGroup
	for range store.SharedAtOnce(db) {
		busy.Add(1)
		c.wg.Go(func() {
			_, err := store.Write(store.Sharing(t.Context()), db, func(store.Tx) (nothing, error) {
				busy.Done()
				<-c.letGo
				return nothing{}, nil
			})
			must(t, err)
		})
	}
	busy.Wait()
	return c
}

// join adds a Write, and returns when it waits.
func (c *crowd) join(ctx context.Context, name string, fn func(ctx context.Context, tx store.Tx) error) {
	c.t.Helper()
	c.wg.Go(func() {
		err := errors.New("did not return")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panicked: %v", p)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.results[name] = err
		}()
		_, err = store.Write(store.Sharing(ctx), c.db, func(tx store.Tx) (nothing, error) { return nothing{}, fn(ctx, tx) })
	})
	c.waiting++
	c.await(c.waiting)
}

func (c *crowd) await(n int) {
	c.t.Helper()
	for end := time.Now().Add(20 * time.Second); store.SharedWaiting(c.db) != n; runtime.Gosched() {
		if time.Now().After(end) {
			c.t.Fatalf("%d wait instead of %d", store.SharedWaiting(c.db), n)
		}
	}
}

// insert is a closure that reads, and writes an item in each way.
func insert(name string) func(ctx context.Context, tx store.Tx) error {
	return func(ctx context.Context, tx store.Tx) error {
		if _, err := store.Get[int](ctx, tx, "SELECT count(*) FROM items"); err != nil {
			return err
		}
		tx.Queue(insertItem, newID(), name+" queued", 1, noon)
		appendItem(tx, name+" appended")
		return nil
	}
}

// end lets all go, and returns what became of them and what is stored.
func (c *crowd) end() (map[string]error, []string) {
	c.t.Helper()
	close(c.letGo)
	c.wg.Wait()
	return c.results, names(c.t, c.db)
}

func stored(of ...string) []string {
	var list []string
	for _, name := range of {
		list = append(list, name+" appended", name+" queued")
	}
	slices.Sort(list)
	return list
}

// counted opens a database that counts commits.
func counted(t *testing.T, engine store.Engine, commits *atomic.Int32, opts ...store.Option) *store.DB {
	t.Helper()
	dsn := testkit.SQLiteDSN
	if engine == store.Postgres {
		dsn = testkit.PostgresDSN
	}
	opts = append(opts, store.WithoutSync(), store.WithCommits(store.Commits{Before: func(context.Context) error { commits.Add(1); return nil }}))
	db, err := store.Open(t.Context(), dsn(t, sets()), opts...)
	must(t, err)
	t.Cleanup(db.Close)
	return db
}

func eachEngine(t *testing.T, test func(t *testing.T, engine store.Engine)) {
	t.Helper()
	for _, engine := range []store.Engine{store.SQLite, store.Postgres} {
		t.Run(string(engine), func(t *testing.T) { test(t, engine) })
	}
}

// Those who wait share one transaction: each sees what those before it did, and all are stored when the first returns.
func TestSharedTransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine store.Engine) {
		var commits atomic.Int32
		db := counted(t, engine, &commits)
		c := newCrowd(t, db)
		var seen []int
		var hooks atomic.Int32
		for i := range 5 {
			name := fmt.Sprint("w", i)
			c.join(t.Context(), name, func(ctx context.Context, tx store.Tx) error {
				n, err := store.Get[int](ctx, tx, "SELECT count(*) FROM items")
				seen = append(seen, n)
				tx.AfterCommit(func() { hooks.Add(1) })
				if err != nil {
					return err
				}
				return insert(name)(ctx, tx)
			})
		}
		before := commits.Load()
		results, got := c.end()
		for name, err := range results {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if diff := cmp.Diff(stored("w0", "w1", "w2", "w3", "w4"), got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int{0, 2, 4, 6, 8}, seen); diff != "" {
			t.Error(diff)
		}
		if n := int(commits.Load()-before) - store.SharedAtOnce(db); n != 1 || hooks.Load() != 5 {
			t.Errorf("%d commits, %d hooks", n, hooks.Load())
		}
	})
}

// Whatever one of them does, the others are stored, and it gets what it would get alone.
func TestSharedWithOneThatFails(t *testing.T) {
	boom := errors.New("boom")
	for what, bad := range map[string]struct {
		run     func(ctx context.Context, tx store.Tx) error
		is      func(error) bool
		commits int // of the three others: together, or each alone
		last    bool
	}{
		"before it writes": {func(ctx context.Context, tx store.Tx) error {
			if _, err := store.Get[int](ctx, tx, "SELECT count(*) FROM items"); err != nil {
				return err
			}
			return boom
		}, func(err error) bool { return err == boom }, 1, false},
		"after it has written": {func(ctx context.Context, tx store.Tx) error {
			must(t, insert("bad")(ctx, tx))
			return boom
		}, func(err error) bool { return err == boom }, 3, false},
		"after a hook": {func(_ context.Context, tx store.Tx) error {
			tx.AfterCommit(func() { t.Error("the hook ran") })
			return boom
		}, func(err error) bool { return err == boom }, 3, false},
		"in a statement": {func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO nowhere (x) VALUES (1)")
			return err
		}, anyError, 3, false},
		"at the commit": {func(_ context.Context, tx store.Tx) error {
			appendItem(tx, "same")
			appendItem(tx, "same")
			return nil
		}, func(err error) bool { return store.UniqueOn(err, "items", "name", "count") }, 5, true}, // and two that are refused
		"by a panic": {func(ctx context.Context, tx store.Tx) error {
			must(t, insert("bad")(ctx, tx))
			panic("boom")
		}, func(err error) bool { return err.Error() == "panicked: boom" }, 3, false},
	} {
		t.Run(what, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine store.Engine) {
				var commits atomic.Int32
				db := counted(t, engine, &commits)
				c := newCrowd(t, db)
				c.join(t.Context(), "a", insert("a"))
				if !bad.last {
					c.join(t.Context(), "bad", bad.run)
				}
				c.join(t.Context(), "b", insert("b"))
				c.join(t.Context(), "c", insert("c"))
				if bad.last {
					c.join(t.Context(), "bad", bad.run)
				}
				before := commits.Load()
				results, got := c.end()
				for _, name := range []string{"a", "b", "c"} {
					if results[name] != nil {
						t.Errorf("%s: %v", name, results[name])
					}
				}
				if err := results["bad"]; err == nil || !bad.is(err) {
					t.Errorf("the bad one: %v", err)
				}
				if diff := cmp.Diff(stored("a", "b", "c"), got); diff != "" {
					t.Error(diff)
				}
				if n := int(commits.Load()-before) - store.SharedAtOnce(db); n != bad.commits {
					t.Errorf("%d commits instead of %d", n, bad.commits)
				}
			})
		})
	}
}

// Whoever gives up while it waits leaves no trace, and whoever gives up while it is at work breaks nothing of the others.
func TestSharedWithOneThatGivesUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine store.Engine) {
		var commits atomic.Int32
		db := counted(t, engine, &commits)
		c := newCrowd(t, db)
		waits, giveUp := context.WithCancel(t.Context())
		c.join(waits, "gives up waiting", insert("never"))
		c.join(t.Context(), "a", insert("a"))
		works, leave := context.WithCancel(t.Context())
		c.join(works, "gives up working", func(ctx context.Context, tx store.Tx) error {
			leave()
			return insert("late")(ctx, tx)
		})
		c.join(t.Context(), "b", insert("b"))
		giveUp()
		c.await(3)
		results, got := c.end()
		if !errors.Is(results["gives up waiting"], context.Canceled) {
			t.Errorf("gave up waiting: %v", results["gives up waiting"])
		}
		if results["a"] != nil || results["b"] != nil || results["gives up working"] != nil {
			t.Errorf("the others: %v", results)
		}
		if diff := cmp.Diff(stored("a", "b", "late"), got); diff != "" {
			t.Error(diff)
		}
	})
}

// One that has to wait for a lock does not keep the others.
func TestSharedWithOneThatWaitsForALock(t *testing.T) {
	var commits atomic.Int32
	db := counted(t, store.Postgres, &commits)
	id := newID()
	must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
		tx.Queue(insertItem, id, "locked", 1, noon)
		return nil
	}))
	held, letGo := make(chan struct{}), make(chan struct{})
	var holder sync.WaitGroup
	holder.Go(func() {
		must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE items SET count = 2 WHERE id = $1", id)
			close(held)
			<-letGo
			return err
		}))
	})
	<-held
	c := newCrowd(t, db)
	c.join(t.Context(), "a", insert("a"))
	c.join(t.Context(), "stuck", func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE items SET count = count + 10 WHERE id = $1", id)
		return err
	})
	c.join(t.Context(), "b", insert("b"))
	close(c.letGo)
	for end := time.Now().Add(20 * time.Second); c.returned() < 2; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the others wait, too")
		}
	}
	close(letGo)
	holder.Wait()
	c.wg.Wait()
	for name, err := range c.results {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
		n, err := store.Get[int](ctx, tx, "SELECT count FROM items WHERE id = $1", id)
		if n != 12 {
			t.Errorf("the locked row counts %d", n)
		}
		return err
	}))
}

// returned is how many of those that wait have returned.
func (c *crowd) returned() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.results)
}

// An answer that is lost is lost for all, who are told so.
func TestSharedAnswerIsLost(t *testing.T) {
	boom := errors.New("lost")
	eachEngine(t, func(t *testing.T, engine store.Engine) {
		var commits atomic.Int32
		var lose atomic.Bool
		dsn := testkit.SQLiteDSN
		if engine == store.Postgres {
			dsn = testkit.PostgresDSN
		}
		db, err := store.Open(t.Context(), dsn(t, sets()), store.WithoutSync(), store.WithCommits(store.Commits{After: func(context.Context) error {
			if commits.Add(1); lose.Load() {
				return boom
			}
			return nil
		}}))
		must(t, err)
		defer db.Close()
		c := newCrowd(t, db)
		c.join(t.Context(), "a", insert("a"))
		c.join(t.Context(), "b", func(ctx context.Context, tx store.Tx) error {
			lose.Store(true)
			return insert("b")(ctx, tx)
		})
		results, got := c.end()
		if !errors.Is(results["a"], boom) || !errors.Is(results["b"], boom) {
			t.Errorf("got %v", results)
		}
		if diff := cmp.Diff(stored("a", "b"), got); diff != "" {
			t.Error(diff)
		}
	})
}
