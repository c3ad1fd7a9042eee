package store_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

var (
	shortItem  = []string{"id", "name", "count", "at"}
	logColumns = []string{"what"}
)

func appendItem(tx store.Tx, name string) { tx.Append("items", shortItem, newID(), name, 1, noon) }

func numbers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(i)
	}
	return list
}

func logged(t testing.TB, db *store.DB) []string {
	t.Helper()
	var list []string
	must(t, read(t, db, func(ctx context.Context, tx store.Tx) (err error) {
		list, err = store.Select[string](ctx, tx, "SELECT what FROM log ORDER BY seq")
		return err
	}))
	return list
}

// Rows get the numbers of their order, however many INSERTs they need and whatever goes to other tables between them.
func TestAppendKeepsOrder(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 13, 1000} {
			must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
				for _, what := range numbers(n) {
					tx.Append("log", logColumns, what)
					appendItem(tx, "with "+what)
				}
				return nil
			}))
			if diff := cmp.Diff(numbers(n), logged(t, db)); diff != "" {
				t.Errorf("%d rows: %s", n, diff)
			}
			if got := names(t, db); len(got) != n {
				t.Errorf("%d rows: %d of the other table", n, len(got))
			}
			must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
				tx.Queue("DELETE FROM log")
				tx.Queue("DELETE FROM items")
				return nil
			}))
		}
	}, sets())
}

// Rows of one table stay in order where their columns differ: here the second row refers to the first, the fourth to the third.
func TestAppendWithOtherColumns(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		createTree(t, db)
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			tx.Append("tree", []string{"id"}, 1)
			tx.Append("tree", []string{"id", "parent"}, 2, 1)
			tx.Append("tree", []string{"id"}, 3)
			tx.Append("tree", []string{"id", "parent"}, 4, 3)
			return nil
		}))
	}, sets())
}

// Rows go behind what they refer to: what is queued, even later, and tables that were appended to before.
func TestAppendBehindParents(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		createTree(t, db)
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			tx.Append("tree", []string{"id"}, 1)
			tx.Append("leaves", []string{"tree"}, 1)
			tx.Append("leaves", []string{"tree"}, 2)
			tx.Append("leaves", []string{"tree"}, 3)
			tx.Append("tree", []string{"id"}, 2)
			tx.Queue("INSERT INTO tree (id) VALUES (3)")
			return nil
		}))
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			n, err := store.Get[int](ctx, tx, "SELECT count(*) FROM leaves")
			if n != 3 {
				t.Errorf("%d leaves", n)
			}
			return err
		}))
	}, sets())
}

// createTree makes tables whose references are looked at in each statement.
func createTree(t *testing.T, db *store.DB) {
	t.Helper()
	must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
		tx.Queue("CREATE TABLE tree (id BIGINT PRIMARY KEY, parent BIGINT REFERENCES tree (id))")
		tx.Queue("CREATE TABLE leaves (tree BIGINT NOT NULL REFERENCES tree (id))")
		return nil
	}))
}

// sends are all ways to send what waits for a table.
var sends = map[string]func(ctx context.Context, tx store.Tx) error{
	"commit": func(context.Context, store.Tx) error { return nil },
	"flush":  func(ctx context.Context, tx store.Tx) error { return tx.Flush(ctx) },
	"query": func(ctx context.Context, tx store.Tx) error {
		rows, err := tx.Query(ctx, "SELECT count(*) FROM items")
		if err == nil {
			rows.Close()
		}
		return err
	},
	"query row": func(ctx context.Context, tx store.Tx) error {
		var n int
		return tx.QueryRow(ctx, "SELECT count(*) FROM items").Scan(&n)
	},
	"exec": func(ctx context.Context, tx store.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM log WHERE what IN (SELECT name FROM items)")
		return err
	},
	"copy": func(ctx context.Context, tx store.Tx) error {
		return store.Copy(ctx, tx, "log", logColumns, [][]any{{"copied"}})
	},
	"library": func(ctx context.Context, tx store.Tx) error {
		if lib := tx.PgxTx(); lib != nil {
			_, err := lib.Exec(ctx, "DELETE FROM log WHERE what IN (SELECT name FROM items)")
			return err
		}
		lib := tx.SQLTx()
		if lib == nil {
			return nil // Write knows why
		}
		_, err := lib.ExecContext(ctx, "DELETE FROM log")
		return err
	},
}

// Rows wait while other tables are read and written, and are there for what comes after them: a statement that is queued, too.
func TestAppendedRowsWait(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
			appendItem(tx, "a")
			must(t, tx.QueryRow(ctx, "SELECT count(*) FROM log").Scan(new(int)))
			appendItem(tx, "b")
			tx.Queue("INSERT INTO log (what) VALUES ('between')")
			tx.Queue("UPDATE items SET count = count + 1")
			appendItem(tx, "c")
			return nil
		}))
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			got, err := store.Select[int64](ctx, tx, "SELECT count FROM items ORDER BY name")
			if diff := cmp.Diff([]int64{2, 2, 1}, got); diff != "" {
				t.Error(diff)
			}
			return err
		}))
		err := write(t, db, func(ctx context.Context, tx store.Tx) error {
			appendItem(tx, "a2")
			tx.Append("items", shortItem, newID(), nil, 1, noon) // refused when it is sent
			must(t, tx.QueryRow(ctx, "SELECT count(*) FROM log").Scan(new(int)))
			_, err := store.Get[int](ctx, tx, "SELECT count(*) FROM items")
			if !errors.Is(err, store.ErrCheck) {
				t.Errorf("reading the table: %v", err)
			}
			return err
		})
		if !errors.Is(err, store.ErrCheck) {
			t.Errorf("got %v", err)
		}
	}, sets())
}

// Whatever reads in the transaction finds the rows.
func TestAppendedRowsAreSeen(t *testing.T) {
	const count = "SELECT count(*) FROM items"
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
			look := map[string]func() (int64, error){
				"query":     func() (int64, error) { return store.Get[int64](ctx, tx, count) },
				"query row": func() (n int64, err error) { err = tx.QueryRow(ctx, count).Scan(&n); return n, err },
				"exec":      func() (int64, error) { return tx.Exec(ctx, "UPDATE items SET done = TRUE") },
				"library": func() (n int64, err error) {
					if lib := tx.PgxTx(); lib != nil {
						err = lib.QueryRow(ctx, count).Scan(&n)
						return n, err
					}
					err = tx.SQLTx().QueryRowContext(ctx, count).Scan(&n)
					return n, err
				},
			}
			want := int64(0)
			for range 2 { // BEGIN travels with the first
				for name, got := range look {
					appendItem(tx, name+strconv.FormatInt(want, 10))
					want++
					if n, err := got(); n != want || err != nil {
						t.Errorf("%s sees %d of %d rows, %v", name, n, want, err)
					}
				}
			}
			return nil
		}))
	}, sets())
}

// Several rows at once store what one statement a row stores.
func TestAppendedValues(t *testing.T) {
	type item struct {
		ID, Name string
		Note     *string
		Count    int64
		Done     bool
		At       time.Time
		EndedAt  *time.Time
		Data     store.JSON[map[string]int]
		Raw      []byte
		Ratio    *float64
	}
	columns := strings.Fields("id name note count done at ended_at data raw ratio")
	text, half, later := "註", 0.5, time.Date(2026, 4, 6, 21, 0, 0, 7_000, time.FixedZone("", 9*3600))
	laterUTC := later.UTC()
	rows := func(prefix string) (values [][]any, want []item) {
		ids := []string{newID(), newID(), newID()}
		json := map[string]int{"a": 1}
		values = [][]any{
			{ids[0], prefix + "0", nil, 1, true, later, nil, store.JSONOf[any](nil), nil, nil},
			{ids[1], prefix + "1", &text, int64(-2), false, noon, &later, store.JSONOf(json), []byte{0, 0xff}, half},
			{ids[2], prefix + "2", "", int32(3), true, noon, (*time.Time)(nil), store.JSONOf(json), []byte{}, &half},
		}
		empty := ""
		want = []item{
			{ID: ids[0], Name: prefix + "0", Count: 1, Done: true, At: laterUTC},
			{ids[1], prefix + "1", &text, -2, false, noon, &laterUTC, store.JSONOf(json), []byte{0, 0xff}, &half},
			{ids[2], prefix + "2", &empty, 3, true, noon, nil, store.JSONOf(json), []byte{}, &half},
		}
		return values, want
	}
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		together, want := rows("a")
		single, more := rows("b")
		must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
			for _, row := range together {
				tx.Append("items", columns, row...)
			}
			for _, row := range single {
				tx.Append("items", columns, row...)
				must(t, tx.Flush(ctx))
			}
			return nil
		}))
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			got, err := store.Select[item](ctx, tx, "SELECT "+strings.Join(columns, ", ")+" FROM items ORDER BY name")
			if diff := cmp.Diff(append(want, more...), got); diff != "" {
				t.Error(diff)
			}
			return err
		}))
	}, sets())
}

// A row that is refused fails whatever sends it, and nothing is stored.
func TestAppendErrors(t *testing.T) {
	id := newID()
	refused := map[string]struct {
		rows [][]any
		is   func(error) bool
	}{
		"unique":    {[][]any{{id, "a", 1, noon}, {newID(), "b", 1, noon}, {id, "c", 1, noon}}, func(err error) bool { return store.UniqueOn(err, "items", "id") }},
		"other key": {[][]any{{newID(), "a", 1, noon}, {newID(), "a", 1, noon}}, func(err error) bool { return store.UniqueOn(err, "items", "name", "count") }},
		"null":      {[][]any{{newID(), "a", 1, noon}, {newID(), nil, 1, noon}}, func(err error) bool { return errors.Is(err, store.ErrCheck) }},
		"argument":  {[][]any{{newID(), "a", 1, noon}, {newID(), make(chan int), 1, noon}}, anyError},
		"too few":   {[][]any{{newID(), "a", 1, noon}, {newID(), "b"}}, isError},
		"too many":  {[][]any{{newID(), "a", 1, noon, 5}}, isError},
		"no values": {[][]any{{}}, isError},
		"json":      {[][]any{{newID(), store.JSONOf(make(chan int)), 1, noon}}, isError},
	}
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		for what, c := range refused {
			for how, send := range sends {
				for _, begun := range []bool{false, true} {
					reached := false
					err := write(t, db, func(ctx context.Context, tx store.Tx) error {
						if begun {
							must(t, tx.QueryRow(ctx, "SELECT 1").Scan(new(int)))
						}
						tx.Append("log", logColumns, "before")
						for _, row := range c.rows {
							tx.Append("items", shortItem, row...)
						}
						err := send(ctx, tx)
						reached = err == nil
						return err
					})
					if !c.is(err) {
						t.Errorf("%s, %s (begun %v): got %v", what, how, begun, err)
					}
					var e *store.Error
					if errors.As(err, &e) && len(e.Error()) > 400 {
						t.Errorf("%s, %s: the error shows %d bytes", what, how, len(e.Error()))
					}
					if reached && how != "commit" && !(how == "library" && db.Engine() == store.SQLite) {
						t.Errorf("%s: %s has not failed", what, how)
					}
					if got := append(names(t, db), logged(t, db)...); len(got) > 0 {
						t.Fatalf("%s, %s (begun %v): stored %v", what, how, begun, got)
					}
				}
			}
		}
	}, sets())
}

// isError is for what has no class of its own.
func isError(err error) bool {
	var e *store.Error
	return errors.As(err, &e) && e.Kind == nil
}

// anyError is for what the drivers find out late: PostgreSQL's gives the connection up.
func anyError(err error) bool {
	var e *store.Error
	return errors.As(err, &e)
}

// More values than one statement can have, in either engine.
func TestAppendManyRows(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		const n = 17_000 // of 4 values: PostgreSQL takes 65,535
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			for _, name := range numbers(n) {
				appendItem(tx, name)
			}
			return nil
		}))
		if got := names(t, db); len(got) != n {
			t.Errorf("stored %d", len(got))
		}
	}, sets())
}

// What an attempt appended is forgotten with it.
func TestAppendedRowsOfAnAttempt(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		runs := 0
		got, err := guarded(store.WithGuard(t.Context(), keyGuard{"k"}), db, "done", func(_ context.Context, tx store.Tx) error {
			runs++
			appendItem(tx, "run "+strconv.Itoa(runs))
			if runs == 1 {
				appendItem(tx, "run 1") // refused at commit: the guard makes Write try again
			}
			return nil
		})
		if got != "done" || err != nil || runs != 2 {
			t.Errorf("%d runs: %q, %v", runs, got, err)
		}
		if diff := cmp.Diff([]string{"key k", "run 2"}, names(t, db)); diff != "" {
			t.Error(diff)
		}
	}, sets())
}

// A test that looks at statements is shown one for each row, and can run it.
func TestAppendedRowsAreShown(t *testing.T) {
	for engine, dsn := range map[store.Engine]func(testing.TB, ...store.Migrations) string{
		store.SQLite: testkit.SQLiteDSN, store.Postgres: testkit.PostgresDSN,
	} {
		t.Run(string(engine), func(t *testing.T) {
			var shown []string
			var last []any
			db, err := store.Open(t.Context(), dsn(t, sets()), store.WithoutSync(), store.WithStatements(func(sql string, args []any) {
				shown, last = append(shown, sql), args
			}))
			must(t, err)
			defer db.Close()
			must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
				tx.Append("log", logColumns, "one")
				tx.Append("log", logColumns, "two")
				return nil
			}))
			if len(shown) != 2 || shown[0] != shown[1] || !cmp.Equal(last, []any{"two"}) {
				t.Fatalf("shown %q, the last with %v", shown, last)
			}
			must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
				_, err := tx.Exec(ctx, shown[0], "three")
				return err
			}))
			if diff := cmp.Diff([]string{"one", "two", "three"}, logged(t, db)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// However many rows transactions append, a connection prepares few statements for them.
func TestAppendPreparesFewStatements(t *testing.T) {
	db, err := store.Open(t.Context(), testkit.PostgresDSN(t, sets()), store.WithMaxConns(1))
	must(t, err)
	defer db.Close()
	for n := range 130 {
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			for _, what := range numbers(n) {
				tx.Append("log", logColumns, what)
			}
			return nil
		}))
	}
	must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
		n, err := store.Get[int](ctx, tx, `SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT INTO "log"%'`)
		if n != 9 { // of 1, 2, 3, 4, 8, 16, 32, 64 and 128 rows
			t.Errorf("%d statements", n)
		}
		return err
	}))
}
