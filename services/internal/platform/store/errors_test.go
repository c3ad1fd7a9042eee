package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestErrors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		item := newID()
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			tx.Queue(insertItem, item, "a", 1, noon)
			tx.Queue("INSERT INTO parts (id, item_id, email, qty) VALUES ($1, $2, 'A@example.com', 1)", newID(), item)
			return nil
		}))
		part := "INSERT INTO parts (id, item_id, email, qty) VALUES ($1, $2, $3, $4)"
		for name, tc := range map[string]struct {
			sql        string
			args       []any
			kind       error
			constraint string
			table      string
			columns    []string
		}{
			"unique index":  {insertItem, []any{newID(), "a", 1, noon}, store.ErrUnique, "items_name_count_key", "items", []string{"name", "count"}},
			"primary key":   {insertItem, []any{item, "b", 1, noon}, store.ErrUnique, "items_pkey", "items", []string{"id"}},
			"on expression": {part, []any{newID(), item, "a@EXAMPLE.com", 1}, store.ErrUnique, "parts_email_key", "parts", []string{"email"}},
			"foreign key":   {part, []any{newID(), newID(), "b@example.com", 1}, store.ErrForeignKey, "", "", nil},
			"check":         {part, []any{newID(), item, "b@example.com", 0}, store.ErrCheck, "", "", nil},
			"not null":      {part, []any{newID(), item, nil, 1}, store.ErrCheck, "", "", nil},
		} {
			err := write(t, db, func(_ context.Context, tx store.Tx) error {
				tx.Queue(tc.sql, tc.args...)
				return nil
			})
			if !errors.Is(err, tc.kind) {
				t.Errorf("%s: got %v", name, err)
				continue
			}
			constraint, unique := store.IsUnique(err)
			if unique != (tc.kind == store.ErrUnique) || constraint != tc.constraint {
				t.Errorf("%s: constraint %q, unique %v", name, constraint, unique)
			}
			if unique && !store.UniqueOn(err, tc.table, tc.columns...) {
				t.Errorf("%s: not on %v", name, tc.columns)
			}
			if store.UniqueOn(err, "items", "note") || store.UniqueOn(err, "others", tc.columns...) {
				t.Errorf("%s: found on other columns", name)
			}
			if strings.Contains(strings.ToLower(err.Error()), "example.com") {
				t.Errorf("%s: the error tells the value: %v", name, err)
			}
			for cause := err; cause != nil; cause = errors.Unwrap(cause) {
				if s := cause.Error(); strings.Contains(s, "pgconn") {
					t.Errorf("%s: a driver's error is reachable: %T", name, cause)
				}
			}
		}
		err := read(t, db, func(ctx context.Context, tx store.Tx) error {
			var n int
			return tx.QueryRow(ctx, "SELECT count FROM items WHERE name = 'nobody'").Scan(&n)
		})
		if err != store.ErrNoRows {
			t.Errorf("no rows: %v", err)
		}
	}, sets())
}
