package people

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Types are the events of marketing that Follow has a use for.
var Types = []string{"tasuki.party.v1.ConsentChanged", "tasuki.party.v1.PersonMerged", "tasuki.party.v1.ErasureRequested"}

// Follow takes in what marketing tells of people. It is an event.Handler.
func (b *Book) Follow(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
	data, err := ev.GetData().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("people: event %s: %w", ev.GetId(), err)
	}
	switch e := data.(type) {
	case *partyv1.ConsentChanged:
		return b.consentChanged(ctx, tx, e, ev.GetSubjectVersion())
	case *partyv1.PersonMerged:
		if _, err := b.Move(ctx, tx, e.GetMergedId(), e.GetSurvivorId()); err != nil {
			return err
		}
		b.Redirect(tx, e.GetMergedId(), e.GetSurvivorId())
		tx.Queue(`DELETE FROM person_consents WHERE person_id = $1`, e.GetMergedId())
		b.keep(tx, e.GetSurvivorId(), ev.GetSubjectVersion(), ConsentsOf(e.GetConsents()))
	case *partyv1.ErasureRequested:
		erased, err := b.Erase(ctx, tx, e.GetErasureId(), e.GetPersonIds()...)
		if err != nil {
			return err
		}
		return b.Events.Append(ctx, tx, event.Event{
			Subject: "erasure/" + e.GetErasureId(), SubjectVersion: 1, Data: &partyv1.ErasureAcknowledged{
				ErasureId: e.GetErasureId(), PersonId: e.GetPersonId(), Department: b.Department, Erased: erased,
			},
		})
	}
	return nil
}

func (b *Book) consentChanged(ctx context.Context, tx store.Tx, e *partyv1.ConsentChanged, version int64) error {
	id, err := b.Resolve(ctx, tx, e.GetPersonId())
	if err != nil {
		return err
	}
	if gone, err := b.Erased(ctx, tx, id); err != nil || gone || id != e.GetPersonId() {
		return err // replayed late: the person is no more, or its merge has told more
	}
	b.keep(tx, id, version, ConsentsOf(e.GetConsents()))
	return nil
}

// Moved is a row that a merge moves.
type Moved struct{ Table, Row, Why string }

// Moves are the rows of the department that a merge would move to the survivor, and changes nothing.
func (b *Book) Moves(ctx context.Context, tx store.Tx, merged string) ([]Moved, error) {
	var moves []Moved
	for _, table := range b.Tables {
		if table.Person == "" || table.Stays {
			continue
		}
		keys := make([]string, len(table.Key))
		for i, k := range table.Key {
			keys[i] = "CAST(" + k + " AS TEXT)"
		}
		rows, err := store.Select[string](ctx, tx, `SELECT `+strings.Join(keys, ` || '/' || `)+` FROM `+table.Name+` WHERE `+
			table.Person+` = $1 ORDER BY 1`, merged)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			moves = append(moves, Moved{table.Name, row, "its " + table.Person + " is the merged person"})
		}
	}
	handoffs, err := handoff.Involving(ctx, tx, []string{merged}, nil)
	for _, id := range handoffs {
		moves = append(moves, Moved{"handoffs", id, "it hands the merged person over"})
	}
	if err != nil {
		return nil, err
	}
	redirects, err := b.Merged(ctx, tx, merged)
	for _, id := range append(redirects, merged) {
		moves = append(moves, Moved{"person_redirects", id, "the id will mean the survivor"})
	}
	return moves, err
}

// Move gives the rows of a merged person to the survivor, and tells how many.
func (b *Book) Move(ctx context.Context, tx store.Tx, merged, survivor string) (moved int64, err error) {
	for _, table := range b.Tables {
		if table.Person == "" || table.Stays {
			continue
		}
		n, err := table.move(ctx, tx, merged, survivor)
		if err != nil {
			return 0, err
		}
		moved += n
	}
	ids, err := handoff.Involving(ctx, tx, []string{merged}, nil)
	if err != nil {
		return 0, err
	}
	n, err := handoff.Rewrite(ctx, tx, ids, func(m proto.Message) bool { return Rename(m, merged, survivor) }, nil)
	return moved + n, err
}

// move gives the rows of one table to the survivor, with the ids inside of documents.
func (t Table) move(ctx context.Context, tx store.Tx, merged, survivor string) (int64, error) {
	renamed := map[string]bool{t.Person: true}
	for _, c := range t.JSON {
		renamed[c] = true
	}
	if t.Unique != "" {
		renamed[t.Unique] = true
	}
	rows, err := read(ctx, tx, t, t.Person+" = $1", []any{merged})
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		args := make([]any, 0, len(r.key)+len(renamed))
		var where, set []string
		for i, k := range t.Key {
			args = append(args, r.key[i])
			where = append(where, k+" = $"+strconv.Itoa(i+1))
		}
		add := func(column, value string) {
			args = append(args, value)
			set = append(set, column+" = $"+strconv.Itoa(len(args)))
		}
		add(t.Person, survivor)
		for _, c := range t.columns() {
			if v := r.values[c]; v != nil && renamed[c] && strings.Contains(*v, merged) {
				add(c, strings.ReplaceAll(*v, merged, survivor))
			}
		}
		if t.Collides {
			taken, err := t.taken(ctx, tx, r, merged, survivor)
			if err != nil {
				return 0, err
			}
			if taken {
				tx.Queue(`DELETE FROM `+t.Name+` WHERE `+strings.Join(where, " AND "), args[:len(r.key)]...)
				continue
			}
		}
		tx.Queue(`UPDATE `+t.Name+` SET `+strings.Join(set, ", ")+` WHERE `+strings.Join(where, " AND "), args...)
	}
	return int64(len(rows)), nil
}

// taken tells whether the row that a move would make is there already.
func (t Table) taken(ctx context.Context, tx store.Tx, r record, merged, survivor string) (bool, error) {
	var where []string
	var args []any
	changed := false
	for i, k := range t.Key {
		value := r.key[i]
		if value == merged {
			value, changed = survivor, true
		}
		args = append(args, value)
		where = append(where, k+" = $"+strconv.Itoa(i+1))
	}
	if !changed {
		return false, nil
	}
	n, err := store.Get[int64](ctx, tx, `SELECT count(*) FROM `+t.Name+` WHERE `+strings.Join(where, " AND "), args...)
	return n > 0, err
}

// Intake is what a department makes of handoffs that arrive: the ids of people who were merged become those of the
// survivors, and people who were erased are left with nothing but their ids; the consents of the others are kept. It is the
// Intake of the handoff engine.
func (b *Book) Intake(ctx context.Context, tx store.Tx, arriving ...*handoffv1.Handoff) error {
	var ids []string
	for _, h := range arriving {
		ids = append(ids, peopleIn(h)...)
	}
	if len(ids) == 0 {
		return nil
	}
	fates, err := fatesOf(ctx, tx, ids)
	if err != nil {
		return err
	}
	var forgotten []string
	for _, f := range fates {
		if f.Survivor == "" {
			forgotten = append(forgotten, f.PersonID)
		}
	}
	for _, h := range arriving {
		if len(forgotten) > 0 {
			facts := NewFacts(forgotten...)
			facts.LearnProto(h)
			facts.CutProto(h)
		}
		for _, f := range fates {
			if f.Survivor != "" {
				Rename(h, f.PersonID, f.Survivor)
			}
		}
		if !slices.Contains(forgotten, h.GetPersonId()) {
			b.keepHanded(tx, h.GetPersonId(), ConsentsOf(h.GetPayload().GetMql().GetConsents()))
		}
	}
	return nil
}

// fate is what has become of a person; without a survivor the person was erased.
type fate struct{ PersonID, Survivor string }

func fatesOf(ctx context.Context, tx store.Tx, ids []string) ([]fate, error) {
	where, args := in("person_id", ids)
	if len(ids) > 4 { // one text for all lengths
		d := tx.Dialect()
		where, args = d.In("person_id", 1), []any{d.Strings(ids)}
	}
	return store.Select[fate](ctx, tx, `SELECT person_id, survivor_id AS survivor FROM person_redirects WHERE `+where+`
		UNION ALL SELECT person_id, '' FROM person_erasures WHERE `+where, args...)
}
