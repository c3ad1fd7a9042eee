package allinone_test

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/marketing"
)

// The limit that the database sets is measured with the rows that a capture leaves behind: they are read back after one
// capture, and written again and again with other ids for other people, by nothing but BEGIN, INSERTs and COMMIT.

// insert is one row to write. Some values hold ids and the person's token, which are new each time.
type insert struct {
	sql    string
	values []value
}

// value is a constant, or a text to be filled in. uuids and tokens are places in the text.
type value struct {
	constant any
	text     []byte
	binary   bool
	uuids    map[int]int // place: number of the id
	tokens   []int
}

// bare is the transaction that writes the rows of one capture.
type bare struct {
	inserts []insert
	ids     int
	tables  map[string]int
}

var anyUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

// row as it was read back.
type row struct {
	table   string
	columns []string
	values  []any
}

func (r row) has(word string) bool {
	return slices.ContainsFunc(r.values, func(v any) bool { return bytes.Contains(textOf(v), []byte(word)) })
}

func textOf(v any) []byte {
	switch v := v.(type) {
	case string:
		return []byte(v)
	case []byte:
		return v
	}
	return nil
}

// bareCapture finds the rows that came with the person: those that have the token, and those that have the id of one that
// was found.
func bareCapture(t testing.TB, dsn, token string) *bare {
	t.Helper()
	all := readRows(t, dsn)
	found, words := []row{}, []string{token}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		all = slices.DeleteFunc(all, func(r row) bool {
			if !r.has(word) {
				return false
			}
			found = append(found, r)
			for _, v := range r.values {
				for _, id := range anyUUID.FindAll(textOf(v), -1) {
					words = append(words, string(id))
				}
			}
			return true
		})
	}
	if len(found) == 0 {
		t.Fatalf("no rows of %s in the database", token)
	}
	// A row comes after those that it refers to.
	order := []string{"companies", "people", "leads"}
	slices.SortStableFunc(found, func(a, b row) int {
		rank := func(r row) int {
			if i := slices.Index(order, r.table); i >= 0 {
				return i
			}
			return len(order)
		}
		return rank(a) - rank(b)
	})
	out, numbers := &bare{tables: map[string]int{}}, map[string]int{}
	for _, r := range found {
		out.tables[r.table]++
		in := insert{sql: insertInto(r)}
		for _, v := range r.values {
			in.values = append(in.values, valueOf(v, token, numbers))
		}
		out.inserts = append(out.inserts, in)
	}
	out.ids = len(numbers)
	return out
}

func insertInto(r row) string {
	marks := make([]string, len(r.columns))
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	return "INSERT INTO " + r.table + " (" + strings.Join(r.columns, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")"
}

func valueOf(v any, token string, numbers map[string]int) value {
	text := textOf(v)
	out := value{constant: v, text: text, uuids: map[int]int{}, tokens: placesOf(text, token)}
	for _, place := range anyUUID.FindAllIndex(text, -1) {
		id := string(text[place[0]:place[1]])
		if _, known := numbers[id]; !known {
			numbers[id] = len(numbers)
		}
		out.uuids[place[0]] = numbers[id]
	}
	if _, isBytes := v.([]byte); isBytes {
		out.binary = true
	}
	return out
}

// arguments are the values of each insert for a new person.
func (b *bare) arguments() [][]any {
	ids, name := make([]string, b.ids), token()
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7()).String()
	}
	out := make([][]any, len(b.inserts))
	for i, in := range b.inserts {
		out[i] = make([]any, len(in.values))
		for j, v := range in.values {
			out[i][j] = v.fill(ids, name)
		}
	}
	return out
}

func (v value) fill(ids []string, name string) any {
	if len(v.uuids) == 0 && len(v.tokens) == 0 {
		return v.constant
	}
	text := bytes.Clone(v.text)
	for at, number := range v.uuids {
		copy(text[at:], ids[number])
	}
	for _, at := range v.tokens {
		copy(text[at:], name)
	}
	if v.binary {
		return text
	}
	return string(text)
}

// column of a table. Those that number themselves are not written.
type column struct{ name, read string }

// readRows reads every row of the department's and the platform's tables and River's jobs, without what River and the
// migrations keep for themselves.
func readRows(t testing.TB, dsn string) []row {
	t.Helper()
	db, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := store.Read(t.Context(), db, func(tx store.Tx) ([]row, error) {
		tables, err := columnsOf(t.Context(), tx)
		if err != nil {
			return nil, err
		}
		var out []row
		for table, columns := range tables {
			var names, reads []string
			for _, c := range columns {
				names, reads = append(names, c.name), append(reads, c.read)
			}
			got, err := tx.Query(t.Context(), "SELECT "+strings.Join(reads, ", ")+" FROM "+table)
			if err != nil {
				return nil, err
			}
			for got.Next() {
				r := row{table: table, columns: names, values: make([]any, len(names))}
				into := make([]any, len(names))
				for i := range into {
					into[i] = &r.values[i]
				}
				if err := got.Scan(into...); err != nil {
					return nil, err
				}
				out = append(out, r)
			}
			got.Close()
			if err := got.Err(); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// columnsOf lists the columns by table, each with the expression that reads it in a form in which it can be written.
func columnsOf(ctx context.Context, tx store.Tx) (map[string][]column, error) {
	list := `SELECT table_name AS "table", column_name AS "column", udt_name AS kind, COALESCE(column_default, '') AS given
		FROM information_schema.columns WHERE table_schema = current_schema()`
	if tx.Dialect().Name() == string(store.SQLite) {
		list = `SELECT m.name AS "table", c.name AS "column", lower(c.type) AS kind,
				CASE WHEN c.pk = 1 AND upper(c.type) = 'INTEGER' THEN 'nextval(' ELSE '' END AS given
			FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'`
	}
	type described struct{ Table, Column, Kind, Given string }
	all, err := store.Select[described](ctx, tx, list)
	if err != nil {
		return nil, err
	}
	out := map[string][]column{}
	for _, c := range all {
		ofLibrary := strings.HasPrefix(c.Table, "goose") || strings.HasPrefix(c.Table, "river") && c.Table != "river_job"
		if ofLibrary || strings.Contains(c.Given, "(") {
			continue
		}
		read := c.Column
		switch c.Kind {
		case "uuid", "jsonb", "text", "timestamp":
			read = "CAST(" + c.Column + " AS TEXT)"
		}
		out[c.Table] = append(out[c.Table], column{c.Column, read})
	}
	return out, nil
}

// postgresSubject writes the rows in one pipeline, each client on a connection of its own.
func (b *bare) postgresSubject(t testing.TB, dsn string, clients int) subject {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = int32(clients)
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return subject{
		cpu: func() map[string]time.Duration { return map[string]time.Duration{"postgres": postgresCPU(t, dsn)} },
		connect: func() (func() error, func(), error) {
			conn, err := pool.Acquire(context.Background())
			if err != nil {
				return nil, nil, err
			}
			return func() error {
				batch := &pgx.Batch{}
				batch.Queue("BEGIN")
				for i, args := range b.arguments() {
					batch.Queue(b.inserts[i].sql, args...)
				}
				batch.Queue("COMMIT")
				return conn.SendBatch(context.Background(), batch).Close()
			}, conn.Release, nil
		},
	}
}

// sqliteSubject writes the rows through prepared statements of the one connection that writes, with the pragmas of the
// store.
func (b *bare) sqliteSubject(t testing.TB, dsn string) subject {
	t.Helper()
	pragmas := "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" +
		"&_pragma=temp_store(MEMORY)&_pragma=cache_size(-16000)&_pragma=journal_size_limit(67108864)"
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(dsn, "sqlite:")+pragmas)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close() // back to the pool, which is closed
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	prepare := func(text string) *sql.Stmt {
		stmt, err := conn.PrepareContext(ctx, text)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stmt.Close() })
		return stmt
	}
	begin, commit := prepare("BEGIN IMMEDIATE"), prepare("COMMIT")
	var inserts []*sql.Stmt
	for _, in := range b.inserts {
		inserts = append(inserts, prepare(in.sql))
	}
	var turn sync.Mutex
	write := func() error {
		all := b.arguments()
		turn.Lock()
		defer turn.Unlock()
		if _, err := begin.Exec(); err != nil {
			return err
		}
		for i, args := range all {
			if _, err := inserts[i].Exec(args...); err != nil {
				return err
			}
		}
		_, err := commit.Exec()
		return err
	}
	return subject{
		cpu: func() map[string]time.Duration {
			used, err := cpuOf(os.Getpid()) // it writes in this process
			if err != nil {
				t.Fatal(err)
			}
			return map[string]time.Duration{"": used}
		},
		connect: func() (func() error, func(), error) { return write, func() {}, nil },
	}
}

// bareSubject writes the rows of the capture of token, which is in the house's database, into an empty database of the
// same engine.
func bareSubject(t testing.TB, h *house, token string, clients int) subject {
	t.Helper()
	dsn := emptyDatabase(t, h.marketing)
	rows := bareCapture(t, h.marketing, token)
	if strings.HasPrefix(dsn, "sqlite:") {
		return rows.sqliteSubject(t, dsn)
	}
	return rows.postgresSubject(t, dsn, clients)
}

// emptyDatabase is like the one of the DSN, with marketing's tables.
func emptyDatabase(t testing.TB, like string) string {
	t.Helper()
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "bare.db")
	if !strings.HasPrefix(like, "sqlite:") {
		dsn = database(t, "bench_bare_"+strings.ReplaceAll(uuid.NewString(), "-", "")[:12])
	}
	db, err := store.Open(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(context.Background(), marketing.Definition.Sets()...); err != nil {
		t.Fatal(err)
	}
	return dsn
}

// countRows counts the rows of each table.
func countRows(t testing.TB, dsn string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, r := range readRows(t, dsn) {
		counts[r.table]++
	}
	return counts
}

// grown is by how many rows each table has grown, without those that have not.
func grown(before, after map[string]int) map[string]int {
	out := map[string]int{}
	for table, n := range after {
		if n != before[table] {
			out[table] = n - before[table]
		}
	}
	return out
}
