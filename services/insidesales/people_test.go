package insidesales_test

import (
	"testing"

	"github.com/tasuki-project/tasuki/services/insidesales"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// Whoever adds a table with a person or an account says what merges and erasures do with it.
func TestEveryTableOfPeopleIsListed(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		unlisted, err := people.Unlisted(t.Context(), db, insidesales.Definition.People)
		if err != nil || len(unlisted) > 0 {
			t.Errorf("%v, %v", unlisted, err)
		}
	}, insidesales.Definition.Sets()...)
}
