package store_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

const clients = 32

// capture is what storing a lead does: look for a duplicate, write a row, its history and an event.
var capture = struct{ find, item, part, log string }{
	find: "SELECT id FROM items WHERE name = $1 AND count = $2",
	item: "INSERT INTO items (id, name, count, at, data) VALUES ($1, $2, $3, $4, $5)",
	part: "INSERT INTO parts (id, item_id, email, qty) VALUES ($1, $2, $3, 1)",
	log:  "INSERT INTO log (what) VALUES ($1)",
}

const payload = `{"type":"tasuki.marketing.v1.LeadCaptured","company":"Example KK","source":"form"}`

// inParallel runs b.N calls from 32 clients.
func inParallel(b *testing.B, unit string, one func(ctx context.Context, name string) error) {
	b.Helper()
	left := atomic.Int64{}
	left.Store(int64(b.N))
	b.ResetTimer()
	if err := parallel(clients, func(int) error {
		for left.Add(-1) >= 0 {
			if err := one(context.Background(), newID()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), unit)
}

func benchStore(b *testing.B, db *store.DB, queueOnly bool) {
	inParallel(b, "captures/s", func(ctx context.Context, name string) error {
		_, err := store.Write(ctx, db, func(tx store.Tx) (string, error) {
			if !queueOnly {
				if _, err := store.Get[string](ctx, tx, capture.find, name, 1); !errors.Is(err, store.ErrNoRows) {
					return "", errors.Join(err, errors.New("a duplicate"))
				}
			}
			id := newID()
			tx.Queue(capture.item, id, name, 1, noon, payload)
			tx.Queue(capture.part, newID(), id, name)
			tx.Queue(capture.log, payload)
			return id, nil
		})
		return err
	})
}

// BenchmarkCapturePostgres compares the store with the same statements sent one by one, and in bare pipelines.
func BenchmarkCapturePostgres(b *testing.B) {
	db := testkit.Postgres(b, sets())
	b.Run("store", func(b *testing.B) { benchStore(b, db, false) })
	b.Run("store_without_lookup", func(b *testing.B) { benchStore(b, db, true) })
	b.Run("bare_pipeline_without_lookup", func(b *testing.B) {
		inParallel(b, "captures/s", func(ctx context.Context, name string) error {
			batch := &pgx.Batch{}
			id := newID()
			batch.Queue("begin")
			batch.Queue(capture.item, id, name, 1, noon, payload)
			batch.Queue(capture.part, newID(), id, name)
			batch.Queue(capture.log, payload)
			batch.Queue("commit")
			return db.Pool().SendBatch(ctx, batch).Close()
		})
	})
	b.Run("bare_two_pipelines", func(b *testing.B) {
		inParallel(b, "captures/s", func(ctx context.Context, name string) error {
			conn, err := db.Pool().Acquire(ctx)
			if err != nil {
				return err
			}
			defer conn.Release()
			first := &pgx.Batch{}
			first.Queue("begin")
			first.Queue(capture.find, name, 1)
			if err := conn.SendBatch(ctx, first).Close(); err != nil {
				return err
			}
			id := newID()
			second := &pgx.Batch{}
			second.Queue(capture.item, id, name, 1, noon, payload)
			second.Queue(capture.part, newID(), id, name)
			second.Queue(capture.log, payload)
			second.Queue("commit")
			return conn.SendBatch(ctx, second).Close()
		})
	})
	b.Run("six_round_trips", func(b *testing.B) {
		inParallel(b, "captures/s", func(ctx context.Context, name string) error {
			tx, err := db.Pool().Begin(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback(ctx) }()
			var found string
			if err := tx.QueryRow(ctx, capture.find, name, 1).Scan(&found); !errors.Is(err, pgx.ErrNoRows) {
				return errors.Join(err, errors.New("a duplicate"))
			}
			id := newID()
			_, err1 := tx.Exec(ctx, capture.item, id, name, 1, noon, payload)
			_, err2 := tx.Exec(ctx, capture.part, newID(), id, name)
			_, err3 := tx.Exec(ctx, capture.log, payload)
			return errors.Join(err1, err2, err3, tx.Commit(ctx))
		})
	})
}

// BenchmarkCaptureSQLite compares the store with a bare transaction of prepared statements on one connection. Both wait
// for the disk.
func BenchmarkCaptureSQLite(b *testing.B) {
	open := func(b *testing.B) *store.DB {
		db, err := store.Open(b.Context(), testkit.SQLiteDSN(b, sets()))
		must(b, err)
		b.Cleanup(db.Close)
		return db
	}
	b.Run("store", func(b *testing.B) { benchStore(b, open(b), false) })
	b.Run("store_without_lookup", func(b *testing.B) { benchStore(b, open(b), true) })
	b.Run("bare", func(b *testing.B) {
		dsn := "file:" + strings.TrimPrefix(testkit.SQLiteDSN(b, sets()), "sqlite:") +
			"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
		db, err := sql.Open("sqlite", dsn)
		must(b, err)
		defer db.Close()
		db.SetMaxOpenConns(1)
		var stmts [4]*sql.Stmt
		for i, text := range []string{capture.find, capture.item, capture.part, capture.log} {
			stmts[i], err = db.Prepare(text)
			must(b, err)
		}
		at := noon.Format("2006-01-02T15:04:05.000000Z")
		inParallel(b, "captures/s", func(ctx context.Context, name string) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }()
			var found string
			if err := tx.Stmt(stmts[0]).QueryRow(name, 1).Scan(&found); !errors.Is(err, sql.ErrNoRows) {
				return errors.Join(err, errors.New("a duplicate"))
			}
			id := newID()
			_, err1 := tx.Stmt(stmts[1]).Exec(id, name, 1, at, payload)
			_, err2 := tx.Stmt(stmts[2]).Exec(newID(), id, name)
			_, err3 := tx.Stmt(stmts[3]).Exec(payload)
			return errors.Join(err1, err2, err3, tx.Commit())
		})
	})
}

// BenchmarkAppend runs a transaction that changes a row and adds four to one table and three to another, as a handoff with its
// events and transitions does: each row queued as a statement of its own, and appended.
func BenchmarkAppend(b *testing.B) {
	columns := strings.Fields("id kind subject version actor_kind actor_id actor_name cause at data")
	marks := "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
	tables := map[string]int{"happened": 4, "moved": 3}
	ways := map[string]func(tx store.Tx, table string, values ...any){
		"queued": func(tx store.Tx, table string, values ...any) {
			tx.Queue("INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES "+marks, values...)
		},
		"appended": func(tx store.Tx, table string, values ...any) { tx.Append(table, columns, values...) },
	}
	for _, db := range []*store.DB{testkit.SQLite(b, sets()), testkit.Postgres(b, sets())} {
		var ids [clients]string
		var next atomic.Int64
		must(b, write(b, db, func(_ context.Context, tx store.Tx) error {
			for i := range ids {
				ids[i] = newID()
				tx.Queue(insertItem, ids[i], ids[i], 0, noon)
			}
			for table := range tables {
				tx.Queue("CREATE TABLE " + table + ` (id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL,
					version BIGINT NOT NULL, actor_kind TEXT NOT NULL, actor_id TEXT NOT NULL, actor_name TEXT NOT NULL,
					cause TEXT NOT NULL, at TIMESTAMP NOT NULL, data TEXT NOT NULL)`)
			}
			return nil
		}))
		for _, way := range []string{"queued", "appended"} {
			b.Run(string(db.Engine())+"/"+way, func(b *testing.B) {
				inParallel(b, "writes/s", func(ctx context.Context, name string) error {
					_, err := store.Write(ctx, db, func(tx store.Tx) (nothing, error) {
						tx.Queue("UPDATE items SET count = count + 1 WHERE id = $1", ids[next.Add(1)%clients])
						for table, rows := range tables {
							for n := range rows {
								ways[way](tx, table, newID(), "LeadCaptured", name, n, "PERSON", "sato", "佐藤", "", noon, payload)
							}
						}
						return nothing{}, nil
					})
					return err
				})
			})
		}
	}
}

// BenchmarkCopy loads rows in bulk.
func BenchmarkCopy(b *testing.B) {
	for _, db := range []*store.DB{testkit.SQLite(b, sets()), testkit.Postgres(b, sets())} {
		b.Run(string(db.Engine()), func(b *testing.B) {
			ctx := context.Background()
			for range b.N {
				rows := make([][]any, 1000)
				for i := range rows {
					rows[i] = []any{newID(), newID(), i, noon}
				}
				_, err := store.Write(ctx, db, func(tx store.Tx) (nothing, error) {
					return nothing{}, store.Copy(ctx, tx, "items", []string{"id", "name", "count", "at"}, rows)
				})
				must(b, err)
			}
			b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkRead looks up one row, from 32 clients.
func BenchmarkRead(b *testing.B) {
	for _, db := range []*store.DB{testkit.SQLite(b, sets()), testkit.Postgres(b, sets())} {
		b.Run(string(db.Engine()), func(b *testing.B) {
			inParallel(b, "reads/s", func(ctx context.Context, name string) error {
				_, err := store.Read(ctx, db, func(tx store.Tx) (string, error) {
					return store.Get[string](ctx, tx, capture.find, name, 1)
				})
				if errors.Is(err, store.ErrNoRows) {
					return nil
				}
				return err
			})
		})
	}
}
