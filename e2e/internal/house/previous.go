package house

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// noHistory is how tools/previous.sh ends when the version before cannot be known.
const noHistory = 3

// PreviousPrograms builds the programs of the version before this one, unless that has been done, and returns their folder.
func PreviousPrograms(t testing.TB) string {
	t.Helper()
	return previous(t, "programs")
}

// PreviousSources is a folder with the sources of the version before this one.
func PreviousSources(t testing.TB) string {
	t.Helper()
	return previous(t, "sources")
}

// previous asks tools/previous.sh. Without the history that it needs the test is skipped, or fails where everything must run.
func previous(t testing.TB, what string) string {
	t.Helper()
	script, err := PreviousScript()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), script, what)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() == noHistory {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI=true says that every suite must run: %s", errs.String())
		}
		t.Skip(strings.TrimSpace(errs.String()))
	}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", script, what, err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

// PreviousScript finds tools/previous.sh above the folder of the test.
func PreviousScript() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		script := filepath.Join(dir, "tools", "previous.sh")
		if _, err := os.Stat(script); err == nil {
			return script, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("tools/previous.sh is not above the test")
		}
	}
}
