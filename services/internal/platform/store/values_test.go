package store_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

type item struct {
	ID      string
	Name    string
	Note    *string
	Count   int64
	Done    bool
	At      time.Time
	EndedAt *time.Time
	Data    store.JSON[map[string]any]
	Raw     []byte
	Ratio   *float64
}

const (
	itemColumns = "id, name, note, count, done, at, ended_at, data, raw, ratio"
	insertAll   = "INSERT INTO items (" + itemColumns + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
	selectItem  = "SELECT " + itemColumns + " FROM items WHERE id = $1"
)

func (i item) args() []any {
	return []any{i.ID, i.Name, i.Note, i.Count, i.Done, i.At, i.EndedAt, i.Data, i.Raw, i.Ratio}
}

func ptr[T any](v T) *T { return &v }

// store writes an item in one of three ways and reads it back.
func roundTrip(t testing.TB, db *store.DB, in item, way string) item {
	ctx := context.Background()
	_, err := store.Write(ctx, db, func(tx store.Tx) (nothing, error) {
		switch way {
		case "queue":
			tx.Queue(insertAll, in.args()...)
		case "exec":
			if _, err := tx.Exec(ctx, insertAll, in.args()...); err != nil {
				return nothing{}, err
			}
		case "copy":
			columns := []string{"id", "name", "note", "count", "done", "at", "ended_at", "data", "raw", "ratio"}
			return nothing{}, store.Copy(ctx, tx, "items", columns, [][]any{in.args()})
		}
		return nothing{}, nil
	})
	must(t, err)
	out, err := store.Read(ctx, db, func(tx store.Tx) (item, error) { return store.Get[item](ctx, tx, selectItem, in.ID) })
	must(t, err)
	return out
}

func TestValues(t *testing.T) {
	tokyo := time.FixedZone("Tokyo", 9*60*60)
	cases := map[string]item{
		"nulls": {Name: "", At: noon},
		"all": {
			Name: "襷", Note: ptr("Ünï\ncode 🏃 ｱｲｳ '\"; --"), Count: 7, Done: true, At: noon, EndedAt: ptr(noon.Add(time.Hour)),
			Data: store.JSONOf(map[string]any{"a": []any{1.5, "é", nil, true}}), Raw: []byte{0, 1, 255}, Ratio: ptr(0.1),
		},
		"largest":     {Name: "max", Count: math.MaxInt64, At: time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), Ratio: ptr(math.MaxFloat64)},
		"smallest":    {Name: "min", Count: math.MinInt64, At: time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), Raw: []byte{}, Ratio: ptr(-math.SmallestNonzeroFloat64)},
		"beyond 2^53": {Name: "big", Count: 1<<53 + 1, At: noon},
		"zoned":       {Name: "zone", At: time.Date(2026, 1, 1, 8, 59, 59, 999_999_999, tokyo), EndedAt: ptr(time.Date(2026, 1, 1, 0, 0, 0, 1, tokyo))},
		"empty json":  {Name: "json", At: noon, Data: store.JSONOf(map[string]any{})},
	}
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		for name, in := range cases {
			for _, way := range []string{"exec", "queue", "copy"} {
				in.ID = newID()
				in.Name = name + way
				want := in
				want.At = in.At.UTC().Truncate(time.Microsecond)
				if in.EndedAt != nil {
					want.EndedAt = ptr(in.EndedAt.UTC().Truncate(time.Microsecond))
				}
				got := roundTrip(t, db, in, way)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s by %s (- written, + read):\n%s", name, way, diff)
				}
				if got.At.Location() != time.UTC {
					t.Errorf("%s: read in %v", name, got.At.Location())
				}
			}
		}
	}, sets())
}

func TestTimesByProperty(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		rapid.Check(t, func(rt *rapid.T) {
			at := time.Unix(rapid.Int64Range(-62_135_596_800, 253_402_300_799).Draw(rt, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(rt, "nanos"))
			got := roundTrip(t, db, item{ID: newID(), Name: newID(), At: at}, "exec")
			if want := at.UTC().Truncate(time.Microsecond); !got.At.Equal(want) {
				rt.Fatalf("wrote %v, read %v", want, got.At)
			}
		})
	}, sets())
}

// Times compare and sort as times, also as parameters, and come out of expressions as times.
func TestTimesInExpressions(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		base := time.Date(2026, 4, 6, 12, 0, 0, 0, time.UTC)
		times := []time.Time{base, base.Add(time.Microsecond), base.Add(100 * time.Millisecond), base.Add(time.Second), base.Add(-time.Hour)}
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			for i, at := range times {
				tx.Queue(insertItem, newID(), "n", i, at)
			}
			return nil
		}))
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			sorted := slices.SortedFunc(slices.Values(times), time.Time.Compare)
			got, err := store.Select[time.Time](ctx, tx, "SELECT at FROM items ORDER BY at")
			must(t, err)
			if diff := cmp.Diff(sorted, got); diff != "" {
				t.Error(diff)
			}
			var newest, oldest time.Time
			var none *time.Time
			must(t, tx.QueryRow(ctx, "SELECT max(at), min(COALESCE(ended_at, at)), max(ended_at) FROM items").Scan(&newest, &oldest, &none))
			if !newest.Equal(sorted[4]) || !oldest.Equal(sorted[0]) || none != nil {
				t.Error(newest, oldest, none)
			}
			n, err := store.Get[int](ctx, tx, "SELECT count(*) FROM items WHERE at > $1 AND at <= $2", base, base.Add(time.Second))
			if n != 3 || err != nil {
				t.Errorf("counted %d (%v), want 3", n, err)
			}
			n, err = store.Get[int](ctx, tx, "SELECT count(*) FROM items WHERE at = $1", base.In(time.FixedZone("", 3600)).Add(999*time.Nanosecond))
			if n != 1 || err != nil {
				t.Errorf("counted %d (%v), want 1", n, err)
			}
			return nil
		}))
		err := read(t, db, func(ctx context.Context, tx store.Tx) error {
			var at time.Time
			_ = tx.QueryRow(ctx, "SELECT max(ended_at) FROM items").Scan(&at)
			return nil
		})
		var e *store.Error
		if !errors.As(err, &e) {
			t.Errorf("NULL was scanned into a time: %v", err)
		}
	}, sets())
}

// Text compares by bytes, and unique indexes tell any two strings apart.
func TestCollation(t *testing.T) {
	words := []string{"a", "B", "b", "A", "Z", "é", "e", "ア", "ｱ", "あ", "_", "1", "10", "2", "", " ", "ß", "ss", "😀", "\U0010FFFF", "Ａ"}
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			for _, word := range words {
				tx.Queue(insertItem, newID(), word, 1, noon)
			}
			return nil
		}))
		want := slices.Sorted(slices.Values(words))
		if diff := cmp.Diff(want, names(t, db)); diff != "" {
			t.Error(diff)
		}
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			for _, after := range words {
				n, err := store.Get[int](ctx, tx, "SELECT count(*) FROM items WHERE name > $1", after)
				must(t, err)
				if at := len(want) - 1 - slices.Index(want, after); n != at {
					t.Errorf("%d names after %q, want %d", n, after, at)
				}
			}
			return nil
		}))
	}, sets())
}

func TestBooleansAndNulls(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			tx.Queue("INSERT INTO items (id, name, at, done) VALUES ($1, 'yes', $2, $3), ($4, 'no', $2, FALSE)", newID(), noon, true, newID())
			return nil
		}))
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			for sql, want := range map[string]string{
				"SELECT name FROM items WHERE done":              "yes",
				"SELECT name FROM items WHERE NOT done":          "no",
				"SELECT name FROM items WHERE done = FALSE":      "no",
				"SELECT name FROM items WHERE done IS TRUE":      "yes",
				"SELECT max(name) FROM items WHERE note IS NULL": "yes",
			} {
				if got, err := store.Get[string](ctx, tx, sql); got != want || err != nil {
					t.Errorf("%s: %q, %v", sql, got, err)
				}
			}
			got, err := store.Get[bool](ctx, tx, "SELECT count(*) > 1 FROM items")
			if !got || err != nil {
				t.Errorf("a boolean expression: %v, %v", got, err)
			}
			note, err := store.Get[*string](ctx, tx, "SELECT max(note) FROM items")
			if note != nil || err != nil {
				t.Errorf("NULL: %v, %v", note, err)
			}
			return nil
		}))
	}, sets())
}

func TestStructs(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			if _, err := store.Get[item](ctx, tx, selectItem, newID()); err != store.ErrNoRows {
				t.Errorf("no row: %v", err)
			}
			got, err := store.Select[item](ctx, tx, "SELECT "+itemColumns+" FROM items")
			if got == nil || len(got) != 0 || err != nil {
				t.Errorf("no rows: %v, %v", got, err)
			}
			type pair struct {
				Left  string `db:"l"`
				Right int64
			}
			pairs, err := store.Select[pair](ctx, tx, "SELECT 'a' AS l, 1 AS right UNION SELECT 'b', 2 ORDER BY l")
			if diff := cmp.Diff([]pair{{"a", 1}, {"b", 2}}, pairs); diff != "" || err != nil {
				t.Error(diff, err)
			}
			if _, err := store.Get[pair](ctx, tx, "SELECT 'a' AS l, 1 AS right UNION SELECT 'b', 2"); err == nil {
				t.Error("two rows were taken for one")
			}
			var e *store.Error
			if _, err := store.Get[pair](ctx, tx, "SELECT 1 AS unknown"); !errors.As(err, &e) {
				t.Errorf("an unknown column: %v", err)
			}
			rows, err := tx.Query(ctx, "SELECT 1 AS one, 'x' AS \"Two\"")
			must(t, err)
			defer rows.Close()
			if diff := cmp.Diff([]string{"one", "Two"}, rows.Columns()); diff != "" {
				t.Error(diff)
			}
			return nil
		}))
	}, sets())
}

func TestCopyMany(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		rows := make([][]any, 1234)
		for i := range rows {
			rows[i] = []any{newID(), "n", i, noon.Add(time.Duration(i) * time.Second), store.JSONOf([]int{i})}
		}
		columns := []string{"id", "name", "count", "at", "data"}
		must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
			tx.Queue(insertItem, newID(), "first", 1, noon)
			must(t, store.Copy(ctx, tx, "items", columns, nil))
			return store.Copy(ctx, tx, "items", columns, rows)
		}))
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			var n, sum int64
			must(t, tx.QueryRow(ctx, "SELECT count(*), sum(count) FROM items WHERE name = 'n'").Scan(&n, &sum))
			if n != 1234 || sum != 1233*1234/2 {
				t.Error(n, sum)
			}
			return nil
		}))
		again := [][]any{{rows[0][0], "again", 1, noon, nil}}
		err := write(t, db, func(ctx context.Context, tx store.Tx) error { return store.Copy(ctx, tx, "items", columns, again) })
		if !store.UniqueOn(err, "items", "id") {
			t.Errorf("got %v", err)
		}
		err = write(t, db, func(ctx context.Context, tx store.Tx) error {
			return store.Copy(ctx, tx, "items", columns, [][]any{{newID()}})
		})
		if err == nil {
			t.Error("a row with too few values was taken")
		}
	}, sets())
}

func TestDialect(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		ids := []string{newID(), newID(), newID()}
		must(t, write(t, db, func(ctx context.Context, tx store.Tx) error {
			d := tx.Dialect()
			for i, id := range ids {
				tx.Queue(insertItem, id, string(rune('a'+i)), i, noon)
			}
			for _, suffix := range []string{d.ForUpdate(), d.ForUpdateSkipLocked(), d.ForShare()} {
				got, err := store.Select[string](ctx, tx, "SELECT name FROM items WHERE "+d.In("name", 1)+" AND "+d.InUUID("id", 2)+" ORDER BY name"+suffix,
					d.Strings([]string{"a", "c", "x'"}), d.Strings(ids))
				if diff := cmp.Diff([]string{"a", "c"}, got); diff != "" || err != nil {
					t.Error(diff, err)
				}
			}
			none, err := store.Select[string](ctx, tx, "SELECT name FROM items WHERE "+d.In("name", 1), d.Strings(nil))
			if len(none) != 0 || err != nil {
				t.Error(none, err)
			}
			store.Lock(tx, "some name")
			tx.Queue("INSERT INTO log (what) VALUES ('now')")
			own, err := store.Get[string](ctx, tx, "SELECT "+d.XIDText("xid")+" FROM log")
			must(t, err)
			n, err := store.Get[int](ctx, tx, "SELECT count(*) FROM log WHERE xid = "+d.XIDArg("$1"), own)
			if n != 1 || err != nil {
				t.Error(n, err)
			}
			return nil
		}))
		if string(db.Engine()) != db.Dialect().Name() {
			t.Error(db.Engine(), db.Dialect().Name())
		}
	}, sets())
}

type state string

type level int32

// Named types work as the types under them.
func TestNamedTypes(t *testing.T) {
	type named struct {
		Name  state
		Note  *state
		Count level
	}
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		in := named{"OFFERED", ptr(state("NEW")), 7}
		must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
			tx.Queue("INSERT INTO items (id, name, note, count, at) VALUES ($1, $2, $3, $4, $5)", newID(), in.Name, in.Note, in.Count, &noon)
			return nil
		}))
		must(t, read(t, db, func(ctx context.Context, tx store.Tx) error {
			out, err := store.Get[named](ctx, tx, "SELECT name, note, count FROM items WHERE name = $1 AND count = $2", in.Name, in.Count)
			if diff := cmp.Diff(in, out); diff != "" || err != nil {
				t.Error(diff, err)
			}
			var none *time.Time
			n, err := store.Get[int](ctx, tx, "SELECT count(*) FROM items WHERE COALESCE($1, at) = at", none)
			if n != 1 || err != nil {
				t.Error(n, err)
			}
			return nil
		}))
	}, sets())
}
