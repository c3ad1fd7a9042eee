package store_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// counter is a proxy before PostgreSQL that counts how often a client asks and waits: Sync and simple Query messages.
type counter struct{ n atomic.Int64 }

func countRoundTrips(t testing.TB, dsn string) (proxied string, c *counter) {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	upstream := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c = &counter{}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				_ = client.Close()
				continue
			}
			conns.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
			conns.Go(func() { c.forward(server, client); _ = server.Close() })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); conns.Wait() })
	u.Host = listener.Addr().String()
	return u.String(), c
}

// forward copies a client's messages, of which all but the first have a type.
func (c *counter) forward(server io.Writer, client io.Reader) {
	for first := true; ; first = false {
		head := make([]byte, 5)
		if first {
			head = head[1:]
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if !first && (head[0] == 'S' || head[0] == 'Q') {
			c.n.Add(1)
		}
		if _, err := server.Write(append(head, body...)); err != nil {
			return
		}
	}
}

func TestRoundTrips(t *testing.T) {
	dsn, trips := countRoundTrips(t, testkit.PostgresDSN(t, sets()))
	db, err := store.Open(t.Context(), dsn, store.WithMaxConns(1))
	must(t, err)
	defer db.Close()

	id := newID()
	must(t, write(t, db, func(_ context.Context, tx store.Tx) error {
		tx.Queue(insertItem, id, "a", 0, noon)
		return nil
	}))
	lookup := func(ctx context.Context, tx store.Tx) (int64, error) {
		return store.Get[int64](ctx, tx, "SELECT count FROM items WHERE id = $1"+tx.Dialect().ForUpdate(), id)
	}
	change := func(tx store.Tx, n int64) {
		tx.Queue("UPDATE items SET count = $1 WHERE id = $2", n+1, id)
		tx.Queue("INSERT INTO log (what) VALUES ($1)", "changed")
	}
	add := func(tx store.Tx) {
		for _, what := range numbers(7) {
			tx.Append("log", []string{"what"}, what)
			tx.Append("items", shortItem, newID(), newID(), 1, noon)
		}
	}
	for _, tc := range []struct {
		name string
		want int64 // asked and waited for; a reader's end is sent, but not waited for
		run  func() error
	}{
		{"nothing", 0, func() error { return write(t, db, func(context.Context, store.Tx) error { return nil }) }},
		{"queued only", 1, func() error {
			return write(t, db, func(_ context.Context, tx store.Tx) error { change(tx, 1); return nil })
		}},
		{"appended only", 1, func() error {
			return write(t, db, func(_ context.Context, tx store.Tx) error { add(tx); return nil })
		}},
		{"command that appends", 2, func() error {
			return write(t, db, func(ctx context.Context, tx store.Tx) error {
				n, err := lookup(ctx, tx)
				add(tx)
				change(tx, n)
				return err
			})
		}},
		{"command", 2, func() error {
			return write(t, db, func(ctx context.Context, tx store.Tx) error {
				n, err := lookup(ctx, tx)
				change(tx, n)
				return err
			})
		}},
		{"command under a lock", 2, func() error {
			return write(t, db, func(ctx context.Context, tx store.Tx) error {
				store.Lock(tx, id)
				n, err := lookup(ctx, tx)
				change(tx, n)
				return err
			})
		}},
		{"with a library", 3, func() error {
			return write(t, db, func(ctx context.Context, tx store.Tx) error {
				n, err := lookup(ctx, tx)
				change(tx, n)
				if err == nil {
					_, err = tx.PgxTx().Exec(ctx, "INSERT INTO log (what) VALUES ('job')")
				}
				return err
			})
		}},
		{"read", 1 + 1, func() error {
			return read(t, db, func(ctx context.Context, tx store.Tx) error {
				_, err := store.Get[int](ctx, tx, "SELECT count(*) FROM items")
				return err
			})
		}},
	} {
		must(t, tc.run()) // prepares the statements
		// With one connection the next transaction waits for a reader's end.
		must(t, db.Ping(t.Context()))
		before := trips.n.Load()
		must(t, tc.run())
		must(t, db.Ping(t.Context()))
		if got := trips.n.Load() - before - 1; got != tc.want {
			t.Errorf("%s: %d round trips, want %d", tc.name, got, tc.want)
		}
	}
}
