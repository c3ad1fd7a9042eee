package e2e

import (
	"slices"
	"testing"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/migrations"
)

// TestMigrationsStay: what was released has been run somewhere, and is never run again.
func TestMigrationsStay(t *testing.T) {
	now := read(t, "..")
	for name, text := range read(t, house.PreviousSources(t)) {
		if migrations.WithoutComments(now[name]) != migrations.WithoutComments(text) {
			t.Errorf("%s is not what it was in the version before: databases that have run it never see the change; add a migration", name)
		}
	}
}

// added are the migrations that the version before does not have.
func added(t *testing.T) []string {
	t.Helper()
	before := read(t, house.PreviousSources(t))
	var names []string
	for name := range read(t, "..") {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func read(t *testing.T, checkout string) map[string]string {
	t.Helper()
	files, err := migrations.Read(checkout)
	if err != nil {
		t.Fatal(err)
	}
	return files
}
