package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// What a library does under PgxTx shares the transaction, after what was queued before and ahead of what is queued later.
func TestPgxTx(t *testing.T) {
	db := testkit.Postgres(t, sets())
	boom := errors.New("boom")
	seen := func(ctx context.Context, tx pgx.Tx) (n int) {
		must(t, tx.QueryRow(ctx, "SELECT count(*) FROM items").Scan(&n))
		return n
	}
	calls := map[string]func(ctx context.Context, tx pgx.Tx) error{
		"exec": func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, insertItem, newID(), "lib", 1, noon)
			return err
		},
		"query": func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, insertItem+" RETURNING name", newID(), "lib", 1, noon)
			if err != nil {
				return err
			}
			_, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
			return err
		},
		"exec mode": func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, insertItem, pgx.QueryExecModeExec, newID(), "lib", 1, noon)
			return err
		},
		"batch": func(ctx context.Context, tx pgx.Tx) error {
			batch := &pgx.Batch{}
			batch.Queue(insertItem, newID(), "lib", 1, noon)
			return tx.SendBatch(ctx, batch).Close()
		},
		"copy": func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.CopyFrom(ctx, pgx.Identifier{"items"}, []string{"id", "name", "at"}, pgx.CopyFromRows([][]any{{newID(), "lib", noon}}))
			return err
		},
		"savepoint": func(ctx context.Context, tx pgx.Tx) error {
			nested, err := tx.Begin(ctx)
			if err != nil {
				return err
			}
			if _, err := nested.Exec(ctx, "DELETE FROM nowhere"); err == nil {
				t.Error("no error")
			}
			if err := nested.Rollback(ctx); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, insertItem, newID(), "lib", 1, noon)
			return err
		},
		"no rows": func(ctx context.Context, tx pgx.Tx) error {
			var id string
			if err := tx.QueryRow(ctx, "SELECT id FROM items WHERE name = 'none'").Scan(&id); !errors.Is(err, pgx.ErrNoRows) {
				t.Errorf("got %v", err)
			}
			_, err := tx.Exec(ctx, insertItem, newID(), "lib", 1, noon)
			return err
		},
	}
	for name, call := range calls {
		for _, end := range []error{boom, nil} {
			err := write(t, db, func(ctx context.Context, tx store.Tx) error {
				if tx.SQLTx() != nil {
					t.Error("an SQLTx on PostgreSQL")
				}
				lib := tx.PgxTx()
				tx.Queue(insertItem, newID(), "before", 1, noon)
				if err := call(ctx, lib); err != nil {
					return err
				}
				if n := seen(ctx, lib); n != 2 {
					t.Errorf("%s: the library sees %d rows", name, n)
				}
				tx.Queue(insertItem, newID(), "after", 1, noon)
				if lib.Commit(ctx) == nil || lib.Rollback(ctx) == nil {
					t.Errorf("%s: the library ended the transaction", name)
				}
				return end
			})
			if err != end {
				t.Errorf("%s: %v", name, err)
			}
			want := []string{"after", "before", "lib"}
			if end != nil {
				want = []string{}
			}
			if diff := cmp.Diff(want, names(t, db)); diff != "" {
				t.Errorf("%s, ended by %v: %s", name, end, diff)
			}
		}
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error { tx.Queue("DELETE FROM items"); return nil }))
	}
	// A library's error spoils the transaction like any other, and shows as this package's.
	err := write(t, db, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.PgxTx().Exec(ctx, insertItem, newID(), nil, 1, noon)
		return err
	})
	if !errors.Is(err, store.ErrCheck) {
		t.Errorf("got %v", err)
	}
}

func TestSQLTx(t *testing.T) {
	db := testkit.SQLite(t, sets())
	if db.Writer() == nil || db.Pool() != nil {
		t.Error("the pools of another engine")
	}
	for _, end := range []error{errors.New("boom"), nil} {
		err := write(t, db, func(ctx context.Context, tx store.Tx) error {
			if tx.PgxTx() != nil {
				t.Error("a PgxTx on SQLite")
			}
			tx.Queue(insertItem, newID(), "before", 1, noon)
			lib := tx.SQLTx()
			var n int
			must(t, lib.QueryRowContext(ctx, "SELECT count(*) FROM items").Scan(&n))
			if n != 1 {
				t.Errorf("the library sees %d rows", n)
			}
			if _, err := lib.ExecContext(ctx, "UPDATE items SET note = 'seen'"); err != nil {
				return err
			}
			tx.Queue(insertItem, newID(), "after", 1, noon)
			return end
		})
		if err != end {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"after", "before"}, names(t, db)); diff != "" {
		t.Error(diff)
	}
	err := write(t, db, func(_ context.Context, tx store.Tx) error {
		tx.Queue("DELETE FROM nowhere")
		if tx.SQLTx() != nil {
			t.Error("a transaction that has failed")
		}
		return nil
	})
	if err == nil {
		t.Error("the queue's error was lost")
	}
}

// A statement may run again while its own rows are being read, as libraries do.
func TestStatementsInUse(t *testing.T) {
	db := testkit.SQLite(t, sets())
	ctx := t.Context()
	must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
		for i := range 5 {
			tx.Queue(insertItem, newID(), string(rune('a'+i)), i, noon)
		}
		return nil
	}))
	must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
		const list = "SELECT name FROM items ORDER BY name"
		lib := tx.SQLTx()
		outer, err := lib.QueryContext(ctx, list)
		must(t, err)
		defer outer.Close()
		pairs := 0
		for outer.Next() {
			inner, err := lib.QueryContext(ctx, list)
			must(t, err)
			for inner.Next() {
				pairs++
			}
			must(t, inner.Err())
			must(t, inner.Close())
		}
		if pairs != 25 {
			t.Errorf("%d pairs", pairs)
		}
		return outer.Err()
	}))
}
