package house

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// Program is a program of a House that can be ended and started again in its place. It ends with the test, and the end of
// its log is shown when the test fails. The whole log is among the artifacts of the test.
type Program struct {
	// Name of the program.
	Name string
	// Address where it listens.
	Address string

	path string
	args []string
	log  *os.File
	conn *grpc.ClientConn

	mu      sync.Mutex
	process *Process
}

func newProgram(t testing.TB, path, address string, args []string) *Program {
	t.Helper()
	p := &Program{Name: filepath.Base(path), Address: address, path: path, args: args}
	var err error
	// Replicas have one log.
	if p.log, err = os.OpenFile(filepath.Join(t.ArtifactDir(), p.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		t.Fatal(err)
	}
	quick := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond}
	p.conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: quick, MinConnectTimeout: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if now := p.now(); now != nil {
			now.Signal(syscall.SIGCONT)
			now.Stop()
		}
		_ = p.conn.Close() // the test is over
		if t.Failed() {
			text, _ := os.ReadFile(p.log.Name())
			t.Logf("%s logged:\n%s", p.Name, tail(string(text)))
		}
		_ = p.log.Close() // the program has ended
	})
	return p
}

func (p *Program) now() *Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

// Start starts it; what ran before must have ended.
func (p *Program) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(p.path, p.args...) //nolint:noctx // it is ended by signal
	cmd.Stdout, cmd.Stderr = p.log, p.log
	process, err := launch(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.process = process
	return nil
}

// Kill ends it as a power cut would, and waits until it is gone.
func (p *Program) Kill() { p.now().Kill() }

// Stop asks it to end in order, and waits until it is gone.
func (p *Program) Stop() { p.now().Stop() }

// Replace ends it in order and starts the program of the same name that lies in another folder, in its place.
func (p *Program) Replace(bin string) error {
	p.Stop()
	p.mu.Lock()
	p.path = filepath.Join(bin, p.Name)
	p.mu.Unlock()
	return p.Start()
}

// Pause stops it where it is, connections and all.
func (p *Program) Pause() { p.now().Signal(syscall.SIGSTOP) }

// Continue lets it go on.
func (p *Program) Continue() { p.now().Signal(syscall.SIGCONT) }

// Done is closed when what was started last has ended.
func (p *Program) Done() <-chan struct{} { return p.now().Done() }

// Serving is nil when it says itself that it is ready for calls.
func (p *Program) Serving(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if p.Name == "gateway" {
		return get(ctx, "http://"+p.Address+"/healthz")
	}
	reply, err := healthv1.NewHealthClient(p.conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err == nil && reply.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		err = errors.New(reply.GetStatus().String())
	}
	return err
}

// get is nil when a page answers with 200.
func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
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
}
