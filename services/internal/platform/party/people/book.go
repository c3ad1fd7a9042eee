package people

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

//go:embed migrations
var embedded embed.FS

// Migrations makes the tables of this package.
func Migrations() store.Migrations {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil { // the folder is embedded above
		panic(err)
	}
	return store.Migrations{Name: "people", FS: sub}
}

// Book is what one department knows of people beside its own tables. It is safe for concurrent use once the service runs.
type Book struct {
	// Department is whose book it is, for instance `inside-sales`.
	Department string
	DB         *store.DB
	Clock      clock.Clock
	Events     *event.Log
	// Tables are those of the department, parents before the tables that hang on them.
	Tables []Table
	// Own reads the consents of a person where the department itself keeps them; nil reads the projection.
	Own func(ctx context.Context, tx store.Tx, personID string) ([]Consent, error)
}

// Resolve is the id that a person has now: the survivor's for one that was merged, else the same.
func (b *Book) Resolve(ctx context.Context, tx store.Tx, personID string) (string, error) {
	survivor, err := store.Get[string](ctx, tx, `SELECT survivor_id FROM person_redirects WHERE person_id = $1`, personID)
	if errors.Is(err, store.ErrNoRows) {
		return personID, nil
	}
	return survivor, err
}

// Merged are the ids that were merged into a person, in the order in which they were.
func (b *Book) Merged(ctx context.Context, tx store.Tx, personID string) ([]string, error) {
	return store.Select[string](ctx, tx, `SELECT person_id FROM person_redirects WHERE survivor_id = $1
		ORDER BY merged_at, person_id`, personID)
}

// Redirect lets an id, and all that resolved to it, resolve to another person.
func (b *Book) Redirect(tx store.Tx, merged, survivor string) {
	tx.Queue(`UPDATE person_redirects SET survivor_id = $2 WHERE survivor_id = $1`, merged, survivor)
	tx.Queue(`INSERT INTO person_redirects (person_id, survivor_id, merged_at) VALUES ($1, $2, $3)
		ON CONFLICT (person_id) DO UPDATE SET survivor_id = excluded.survivor_id`, merged, survivor, b.Clock.Now())
}

// keep takes in what marketing told of the consents of a person, unless something later is there.
func (b *Book) keep(tx store.Tx, personID string, version int64, consents []Consent) {
	if consents == nil {
		consents = []Consent{}
	}
	tx.Queue(`INSERT INTO person_consents (person_id, version, consents) VALUES ($1, $2, $3) ON CONFLICT (person_id)
		DO UPDATE SET version = excluded.version, consents = excluded.consents WHERE person_consents.version <= excluded.version`,
		personID, version, store.JSONOf(consents))
}

// keepHanded takes in the consents that came with a handoff, where marketing has told nothing: handoffs may be faster than
// the feed, and nobody may be called meanwhile who does not want it. Whatever marketing tells replaces them.
func (b *Book) keepHanded(tx store.Tx, personID string, consents []Consent) {
	if b.Own != nil || personID == "" || len(consents) == 0 {
		return
	}
	tx.Queue(`INSERT INTO person_consents (person_id, version, consents) VALUES ($1, 0, $2) ON CONFLICT (person_id) DO NOTHING`,
		personID, store.JSONOf(consents))
}

// Consents are what holds for people, by id; people of whom nothing was told are not in it.
func (b *Book) Consents(ctx context.Context, tx store.Tx, personIDs ...string) (map[string][]Consent, error) {
	type row struct {
		PersonID string
		Consents store.JSON[[]Consent]
	}
	out := map[string][]Consent{}
	var ids []string
	for _, id := range personIDs {
		if id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return out, nil
	}
	d := tx.Dialect()
	rows, err := store.Select[row](ctx, tx, `SELECT person_id, consents FROM person_consents WHERE `+
		d.In("person_id", 1), d.Strings(ids))
	for _, r := range rows {
		out[r.PersonID] = r.Consents.V
	}
	return out, err
}

// Show is what a department shows of a person's consents: what came with a handoff, and what marketing told since.
func Show(told []Consent, handed []*handoffv1.Consent) []*handoffv1.Consent {
	return ConsentsProto(Latest(told, ConsentsOf(handed)))
}

// Erased tells whether one of the ids is of a person who was erased.
func (b *Book) Erased(ctx context.Context, tx store.Tx, personIDs ...string) (bool, error) {
	where, args := in("person_id", personIDs)
	n, err := store.Get[int64](ctx, tx, `SELECT count(*) FROM person_erasures WHERE `+where, args...)
	return n > 0, err
}

// in is the condition that a column, of ids or of text, has one of the values, of which there must be some.
func in(column string, values []string) (where string, args []any) {
	marks := make([]string, len(values))
	for i, v := range values {
		marks[i] = "$" + strconv.Itoa(i+1)
		args = append(args, v)
	}
	return column + " IN (" + strings.Join(marks, ", ") + ")", args
}

// Salt is what the hashes of this database are made with.
func (b *Book) Salt(ctx context.Context, tx store.Tx) (string, error) {
	return store.Get[string](ctx, tx, `SELECT salt FROM suppression_salt`)
}

// Hash is what is kept of the normalised mail address, or the PhoneKey, of somebody who was erased.
func Hash(salt, address string) string {
	h := hmac.New(sha256.New, []byte(salt))
	h.Write([]byte(address))
	return hex.EncodeToString(h.Sum(nil))
}

// suppress keeps the hashes of keys.
func (b *Book) suppress(ctx context.Context, tx store.Tx, addresses []string, now time.Time) error {
	if len(addresses) == 0 {
		return nil
	}
	salt, err := b.Salt(ctx, tx)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		tx.Queue(`INSERT INTO suppressions (hash, created_at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING`, Hash(salt, a), now)
	}
	return nil
}

// Suppressed are those of the normalised mail addresses and PhoneKeys that belong to somebody who was erased here.
func (b *Book) Suppressed(ctx context.Context, tx store.Tx, addresses ...string) (map[string]bool, error) {
	of := map[string]string{}
	out := map[string]bool{}
	salt, err := b.Salt(ctx, tx)
	if err != nil {
		return nil, err
	}
	var hashes []string
	for _, a := range addresses {
		if a != "" {
			hash := Hash(salt, a)
			of[hash], hashes = a, append(hashes, hash)
		}
	}
	if len(hashes) == 0 {
		return out, nil
	}
	d := tx.Dialect()
	found, err := store.Select[string](ctx, tx, `SELECT hash FROM suppressions WHERE `+d.In("hash", 1), d.Strings(hashes))
	for _, hash := range found {
		out[of[hash]] = true
	}
	return out, err
}
