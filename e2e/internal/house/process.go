package house

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
	out := &bytes.Buffer{}
	cmd := exec.Command(program, args...) //nolint:noctx // it is ended by signal, gracefully
	cmd.Stdout, cmd.Stderr = out, out
	p, err := launch(cmd)
	if err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	p.out = out
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("%s %s printed:\n%s", filepath.Base(program), strings.Join(args, " "), tail(p.out.String()))
		}
	})
	return p
}

// launch starts a command and waits for its end in the background.
func launch(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func tail(s string) string {
	const most = 8000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) {
	_ = p.cmd.Process.Signal(s) // it may have ended already
}

// Stop asks the program to end, and kills it when it has not within 15 seconds.
func (p *Process) Stop() {
	p.Signal(syscall.SIGTERM)
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
