package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

type preparedKey struct{}

var errRefused = errors.New("refused")

// Things that can be done are, whatever becomes of the others, and what was done runs its functions after the commit, once.
func TestEach(t *testing.T) {
	add := func(_ context.Context, tx store.Tx, name string) error {
		tx.Queue(insertItem, newID(), name, 1, noon)
		tx.Append("items", []string{"id", "name", "count", "at"}, newID(), name+"'", 1, noon)
		return nil
	}
	fine := func(ctx context.Context, tx store.Tx, i int) error { return add(ctx, tx, fmt.Sprint(i)) }
	for name, c := range map[string]struct {
		// second is what the thing in the middle does.
		second func(ctx context.Context, tx store.Tx) error
		want   error
		// alone tells whether all had to run again.
		alone bool
	}{
		"all are done": {second: func(ctx context.Context, tx store.Tx) error { return add(ctx, tx, "1") }},
		"refused before it wrote": {
			second: func(context.Context, store.Tx) error { return errRefused }, want: errRefused,
		},
		"refused after it wrote": {
			second: func(ctx context.Context, tx store.Tx) error { return errors.Join(add(ctx, tx, "x"), errRefused) },
			want:   errRefused, alone: true,
		},
		"a queued statement fails": {
			second: func(_ context.Context, tx store.Tx) error {
				tx.Queue("INSERT INTO items (id, name, count, at) SELECT id, name, count, at FROM items")
				return nil
			},
			want: store.ErrUnique, alone: true,
		},
		"a statement fails and is passed over": {
			second: func(ctx context.Context, tx store.Tx) error {
				_, _ = tx.Exec(ctx, "INSERT INTO items (id, name, count, at) SELECT id, name, count, at FROM items")
				return nil
			},
			want: store.ErrUnique, alone: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Engines(t, func(t *testing.T, db *store.DB) {
				var hooks, unprepared []int
				var outcomes []error
				must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
					tx.Queue(insertItem, newID(), "before", 1, noon)
					tx.AfterCommit(func() { hooks = append(hooks, -1) })
					prepare := func(ctx context.Context) (context.Context, error) {
						_, err := store.Select[string](ctx, tx, "SELECT name FROM items")
						return context.WithValue(ctx, preparedKey{}, true), err
					}
					var err error
					outcomes, err = store.Each(ctx, tx, 3, prepare, func(ctx context.Context, i int) error {
						if ctx.Value(preparedKey{}) == nil {
							unprepared = append(unprepared, i)
						}
						do := fine
						if i == 1 {
							do = func(ctx context.Context, tx store.Tx, _ int) error { return c.second(ctx, tx) }
						}
						err := do(ctx, tx, i)
						if err == nil {
							tx.AfterCommit(func() { hooks = append(hooks, i) })
						}
						return err
					})
					tx.Queue(insertItem, newID(), "behind", 1, noon)
					return err
				}))
				want, wantHooks := []string{"0", "0'", "1", "1'", "2", "2'", "before", "behind"}, []int{-1, 0, 1, 2}
				if c.want != nil {
					want = slices.DeleteFunc(want, func(s string) bool { return strings.HasPrefix(s, "1") })
					wantHooks = []int{-1, 0, 2}
				}
				if diff := cmp.Diff(want, names(t, db)); diff != "" {
					t.Errorf("stored (- want, + got):\n%s", diff)
				}
				if outcomes[0] != nil || outcomes[2] != nil || !errors.Is(outcomes[1], c.want) {
					t.Errorf("outcomes %v, want %v in the middle", outcomes, c.want)
				}
				if !slices.Equal(hooks, wantHooks) {
					t.Errorf("after the commit: %v, want %v", hooks, wantHooks)
				}
				if wantAlone := map[bool][]int{true: {0, 1, 2}}[c.alone]; !slices.Equal(unprepared, wantAlone) {
					t.Errorf("%v ran without what was read for all, want %v", unprepared, wantAlone)
				}
			}, sets())
		})
	}
}

// What is nobody's own fault fails the transaction.
func TestEachForAll(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		same := func(ctx context.Context) (context.Context, error) { return ctx, nil }
		err := write(t, db, func(ctx context.Context, tx store.Tx) error {
			_, err := store.Each(ctx, tx, 1, func(context.Context) (context.Context, error) { return nil, errRefused }, nil)
			return err
		})
		if !errors.Is(err, errRefused) {
			t.Errorf("preparing fails: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err = store.Write(ctx, db, func(tx store.Tx) (nothing, error) {
			outcomes, err := store.Each(ctx, tx, 2, same, func(_ context.Context, i int) error {
				tx.Queue(insertItem, newID(), fmt.Sprint(i), 1, noon)
				cancel()
				return errRefused
			})
			if outcomes != nil && err == nil {
				t.Errorf("the caller has gone: %v", outcomes)
			}
			return nothing{}, err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the caller has gone: %v", err)
		}
		if db.Engine() == store.Postgres { // SQLite has one writer, and so no rivals
			runs := 0
			must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
				runs++
				_, err := store.Each(ctx, tx, 2, same, func(ctx context.Context, _ int) error {
					if runs > 1 {
						return nil
					}
					_, err := tx.Exec(ctx, "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
					return err
				})
				return err
			}))
			if runs != 2 {
				t.Errorf("a rival was there: it ran %d times, want 2", runs)
			}
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a panic is swallowed")
				}
			}()
			_ = write(t, db, func(ctx context.Context, tx store.Tx) error {
				_, err := store.Each(ctx, tx, 2, same, func(_ context.Context, i int) error {
					tx.Queue(insertItem, newID(), fmt.Sprint(i), 1, noon)
					if i == 1 {
						panic("a bug")
					}
					return nil
				})
				return err
			})
		}()
		if got := names(t, db); len(got) != 0 {
			t.Errorf("stored all the same: %v", got)
		}
	}, sets())
}
