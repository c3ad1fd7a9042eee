package department_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
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

// A migration that finds no database waits for it; one that loses it, in a migration of our own or of River, waits again and goes on.
func TestMigrateWaits(t *testing.T) {
	dsn := testkit.PostgresDSN(t)
	d := testkit.ShutDoor(t, dsn, "UNLOGGED TABLE river_leader", "CREATE TABLE house")
	text, err := program(t, d.DSN, "migrate", func(*os.Process) { d.Open(t) })
	if err != nil || !strings.Contains(text, d.Address) || !strings.Contains(text, "the database is there") || strings.Contains(text, testkit.DoorPassword) {
		t.Fatalf("%v\n%s", err, text)
	}
	if words := d.NotCut(); len(words) > 0 {
		t.Errorf("nothing was cut at %s", words)
	}
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
	d := testkit.ShutDoor(t, "postgres://marketing@127.0.0.1/marketing")
	for _, command := range []string{"migrate", "serve --listen 127.0.0.1:0"} {
		began := time.Now()
		text, err := program(t, d.DSN, command+" --database-wait 1h", func(p *os.Process) {
			if err := p.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		})
		if ended(err) != 1 || !strings.Contains(text, "terminated signal received while waiting for the database") || time.Since(began) > 20*time.Second {
			t.Errorf("%s ended after %v: %v\n%s", command, time.Since(began), err, text)
		}
		text, err = program(t, d.DSN, command+" --database-wait 300ms", func(*os.Process) {})
		if ended(err) != 1 || !strings.Contains(text, "ms for the database") || strings.Contains(text, testkit.DoorPassword) {
			t.Errorf("%s: %v\n%s", command, err, text)
		}
		text, err = program(t, d.DSN, command+" --database-wait 0", func(*os.Process) { t.Error("it waits") })
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
