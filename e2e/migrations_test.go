package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
)

// TestMigrationsStay: what was released has been run somewhere, and is never run again.
func TestMigrationsStay(t *testing.T) {
	now := statements(t, "..")
	for name, before := range statements(t, house.PreviousSources(t)) {
		if now[name] != before {
			t.Errorf("services/%s is not what it was in the version before: databases that have run it never see the change; add a migration", name)
		}
	}
}

// added are the migrations that the version before does not have.
func added(t *testing.T) []string {
	t.Helper()
	before := statements(t, house.PreviousSources(t))
	var names []string
	for name := range statements(t, "..") {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// statements are those of all migrations below a checkout, by file; comments are left out.
func statements(t *testing.T, checkout string) map[string]string {
	t.Helper()
	found := map[string]string{}
	services := filepath.Join(checkout, "services")
	err := filepath.WalkDir(services, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case filepath.Ext(path) != ".sql":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(services, path)
		var kept []string
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "--") || strings.HasPrefix(line, "-- +goose") {
				kept = append(kept, line)
			}
		}
		found[name] = strings.Join(kept, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("no migrations in %s", services)
	}
	return found
}
