package marketing_test

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
	"github.com/tasuki-project/tasuki/services/marketing"
)

// before are the department's own migrations as they were before that file.
func before(t *testing.T, file string) store.Migrations {
	t.Helper()
	all := marketing.Migrations()
	old := fstest.MapFS{}
	err := fs.WalkDir(all.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Base(name) >= file {
			return err
		}
		data, err := fs.ReadFile(all.FS, name)
		old[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return store.Migrations{Name: all.Name, FS: old}
}

// Departments that have heard of a person before there was a note of it go on hearing: of those with consents, those who
// were handed over, and those who were merged.
func TestPeopleWhoWereToldOfAreToldOn(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		ids := map[string]string{}
		_, err := store.Write(t.Context(), db, func(tx store.Tx) (struct{}, error) {
			now := time.Now()
			for _, p := range []struct {
				name               string
				consents, handoff  any
				mergedInto, signal any
			}{
				{name: "stranger"},
				{name: "emptied", consents: "[]"},
				{name: "agreed", consents: `[{"c":"MAIL","g":true,"t":"2026-04-01T00:00:00Z"}]`},
				{name: "offered", handoff: party.NewID()},
				{name: "praised", signal: `{"customer_id":"1"}`},
				{name: "survivor"},
				{name: "merged", mergedInto: "survivor"},
			} {
				id := party.NewID()
				ids[p.name] = id
				if name, ok := p.mergedInto.(string); ok {
					p.mergedInto = ids[name]
				}
				tx.Queue(`INSERT INTO people (id, match_key, full_name, family, given, family_kana, given_kana, mail, phone, title, consents,
					merged_into, created_at) VALUES ($1, $2, $2, '', '', '', '', '', '', '', $3, $4, $5)`, id, p.name, p.consents, p.mergedInto, now)
				tx.Queue(`INSERT INTO leads (id, journey_id, person_id, state, state_since, source, first_channel, first_touch, last_touch,
					touch_count, transition_count, score, qualifying_action, hot, handoff_id, recycle_count, last_reason, notes, customer_signals,
					version, created_at, updated_at) VALUES ($1, $2, $3, 'MAL', $4, '', '', '{}', '{}', 1, 1, '{}', '', FALSE, $5, 0, '', '', $6, 1, $4, $4)`,
					party.NewID(), party.NewID(), id, now, p.handoff, p.signal)
			}
			return struct{}{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(t.Context(), marketing.Migrations()); err != nil {
			t.Fatal(err)
		}
		told, err := store.Read(t.Context(), db, func(tx store.Tx) ([]string, error) {
			return store.Select[string](t.Context(), tx, `SELECT match_key FROM people WHERE told_at = created_at`)
		})
		slices.Sort(told)
		if want := "[agreed offered praised survivor]"; err != nil || fmt.Sprint(told) != want {
			t.Errorf("told on are %v, want %s (%v)", told, want, err)
		}
	}, before(t, "0004_told.sql"))
}
