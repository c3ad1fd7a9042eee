package store_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// keyGuard keeps results under a key, in the items table: name is the key, note the result.
type keyGuard struct{ key string }

func (g keyGuard) Before(ctx context.Context, tx store.Tx) (any, bool, error) {
	result, err := store.Get[string](ctx, tx, "SELECT note FROM items WHERE name = $1", "key "+g.key)
	if errors.Is(err, store.ErrNoRows) {
		return nil, false, nil
	}
	return result, err == nil, err
}

func (g keyGuard) After(_ context.Context, tx store.Tx, result any) error {
	if result == "unwanted" {
		return errors.New("refused")
	}
	tx.Queue("INSERT INTO items (id, name, count, at, note) VALUES ($1, $2, 0, $3, $4)", newID(), "key "+g.key, noon, result)
	return nil
}

func guarded(ctx context.Context, db *store.DB, result string, fn func(ctx context.Context, tx store.Tx) error) (string, error) {
	return store.Write(ctx, db, func(tx store.Tx) (string, error) {
		if fn != nil {
			if err := fn(ctx, tx); err != nil {
				return "", err
			}
		}
		return result, nil
	})
}

func TestGuard(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		ctx := store.WithGuard(t.Context(), keyGuard{"k"})
		if got, err := guarded(ctx, db, "first", nil); got != "first" || err != nil {
			t.Fatal(got, err)
		}
		// The same context again: its guard is used up.
		if got, err := guarded(ctx, db, "second", nil); got != "second" || err != nil {
			t.Error(got, err)
		}
		if got, err := guarded(store.WithoutGuard(store.WithGuard(t.Context(), keyGuard{"k"})), db, "third", nil); got != "third" || err != nil {
			t.Error(got, err)
		}
		// The same key again: replayed.
		got, err := guarded(store.WithGuard(t.Context(), keyGuard{"k"}), db, "fourth", func(context.Context, store.Tx) error {
			t.Error("the closure ran")
			return nil
		})
		if got != "first" || err != nil {
			t.Error(got, err)
		}
		_, err = store.Write(store.WithGuard(t.Context(), keyGuard{"k"}), db, func(store.Tx) (int, error) { return 1, nil })
		if err == nil || !strings.Contains(err.Error(), "replays") {
			t.Errorf("a replay of another type: %v", err)
		}
		if diff := cmp.Diff([]string{"key k"}, names(t, db)); diff != "" {
			t.Error(diff)
		}
	}, sets())
}

func TestGuardStoresNothingOnErrors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		add := func(_ context.Context, tx store.Tx) error {
			tx.Queue(insertItem, newID(), "effect", 1, noon)
			return nil
		}
		if _, err := guarded(store.WithGuard(t.Context(), keyGuard{"k"}), db, "unwanted", add); err == nil {
			t.Error("After's error was lost")
		}
		boom := errors.New("boom")
		_, err := guarded(store.WithGuard(t.Context(), keyGuard{"k"}), db, "", func(ctx context.Context, tx store.Tx) error {
			_ = add(ctx, tx)
			return boom
		})
		if err != boom {
			t.Error(err)
		}
		func() {
			defer func() { _ = recover() }()
			_, _ = guarded(store.WithGuard(t.Context(), keyGuard{"k"}), db, "", func(ctx context.Context, tx store.Tx) error {
				_ = add(ctx, tx)
				panic("boom")
			})
		}()
		if got := names(t, db); len(got) > 0 {
			t.Errorf("stored %v", got)
		}
	}, sets())
}

// Parallel calls with one key have one effect, and all get its result, wherever the losers stumble: over the key at commit,
// over the effect's own unique index at commit, or inside the closure, which makes another error of it.
func TestGuardUnderRivals(t *testing.T) {
	effects := map[string]func(ctx context.Context, tx store.Tx) error{
		"key": nil,
		"queued effect": func(_ context.Context, tx store.Tx) error {
			tx.Queue(insertItem, newID(), "effect", 1, noon)
			return nil
		},
		"executed effect": func(ctx context.Context, tx store.Tx) error {
			if _, err := tx.Exec(ctx, insertItem, newID(), "effect", 1, noon); err != nil {
				return errors.New("already there")
			}
			return nil
		},
	}
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		for name, effect := range effects {
			var ran atomic.Int64
			must(t, parallel(8, func(int) error {
				got, err := guarded(store.WithGuard(t.Context(), keyGuard{"k"}), db, "done", func(ctx context.Context, tx store.Tx) error {
					tx.AfterCommit(func() { ran.Add(1) })
					if effect == nil {
						return nil
					}
					return effect(ctx, tx)
				})
				if err == nil && got != "done" {
					err = errors.New("got " + got)
				}
				return err
			}))
			if ran.Load() != 1 {
				t.Errorf("%s: committed %d times", name, ran.Load())
			}
			must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
				tx.Queue("DELETE FROM items")
				return nil
			}))
		}
	}, sets())
}

// Without a rival a unique violation is the closure's own: one more attempt, then the error.
func TestGuardKeepsOwnViolations(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		runs := 0
		_, err := guarded(store.WithGuard(t.Context(), keyGuard{"k"}), db, "", func(_ context.Context, tx store.Tx) error {
			runs++
			tx.Queue(insertItem, newID(), "same", 1, noon)
			tx.Queue(insertItem, newID(), "same", 1, noon)
			return nil
		})
		if !store.UniqueOn(err, "items", "name", "count") || runs != 2 {
			t.Errorf("%d runs, %v", runs, err)
		}
	}, sets())
}
