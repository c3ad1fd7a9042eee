package allinone_test

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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// process is a program that runs beside the benchmark.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	out  bytes.Buffer
}

// launch runs a program until the benchmark ends. Its standard input ends with this process.
func launch(t testing.TB, env []string, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended matters only when something failed, and then its output is shown
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		p.stop()
		if t.Failed() {
			t.Logf("%s %s printed:\n%s", filepath.Base(program), strings.Join(args, " "), p.out.Bytes())
		}
	})
	return p
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// tick is the unit of CPU times in /proc: USER_HZ, which is 100 on every Linux.
const tick = 10 * time.Millisecond

// cpuOf is the CPU time that a process has used, in user mode and in the kernel.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the third field on
	var ticks int
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// cpu adds up processes under one name.
func cpu(t testing.TB, processes ...*process) func() map[string]time.Duration {
	return func() map[string]time.Duration {
		var sum time.Duration
		for _, p := range processes {
			used, err := cpuOf(p.cmd.Process.Pid)
			if err != nil {
				t.Fatalf("CPU times are read from /proc: %v", err)
			}
			sum += used
		}
		return map[string]time.Duration{"": sum}
	}
}

// memory reads a line of /proc/<pid>/status, for instance VmRSS, in megabytes (10⁶ bytes).
func (p *process) memory(t testing.TB, name string) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), name+":")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib * 1024 / 1e6
}

// programs is the folder of the built programs.
func programs(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TASUKI_BIN")
	if dir == "" {
		dir = "../../bin"
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tasuki")); err != nil {
		t.Fatalf("no programs in %s: run `make build`, or set TASUKI_BIN", dir)
	}
	return dir
}

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// await repeats a check every few milliseconds until it passes, for a minute at the most.
func await(t testing.TB, what string, every time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute until %s: %v", what, err)
		}
		time.Sleep(every)
	}
}

var once = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func answers(url string) error {
	resp, err := once.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// house is a running Tasuki.
type house struct {
	url, data string
	processes []*process
	// marketing is the DSN of marketing's database.
	marketing string
	// addresses are where departments of a split house serve gRPC. Those of the others are reached through the gateway.
	addresses map[string]string
}

// dsn is the DSN of a department's database.
func (h *house) dsn(department string) string {
	if strings.HasPrefix(h.marketing, "sqlite:") {
		return "sqlite:" + filepath.Join(h.data, department+".db")
	}
	i := strings.LastIndex(h.marketing, "marketing")
	return h.marketing[:i] + strings.ReplaceAll(department, "-", "") + h.marketing[i+len("marketing"):]
}

// token is a token for the role.
func (h *house) token(t testing.TB, role string) string {
	t.Helper()
	return run(t, filepath.Join(programs(t), "tasuki"), "token", "--data", h.data, "--role", role, "--user", "bench")
}

func (h *house) start(t testing.TB, program string, args ...string) {
	t.Helper()
	h.processes = append(h.processes, launch(t, nil, filepath.Join(programs(t), program), append(args, "--data", h.data)...))
}

func (h *house) awaitReady(t testing.TB) {
	t.Helper()
	await(t, "all departments serve", 2*time.Millisecond, func() error { return answers(h.url + "/readyz?require=all") })
}

// cpu is the CPU time of the programs, and that of PostgreSQL's connections if it is used: those to the databases of some
// departments, marketing's when none is named.
func (h *house) cpu(t testing.TB, names ...string) func() map[string]time.Duration {
	own := cpu(t, h.processes...)
	dsns := []string{h.marketing}
	for i, name := range names {
		dsns = append(dsns[:i], h.dsn(name))
	}
	if !strings.HasPrefix(h.marketing, "postgres") {
		return own
	}
	return func() map[string]time.Duration {
		out := own()
		out["postgres"] = postgresCPU(t, dsns...)
		return out
	}
}

// house of each kind.
var houses = []struct {
	name string
	open func(t testing.TB) *house
}{
	{"sqlite", func(t testing.TB) *house { return upHouse(t, "") }},
	{"postgres", func(t testing.TB) *house { return upHouse(t, databases(t)) }},
	{"postgres-split", splitHouse},
}

// upHouse is `tasuki up`, on SQLite when dsn is empty.
func upHouse(t testing.TB, dsn string) *house {
	t.Helper()
	h := emptyHouse(t, dsn)
	h.up(t)
	return h
}

// emptyHouse is one in which nothing runs yet.
func emptyHouse(t testing.TB, dsn string) *house {
	t.Helper()
	h := &house{url: "http://" + freeAddress(t), data: t.TempDir()}
	h.marketing = "sqlite:" + filepath.Join(h.data, "marketing.db")
	if dsn != "" {
		h.marketing = strings.ReplaceAll(dsn, "{department}", "marketing")
	}
	return h
}

// up starts `tasuki up` in it.
func (h *house) up(t testing.TB) {
	t.Helper()
	args := []string{"up", "--listen", strings.TrimPrefix(h.url, "http://")}
	if !strings.HasPrefix(h.marketing, "sqlite:") {
		args = append(args, "--dsn", h.dsn("{department}"))
	}
	h.start(t, "tasuki", args...)
	h.awaitReady(t)
}

var departments = []struct{ name, program string }{
	{"marketing", "marketing"}, {"inside-sales", "insidesales"}, {"field-sales", "fieldsales"}, {"customer-success", "customersuccess"},
}

// splitHouse is a process per department and the gateway, as in production.
func splitHouse(t testing.TB) *house {
	t.Helper()
	dsn := databases(t)
	h := &house{url: "http://" + freeAddress(t), data: t.TempDir(), marketing: strings.ReplaceAll(dsn, "{department}", "marketing")}
	h.addresses = map[string]string{}
	var peers []string
	for _, d := range departments {
		h.addresses[d.name] = freeAddress(t)
		peers = append(peers, "--peer-"+d.name+"="+h.addresses[d.name])
	}
	for _, d := range departments {
		own := strings.ReplaceAll(dsn, "{department}", d.program)
		run(t, filepath.Join(programs(t), d.program), "migrate", "--dsn", own)
		h.start(t, d.program, append([]string{"--listen", h.addresses[d.name], "--dsn", own}, peers...)...)
	}
	h.start(t, "gateway", append([]string{"--listen", strings.TrimPrefix(h.url, "http://")}, peers...)...)
	h.awaitReady(t)
	return h
}

// databases makes an empty PostgreSQL database per department and returns their DSN with {department} in the name.
func databases(t testing.TB) string {
	t.Helper()
	prefix := "bench_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12] + "_"
	for _, d := range departments {
		database(t, prefix+d.program)
	}
	return postgresDSN(t, prefix+"{department}")
}

// database makes an empty PostgreSQL database, dropped when the benchmark ends, and returns its DSN.
func database(t testing.TB, name string) string {
	t.Helper()
	admin := postgresDSN(t, "")
	execSQL(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() { execSQL(t, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return postgresDSN(t, name)
}

// postgresDSN is the server's DSN with another database; the one that is there when name is empty.
func postgresDSN(t testing.TB, name string) string {
	t.Helper()
	admin := os.Getenv(testkit.EnvPostgres)
	if admin == "" {
		const why = "needs PostgreSQL: set " + testkit.EnvPostgres + " to a superuser's DSN, or run `make bench`, which starts one"
		if os.Getenv(testkit.EnvRequire) == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal("the PostgreSQL DSN is no URL")
	}
	if name == "" {
		return admin
	}
	u.Path, u.RawPath = "/"+name, ""
	return strings.NewReplacer("%7B", "{", "%7D", "}").Replace(u.String())
}

func execSQL(t testing.TB, dsn, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// postgresCPU adds up the server processes that serve connections to databases of this machine. It cannot see those of
// another machine, which then count as nothing.
func postgresCPU(t testing.TB, dsns ...string) time.Duration {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsns[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var names []string
	for _, dsn := range dsns {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal("the PostgreSQL DSN is no URL")
		}
		names = append(names, strings.TrimPrefix(u.Path, "/"))
	}
	rows, err := conn.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE datname = ANY($1) AND pid <> pg_backend_pid()", names)
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	var sum time.Duration
	for _, pid := range pids {
		if used, err := cpuOf(pid); err == nil {
			sum += used
		}
	}
	return sum
}
