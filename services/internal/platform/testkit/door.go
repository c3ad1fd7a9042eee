package testkit

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// DoorPassword is in the DSN of a Door, and must not be seen in logs and errors.
const DoorPassword = "hunter2"

// Door is a way to a real PostgreSQL that is shut at first: it refuses connections. Once open it may cut them.
type Door struct {
	// DSN is that of the server, but through the door; Address is where the door is.
	DSN, Address string

	server string

	mu       sync.Mutex
	cutAt    []string
	listener net.Listener
	conns    []net.Conn
	running  sync.WaitGroup
}

// ShutDoor is a door to the server of a DSN. All connections through it are cut at once when somebody says one of the words
// to the server, once for each word. It is gone with the test.
func ShutDoor(t testing.TB, dsn string, cutAt ...string) *Door {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &Door{server: u.Host, Address: free.Addr().String(), cutAt: cutAt}
	_ = free.Close() // from now on it refuses
	u.Host, u.User = d.Address, url.UserPassword(u.User.Username(), DoorPassword)
	d.DSN = u.String()
	t.Cleanup(func() {
		d.mu.Lock()
		if d.listener != nil {
			_ = d.listener.Close() // the test is over
		}
		d.cut()
		d.mu.Unlock()
		d.running.Wait()
	})
	return d
}

// Open lets connections through from now on.
func (d *Door) Open(t testing.TB) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", d.Address)
	if err != nil {
		t.Error(err)
		return
	}
	d.mu.Lock()
	d.listener = listener
	d.mu.Unlock()
	d.running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", d.server)
			if err != nil {
				_ = from.Close() // as if it was refused
				continue
			}
			d.mu.Lock()
			d.conns = append(d.conns, from, to)
			d.mu.Unlock()
			d.running.Go(func() { d.pass(from, to) })
			d.running.Go(func() { d.pass(to, from) })
		}
	})
}

// Shut lets nobody through any more; connections that are there stay.
func (d *Door) Shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.listener.Close() // it was open
}

// NotCut are the words that nobody has said yet.
func (d *Door) NotCut() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.cutAt)
}

func (d *Door) pass(from, to net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		d.mu.Lock()
		if at := slices.IndexFunc(d.cutAt, func(word string) bool { return bytes.Contains(buffer[:n], []byte(word)) }); at >= 0 {
			d.cutAt = slices.Delete(d.cutAt, at, at+1)
			d.cut()
		}
		d.mu.Unlock()
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			_, _ = from.Close(), to.Close() // one side is gone
			return
		}
	}
}

func (d *Door) cut() {
	for _, c := range d.conns {
		_ = c.Close() // it may be gone
	}
	d.conns = nil
}
