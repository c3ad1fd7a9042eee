package department_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// asProgram are the arguments with which this test's binary is the department's program.
const asProgram = "TASUKI_TEST_AS_PROGRAM"

// TestAsProgram is the program, when it is run as such.
func TestAsProgram(*testing.T) {
	args, ok := os.LookupEnv(asProgram)
	if !ok {
		return
	}
	os.Args = append([]string{"marketing"}, strings.Fields(args)...)
	department.Main(definition)
}

// program runs the department's program. The text is what it logs and how it ends; waiting is called when it says that it waits.
func program(t *testing.T, dsn, args string, waiting func(p *os.Process)) (text string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestAsProgram$", "-test.count=1")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), asProgram+"="+args, "TASUKI_DSN="+dsn)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	waits := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		out.WriteString(lines.Text() + "\n")
		if !waits && strings.Contains(lines.Text(), "waiting for it") {
			waits = true
			waiting(cmd.Process)
		}
	}
	return out.String(), cmd.Wait()
}

// door is a way to the real server that opens late, and then cuts all connections once at each of some words.
type door struct {
	dsn, address, server string

	mu       sync.Mutex
	cutAt    []string
	listener net.Listener
	conns    []net.Conn
	running  sync.WaitGroup
}

func shutDoor(t *testing.T, dsn string) *door {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{server: u.Host, address: free.Addr().String()}
	_ = free.Close() // from now on it refuses
	u.Host, u.User = d.address, url.UserPassword(u.User.Username(), "hunter2")
	d.dsn = u.String()
	t.Cleanup(func() {
		if d.listener != nil {
			_ = d.listener.Close() // the test is over
		}
		d.mu.Lock()
		d.cut()
		d.mu.Unlock()
		d.running.Wait()
	})
	return d
}

func (d *door) open(t *testing.T) {
	listener, err := net.Listen("tcp", d.address)
	if err != nil {
		t.Error(err)
		return
	}
	d.listener = listener
	d.running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", d.server)
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

func (d *door) pass(from, to net.Conn) {
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

func (d *door) cut() {
	for _, c := range d.conns {
		_ = c.Close() // it may be gone
	}
	d.conns = nil
}

// A migration that finds no database waits for it; one that loses it, in a migration of our own or of River, waits again and goes on.
func TestMigrateWaits(t *testing.T) {
	dsn := testkit.PostgresDSN(t)
	d := shutDoor(t, dsn)
	d.cutAt = []string{"UNLOGGED TABLE river_leader", "CREATE TABLE house"}
	text, err := program(t, d.dsn, "migrate", func(*os.Process) { d.open(t) })
	if err != nil || !strings.Contains(text, d.address) || !strings.Contains(text, "the database is there") || strings.Contains(text, "hunter2") {
		t.Fatalf("%v\n%s", err, text)
	}
	d.mu.Lock()
	if len(d.cutAt) > 0 {
		t.Errorf("nothing was cut at %s", d.cutAt)
	}
	d.mu.Unlock()
	db, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	statuses, err := db.SchemaStatus(t.Context(), definition.Sets()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statuses {
		if s.Have != s.Want {
			t.Errorf("%+v", s)
		}
	}
}

// The end of a program that waits is not waited for, and one that shall not wait does not.
func TestWaitingEnds(t *testing.T) {
	d := shutDoor(t, "postgres://marketing@127.0.0.1/marketing")
	for _, command := range []string{"migrate", "serve --listen 127.0.0.1:0"} {
		began := time.Now()
		text, err := program(t, d.dsn, command+" --database-wait 1h", func(p *os.Process) {
			if err := p.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		})
		if ended(err) != 1 || !strings.Contains(text, "terminated signal received while waiting for the database") || time.Since(began) > 20*time.Second {
			t.Errorf("%s ended after %v: %v\n%s", command, time.Since(began), err, text)
		}
		text, err = program(t, d.dsn, command+" --database-wait 300ms", func(*os.Process) {})
		if ended(err) != 1 || !strings.Contains(text, "ms for the database") || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %v\n%s", command, err, text)
		}
		text, err = program(t, d.dsn, command+" --database-wait 0", func(*os.Process) { t.Error("it waits") })
		if ended(err) != 1 || !strings.Contains(text, "cannot connect") {
			t.Errorf("%s: %v\n%s", command, err, text)
		}
	}
}

// ended is the exit code of a program that failed by itself, or -1.
func ended(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
