// Package house runs Tasuki as operators do, from its built programs, and tells tests where to find it.
package house

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	// Programs are what runs apart, by program name; empty in one process.
	Programs map[string]*Program

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
	return Wire(t, Databases(t), Wiring{})
}

// Wiring says how programs reach one another and their databases; what is nil is reached directly.
type Wiring struct {
	// Bin is the folder of the programs; empty is BinDir.
	Bin string
	// Peer is the address under which a program reaches a department that listens on address.
	Peer func(program, department, address string) string
	// Database is the DSN under which a program reaches its database.
	Database func(program, dsn string) string
}

// Wire is Split on databases, by program name, and over a wiring of the caller's.
func Wire(t testing.TB, dsns map[string]string, w Wiring) *House {
	t.Helper()
	if w.Peer == nil {
		w.Peer = func(_, _, address string) string { return address }
	}
	if w.Database == nil {
		w.Database = func(_, dsn string) string { return dsn }
	}
	if w.Bin == "" {
		w.Bin = BinDir(t)
	}
	h := &House{t: t, bin: BinDir(t), Data: t.TempDir(), GRPC: map[string]string{}, Programs: map[string]*Program{}}
	for _, d := range departments {
		h.GRPC[d.name] = LastingAddress(t)
	}
	peers := func(program string) []string {
		var flags []string
		for _, d := range departments {
			if d.program != program {
				flags = append(flags, "--peer-"+d.name+"="+w.Peer(program, d.name, h.GRPC[d.name]))
			}
		}
		return flags
	}
	for _, d := range departments {
		Run(t, filepath.Join(w.Bin, d.program), "migrate", "--dsn", dsns[d.program])
		h.add(w.Bin, d.program, h.GRPC[d.name], append(peers(d.program), "--dsn", w.Database(d.program, dsns[d.program])))
	}
	h.add(w.Bin, "gateway", LastingAddress(t), peers("gateway"))
	h.URL = "http://" + h.Programs["gateway"].Address
	for _, p := range h.Programs {
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	h.awaitReady()
	return h
}

func (h *House) add(bin, name, address string, flags []string) {
	h.Programs[name] = newProgram(h.t, filepath.Join(bin, name), address, append([]string{"--data", h.Data, "--listen", address}, flags...))
}

// Beside is a second replica of a program, from a folder of programs: on the same database, at an address of its own.
func (h *House) Beside(name, bin string) *Program {
	h.t.Helper()
	first := h.Programs[name]
	address := LastingAddress(h.t)
	args := slices.Clone(first.args)
	args[slices.Index(args, "--listen")+1] = address
	return newProgram(h.t, filepath.Join(bin, name), address, args)
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
	dsns := databases(t, admin)
	for _, dsn := range dsns {
		t.Cleanup(func() {
			u, _ := url.Parse(dsn) // databases made it
			execSQL(t, admin, "DROP DATABASE IF EXISTS "+pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()+" WITH (FORCE)")
		})
	}
	return dsns
}

func databases(t testing.TB, admin string) map[string]string {
	t.Helper()
	prefix := "e2e_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12] + "_"
	dsns := map[string]string{}
	for _, d := range departments {
		u, err := url.Parse(admin)
		if err != nil {
			t.Fatal("the DSN of PostgreSQL is no URL")
		}
		execSQL(t, admin, "CREATE DATABASE "+pgx.Identifier{prefix + d.program}.Sanitize())
		u.Path = "/" + prefix + d.program
		dsns[d.program] = u.String()
	}
	return dsns
}

// Files are SQLite files of the test's own, one for every department, as DSNs by program name.
func Files(t testing.TB) map[string]string {
	t.Helper()
	dir, dsns := t.TempDir(), map[string]string{}
	for _, d := range departments {
		dsns[d.program] = "sqlite:" + filepath.Join(dir, d.program+".db")
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
	return h.TokenOf(role, "e2e-"+role)
}

// TokenOf is a token for a person with the role.
func (h *House) TokenOf(role, user string) string {
	h.t.Helper()
	key := role + "/" + user
	if token, ok := h.tokens.Load(key); ok {
		return token.(string)
	}
	token := strings.TrimSpace(Run(h.t, filepath.Join(h.bin, "tasuki"), "token", "--data", h.Data, "--role", role, "--user", user))
	h.tokens.Store(key, token)
	return token
}

// Know makes the house use a token of somebody else's issuer for the person of a role.
func (h *House) Know(role, token string) { h.tokens.Store(role+"/e2e-"+role, token) }

func (h *House) awaitReady() {
	h.t.Helper()
	AwaitReady(h.t, h.URL)
}

// AwaitReady waits until the gateway and all departments behind it serve.
func AwaitReady(t testing.TB, url string) {
	t.Helper()
	Await(t, "all departments serve", func() error { return get(t.Context(), url+"/readyz?require=all") })
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

// LastingAddress is a loopback address that nobody listens on, for what ends and comes back: the system does not give its
// port to a connection meanwhile.
func LastingAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.N(12000))
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err == nil {
			_ = l.Close() // only the number is wanted
			return address
		}
	}
	t.Fatal("no free port between 20000 and 32000")
	return ""
}

// Running is a House that somebody else has started, with its data folder.
func Running(t testing.TB, url, data string) *House {
	t.Helper()
	return &House{t: t, bin: BinDir(t), URL: url, Data: data}
}
