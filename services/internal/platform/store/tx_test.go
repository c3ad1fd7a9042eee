package store_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestWriteCommits(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		var order []string
		got, err := store.Write(t.Context(), db, func(tx store.Tx) (string, error) {
			tx.AfterCommit(func() { order = append(order, "first") })
			tx.AfterCommit(func() { order = append(order, "second") })
			tx.Queue(insertItem, newID(), "b", 1, noon)
			n, err := tx.Exec(t.Context(), insertItem, newID(), "a", 1, noon)
			if n != 1 {
				t.Errorf("rows affected: %d", n)
			}
			tx.Queue(insertItem, newID(), "c", 1, noon)
			if len(order) > 0 {
				t.Error("AfterCommit ran before the commit")
			}
			return "result", err
		})
		must(t, err)
		if got != "result" {
			t.Errorf("got %q", got)
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, names(t, db)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"first", "second"}, order); diff != "" {
			t.Error(diff)
		}
	}, sets())
}

// Each way to leave a Write without success, at each stage of the transaction.
func TestNothingIsStored(t *testing.T) {
	boom := errors.New("boom")
	stages := map[string]func(ctx context.Context, tx store.Tx) error{
		"before any statement": func(context.Context, store.Tx) error { return nil },
		"only queued": func(_ context.Context, tx store.Tx) error {
			tx.Queue(insertItem, newID(), "a", 1, noon)
			return nil
		},
		"only appended": func(_ context.Context, tx store.Tx) error {
			tx.Append("items", shortItem, newID(), "a", 1, noon)
			return nil
		},
		"executed": func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, insertItem, newID(), "a", 1, noon)
			tx.Queue(insertItem, newID(), "b", 1, noon)
			tx.Append("items", shortItem, newID(), "c", 1, noon)
			return err
		},
		"rows open": func(ctx context.Context, tx store.Tx) error {
			tx.Queue(insertItem, newID(), "a", 1, noon)
			rows, err := tx.Query(ctx, "SELECT 1 UNION SELECT 2")
			if err != nil {
				return err
			}
			rows.Next()
			return nil
		},
	}
	ends := map[string]func(t *testing.T, run func(end func() error) error){
		"error": func(t *testing.T, run func(func() error) error) {
			if err := run(func() error { return boom }); err != boom {
				t.Errorf("got %v", err)
			}
		},
		"panic": func(t *testing.T, run func(func() error) error) {
			defer func() {
				if r := recover(); r != boom {
					t.Errorf("recovered %v", r)
				}
			}()
			_ = run(func() error { panic(boom) })
			t.Error("the panic was swallowed")
		},
		"goexit": func(t *testing.T, run func(func() error) error) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = run(func() error { runtime.Goexit(); return nil })
			}()
			<-done
		},
	}
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		for stage, prepare := range stages {
			for end, leave := range ends {
				t.Run(stage+"/"+end, func(t *testing.T) {
					leave(t, func(end func() error) error {
						return write(t, db, func(ctx context.Context, tx store.Tx) error {
							tx.AfterCommit(func() { t.Error("AfterCommit ran") })
							must(t, prepare(ctx, tx))
							return end()
						})
					})
					if got := names(t, db); len(got) > 0 {
						t.Errorf("stored %v", got)
					}
					// The writer is free again.
					must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
						tx.Queue("DELETE FROM items")
						return nil
					}))
				})
			}
		}
	}, sets())
}

// A queued statement that fails, fails the Write, wherever it is sent, and nothing is stored.
func TestQueuedErrors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		for name, send := range sends {
			for _, begun := range []bool{false, true} {
				err := write(t, db, func(ctx context.Context, tx store.Tx) error {
					if begun {
						if _, err := tx.Exec(ctx, insertItem, newID(), "first", 1, noon); err != nil {
							return err
						}
					}
					id := newID()
					tx.Queue(insertItem, id, "a", 1, noon)
					tx.Queue(insertItem, id, "b", 1, noon)
					tx.Queue(insertItem, newID(), "c", 1, noon)
					return send(ctx, tx)
				})
				if !store.UniqueOn(err, "items", "id") {
					t.Errorf("%s (begun %v): got %v", name, begun, err)
				}
				if got := names(t, db); len(got) > 0 {
					t.Errorf("%s (begun %v): stored %v", name, begun, got)
				}
			}
		}
	}, sets())
}

// What is queued is seen by the statements after it.
func TestQueueKeepsOrder(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
			count := func() (n int) {
				must(t, tx.QueryRow(ctx, "SELECT count(*) FROM items").Scan(&n))
				return n
			}
			tx.Queue(insertItem, newID(), "a", 1, noon)
			if n := count(); n != 1 {
				t.Errorf("counted %d, want 1", n)
			}
			tx.Queue(insertItem, newID(), "b", 1, noon)
			tx.Queue("UPDATE items SET count = count + 1")
			if n, err := tx.Exec(ctx, "UPDATE items SET done = TRUE WHERE count = 2"); n != 2 || err != nil {
				t.Errorf("updated %d (%v), want 2", n, err)
			}
			tx.Queue("DELETE FROM items WHERE name = 'a'")
			must(t, tx.Flush(ctx))
			if n := count(); n != 1 {
				t.Errorf("counted %d, want 1", n)
			}
			return nil
		}))
	}, sets())
}

// After a failed statement nothing can be done or committed, even when the closure overlooks the error.
func TestFailedStatementSpoilsTheTransaction(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		overlooked := map[string]func(ctx context.Context, tx store.Tx){
			"refused":  func(ctx context.Context, tx store.Tx) { _, _ = tx.Exec(ctx, insertItem, newID(), nil, 1, noon) },
			"no table": func(ctx context.Context, tx store.Tx) { _, _ = tx.Exec(ctx, "DELETE FROM nowhere") },
			"syntax":   func(ctx context.Context, tx store.Tx) { _, _ = tx.Query(ctx, "SELEC 1") },
			"argument": func(ctx context.Context, tx store.Tx) {
				_, _ = tx.Exec(ctx, insertItem, newID(), make(chan int), 1, noon)
			},
			"too few":    func(ctx context.Context, tx store.Tx) { _, _ = tx.Exec(ctx, insertItem, newID()) },
			"in a batch": func(ctx context.Context, tx store.Tx) { tx.Queue("DELETE FROM nowhere"); _ = tx.Flush(ctx) },
		}
		for name, fail := range overlooked {
			for _, begun := range []bool{false, true} {
				err := write(t, db, func(ctx context.Context, tx store.Tx) error {
					if begun {
						if _, err := tx.Exec(ctx, insertItem, newID(), "a", 1, noon); err != nil {
							return err
						}
					}
					fail(ctx, tx)
					if _, err := tx.Exec(ctx, insertItem, newID(), "b", 1, noon); err == nil {
						t.Errorf("%s: a statement worked after a failed one", name)
					}
					return nil
				})
				var e *store.Error
				if !errors.As(err, &e) {
					t.Errorf("%s (begun %v): got %v", name, begun, err)
				}
				if got := names(t, db); len(got) > 0 {
					t.Fatalf("%s (begun %v): stored %v", name, begun, got)
				}
			}
		}
	}, sets())
}

func TestOpenRowsAreRefused(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
			rows, err := tx.Query(ctx, "SELECT 1 UNION SELECT 2")
			must(t, err)
			if _, err := tx.Exec(ctx, "DELETE FROM items"); err != store.ErrRowsOpen {
				t.Errorf("exec: %v", err)
			}
			if err := tx.Flush(ctx); err != store.ErrRowsOpen {
				t.Errorf("flush: %v", err)
			}
			rows.Close()
			rows.Close()
			_, err = tx.Exec(ctx, "DELETE FROM items")
			return err
		}))
		for name, run := range map[string]func(testing.TB, *store.DB, func(context.Context, store.Tx) error) error{"write": write, "read": read} {
			err := run(t, db, func(ctx context.Context, tx store.Tx) error {
				rows, err := tx.Query(ctx, "SELECT 1 UNION SELECT 2")
				if err == nil {
					rows.Next()
				}
				return err
			})
			if err != store.ErrRowsOpen {
				t.Errorf("%s with open rows: %v", name, err)
			}
		}
	}, sets())
}

func TestReadCannotWrite(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		err := read(t, db, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, insertItem, newID(), "a", 1, noon)
			return err
		})
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("exec: %v", err)
		}
		err = read(t, db, func(ctx context.Context, tx store.Tx) error {
			tx.Queue(insertItem, newID(), "a", 1, noon)
			return nil
		})
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("queue: %v", err)
		}
		err = read(t, db, func(ctx context.Context, tx store.Tx) error {
			appendItem(tx, "a")
			return nil
		})
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("append: %v", err)
		}
		if got := names(t, db); len(got) > 0 {
			t.Errorf("stored %v", got)
		}
	}, sets())
}

// A reader sees one state of the database however long it takes, and does not hold up a writer.
func TestReadIsASnapshot(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			count := func() (n int) {
				must(t, tx.QueryRow(ctx, "SELECT count(*) FROM items").Scan(&n))
				return n
			}
			if n := count(); n != 0 {
				t.Errorf("counted %d at first", n)
			}
			must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
				tx.Queue(insertItem, newID(), "a", 1, noon)
				return nil
			}))
			if n := count(); n != 0 {
				t.Errorf("counted %d after another transaction", n)
			}
			return nil
		}))
		if got := names(t, db); len(got) != 1 {
			t.Errorf("stored %v", got)
		}
	}, sets())
}

func TestTransactionEndsWithItsClosure(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		var kept store.Tx
		must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
			kept = tx
			_, err := tx.Exec(ctx, insertItem, newID(), "a", 1, noon)
			return err
		}))
		if _, err := kept.Exec(t.Context(), insertItem, newID(), "b", 1, noon); !errors.Is(err, store.ErrTxDone) {
			t.Errorf("got %v", err)
		}
	}, sets())
}

func TestCancelledContext(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := store.Write(ctx, db, func(tx store.Tx) (nothing, error) {
			if _, err := tx.Exec(ctx, insertItem, newID(), "a", 1, noon); err != nil {
				return nothing{}, err
			}
			cancel()
			return nothing{}, nil
		})
		if err != context.Canceled {
			t.Errorf("got %v", err)
		}
		if got := names(t, db); len(got) > 0 {
			t.Errorf("stored %v", got)
		}
		_, err = store.Read(ctx, db, func(tx store.Tx) (int, error) { return store.Get[int](ctx, tx, "SELECT 1") })
		if err != context.Canceled {
			t.Errorf("read: got %v", err)
		}
	}, sets())
}
