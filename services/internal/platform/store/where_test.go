package store_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestWhere(t *testing.T) {
	cases := map[string]struct {
		build func(w *store.Where) (string, []any)
		sql   string
		args  []any
	}{
		"nothing": {
			func(w *store.Where) (string, []any) { return w.Select("SELECT 1 FROM t", "") }, "SELECT 1 FROM t", nil,
		},
		"a tail": {
			func(w *store.Where) (string, []any) { return w.Select("SELECT 1 FROM t", "LIMIT ?", 3) },
			"SELECT 1 FROM t LIMIT $1",
			[]any{3},
		},
		"conditions": {
			func(w *store.Where) (string, []any) {
				w.And("a = ?", 1)
				w.And("b IS NULL")
				w.And("c = ? OR d = ?", "x", "?")
				return w.Select("SELECT 1 FROM t", "ORDER BY a LIMIT ? OFFSET ?", 5, 6)
			},
			"SELECT 1 FROM t WHERE (a = $1) AND (b IS NULL) AND (c = $2 OR d = $3) ORDER BY a LIMIT $4 OFFSET $5",
			[]any{1, "x", "?", 5, 6},
		},
		"one argument twice": {
			func(w *store.Where) (string, []any) {
				w.And("a = ?", 1)
				id := w.Arg("x")
				w.And("b = " + id + " OR c = " + id)
				w.And("d = ?", 2)
				return w.Select("SELECT 1 FROM t", "")
			},
			"SELECT 1 FROM t WHERE (a = $1) AND (b = $2 OR c = $2) AND (d = $3)",
			[]any{1, "x", 2},
		},
		"copies": {
			func(w *store.Where) (string, []any) {
				w.And("a = ?", 1)
				left, right := *w, *w
				left.And("b = ?", 2)
				right.And("c = ?", 3)
				if sql, args := left.Select("l", ""); sql != "l WHERE (a = $1) AND (b = $2)" || args[1] != 2 {
					t.Error(sql, args)
				}
				if sql, args := right.Select("r", ""); sql != "r WHERE (a = $1) AND (c = $2)" || args[1] != 3 {
					t.Error(sql, args)
				}
				return w.Select("w", "")
			},
			"w WHERE (a = $1)",
			[]any{1},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var w store.Where
			sql, args := c.build(&w)
			if sql != c.sql {
				t.Errorf("got  %s\nwant %s", sql, c.sql)
			}
			if diff := cmp.Diff(c.args, args); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhereOnEngines(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			for i, name := range []string{"a", "b", "c", "d"} {
				tx.Queue(insertItem, newID(), name, i, noon)
			}
			return nil
		}))
		cases := map[string]struct {
			in   []string
			want []string
		}{
			"all":     {nil, []string{"d", "c", "b"}},
			"some":    {[]string{"a", "c", "?"}, []string{"c", "a"}},
			"unknown": {[]string{"x"}, []string{}},
		}
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			for name, c := range cases {
				var w store.Where
				w.And("count >= ? OR name = ?", 1, "a")
				w.In(tx.Dialect(), "name", c.in)
				w.And("at = ?", noon)
				sql, args := w.Select("SELECT name FROM items", "ORDER BY name DESC LIMIT ?", 3)
				got, err := store.Select[string](ctx, tx, sql, args...)
				must(t, err)
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			return nil
		}))
	}, sets())
}
