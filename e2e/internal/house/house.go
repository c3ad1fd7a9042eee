// Package house runs Tasuki as operators do, from its built programs, and tells tests where to find it.
package house

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// House is a running Tasuki.
type House struct {
	t testing.TB
	// URL of the gateway.
	URL string
	// Data is the folder with the issuer's key (and SQLite files).
	Data string
	// GRPC are the addresses of the departments where they run apart; empty in one process.
	GRPC map[string]string

	bin    string
	tokens sync.Map
}

// BinDir is where the built programs lie: TASUKI_BIN, or bin/ of the checkout.
func BinDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TASUKI_BIN")
	if dir == "" {
		root, err := exec.CommandContext(t.Context(), "go", "env", "GOWORK").Output()
		if err != nil {
			t.Fatalf("go env GOWORK: %v", err)
		}
		dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(root))), "bin")
	}
	if _, err := os.Stat(filepath.Join(dir, "tasuki")); err != nil {
		t.Fatalf("no programs in %s: run `make build` first, or set TASUKI_BIN", dir)
	}
	return dir
}

// AllInOne starts `tasuki up` on SQLite in a folder of the test's own, with further flags.
func AllInOne(t testing.TB, flags ...string) *House {
	t.Helper()
	h := &House{t: t, bin: BinDir(t), Data: t.TempDir()}
	h.URL = "http://" + FreeAddress(t)
	args := append([]string{"up", "--data", h.Data, "--listen", strings.TrimPrefix(h.URL, "http://")}, flags...)
	Start(t, filepath.Join(h.bin, "tasuki"), args...)
	h.awaitReady()
	return h
}

// departments as programs, in the order of the relay.
var departments = []struct{ name, program string }{
	{"marketing", "marketing"}, {"inside-sales", "insidesales"}, {"field-sales", "fieldsales"}, {"customer-success", "customersuccess"},
}

// Split starts every department and the gateway as processes of their own, each department on its own PostgreSQL
// database. It needs TASUKI_TEST_POSTGRES_DSN.
func Split(t testing.TB) *House {
	t.Helper()
	h := &House{t: t, bin: BinDir(t), Data: t.TempDir(), GRPC: map[string]string{}}
	dsns := Databases(t)
	var peers []string
	for _, d := range departments {
		h.GRPC[d.name] = FreeAddress(t)
		peers = append(peers, "--peer-"+d.name+"="+h.GRPC[d.name])
	}
	for _, d := range departments {
		Run(t, filepath.Join(h.bin, d.program), "migrate", "--dsn", dsns[d.program])
		args := append([]string{"--data", h.Data, "--listen", h.GRPC[d.name], "--dsn", dsns[d.program]}, peers...)
		Start(t, filepath.Join(h.bin, d.program), args...)
	}
	h.URL = "http://" + FreeAddress(t)
	Start(t, filepath.Join(h.bin, "gateway"), append([]string{"--data", h.Data, "--listen", strings.TrimPrefix(h.URL, "http://")}, peers...)...)
	h.awaitReady()
	return h
}

// Databases makes an empty PostgreSQL database for every department, dropped when the test ends, and returns their DSNs by
// program name. `{department}` in DSN terms is the same name.
func Databases(t testing.TB) map[string]string {
	t.Helper()
	admin := os.Getenv("TASUKI_TEST_POSTGRES_DSN")
	if admin == "" {
		if os.Getenv("TASUKI_REQUIRE_POSTGRES") == "1" {
			t.Fatal("TASUKI_TEST_POSTGRES_DSN is not set, and TASUKI_REQUIRE_POSTGRES=1 says that PostgreSQL must be there")
		}
		t.Skip("needs PostgreSQL: set TASUKI_TEST_POSTGRES_DSN, or run `make e2e`, which starts one")
	}
	prefix := "e2e_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12] + "_"
	dsns := map[string]string{}
	for _, d := range departments {
		name := prefix + d.program
		execSQL(t, admin, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
		t.Cleanup(func() {
			execSQL(t, admin, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
		})
		u, err := url.Parse(admin)
		if err != nil {
			t.Fatal("TASUKI_TEST_POSTGRES_DSN is no URL")
		}
		u.Path = "/" + name
		dsns[d.program] = u.String()
	}
	return dsns
}

// Template is the DSN with {department} that stands for all of the databases.
func Template(dsns map[string]string) string {
	return strings.Replace(dsns["marketing"], "_marketing", "_{department}", 1)
}

func execSQL(t testing.TB, dsn, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatalf("PostgreSQL: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }() // the statement is through
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Token is a token for somebody with the role, for instance `marketing`.
func (h *House) Token(role string) string {
	h.t.Helper()
	if token, ok := h.tokens.Load(role); ok {
		return token.(string)
	}
	token := strings.TrimSpace(Run(h.t, filepath.Join(h.bin, "tasuki"), "token", "--data", h.Data, "--role", role, "--user", "e2e-"+role))
	h.tokens.Store(role, token)
	return token
}

func (h *House) awaitReady() {
	h.t.Helper()
	AwaitReady(h.t, h.URL)
}

// AwaitReady waits until the gateway and all departments behind it serve.
func AwaitReady(t testing.TB, url string) {
	t.Helper()
	Await(t, "all departments serve", func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/readyz?require=all", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }() // only the status counts
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
}

// Await repeats a check until it passes, in a cleanup too; it fails the test after a minute.
func Await(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = check(); last == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited a minute until %s: %v", what, last)
		}
	}
}

// Process is a program that was started.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	out  *bytes.Buffer
}

// Start runs a program in the background and ends it with the test. What it printed is shown when the test fails.
func Start(t testing.TB, program string, args ...string) *Process {
	t.Helper()
	p := &Process{out: &bytes.Buffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(program, args...) //nolint:noctx // it is ended by signal, gracefully
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("%s %s printed:\n%s", filepath.Base(program), strings.Join(args, " "), tail(p.out.String()))
		}
	})
	return p
}

func tail(s string) string {
	const most = 8000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// Stop asks the program to end, and kills it when it has not within 15 seconds.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.Kill()
	}
}

// Kill ends the program as a power cut would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// Done is closed when the program has ended; Err is then how, and Output what it printed.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how an ended program ended.
func (p *Process) Err() error { return p.err }

// Output is what an ended program printed.
func (p *Process) Output() string { return p.out.String() }

// Run runs a program to its end and returns what it printed on standard output.
func Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// FreeAddress is a loopback address that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // only the number is wanted
	return fmt.Sprintf("127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port)
}

// Running is a House that somebody else has started, with its data folder.
func Running(t testing.TB, url, data string) *House {
	t.Helper()
	return &House{t: t, bin: BinDir(t), URL: url, Data: data}
}
