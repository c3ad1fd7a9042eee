package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// A commit that a simulation fails before it takes effect stores nothing; one that it fails afterwards has stored
// everything, though Write says otherwise and wakes nobody. A panic in either leaves the database usable.
func TestCommitsCanBeMadeToFail(t *testing.T) {
	for _, engine := range []store.Engine{store.SQLite, store.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			open := testkit.SQLiteDSN
			if engine == store.Postgres {
				open = testkit.PostgresDSN
			}
			var before, after func() error
			call := func(fn *func() error) func(context.Context) error {
				return func(context.Context) error {
					if *fn == nil {
						return nil
					}
					return (*fn)()
				}
			}
			db, err := store.Open(t.Context(), open(t), store.WithoutSync(), store.WithMaxConns(2),
				store.WithCommits(store.Commits{Before: call(&before), After: call(&after)}))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			woken := 0
			write := func(sql string) (err error) {
				defer func() {
					if p := recover(); p != nil {
						err = p.(error)
					}
				}()
				_, err = store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
					tx.Queue(sql)
					tx.AfterCommit(func() { woken++ })
					return struct{}{}, nil
				})
				return err
			}
			count := func() int64 {
				n, err := store.Read(t.Context(), db, func(tx store.Tx) (int64, error) {
					return store.Get[int64](t.Context(), tx, `SELECT count(*) FROM marks`)
				})
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			if err := write(`CREATE TABLE marks (n BIGINT NOT NULL)`); err != nil || woken != 1 {
				t.Fatal(err, woken)
			}
			planned := errors.New("planned")
			for i, c := range []struct {
				at     *func() error
				do     func() error
				stored int64
			}{
				{&before, func() error { return planned }, 0},
				{&before, func() error { panic(planned) }, 0},
				{&after, func() error { return planned }, 1},
				{&after, func() error { panic(planned) }, 2},
			} {
				*c.at = c.do
				if err := write(`INSERT INTO marks (n) VALUES (1)`); !errors.Is(err, planned) {
					t.Errorf("%d: %v", i, err)
				}
				*c.at = nil
				if n := count(); n != c.stored || woken != 1 {
					t.Errorf("%d: %d rows, woken %d times", i, n, woken)
				}
			}
			if err := write(`INSERT INTO marks (n) VALUES (1)`); err != nil || count() != 3 || woken != 2 {
				t.Error(err, count(), woken)
			}
		})
	}
}
