// Package history keeps changes of state: appended once, never rewritten.
//
// Each kind of thing has a table of its own, and all have the same columns: the id of the thing, seq, from_state, to_state,
// at, actor_kind, actor_id, actor_name, reason, note, time_in_from_us.
package history

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Transition is one change of state. From is empty for the first.
type Transition[S ~string] struct {
	From, To     S
	At           time.Time
	Actor        access.Actor
	Reason, Note string
	// InFrom is how long it was in From.
	InFrom time.Duration
	// Extra are the values of Table.Extra.
	Extra []string
}

// Proto is the transition as the contract writes it.
func (t Transition[S]) Proto() *typev1.Transition {
	p := &typev1.Transition{
		From: string(t.From), To: string(t.To), At: timestamppb.New(t.At), Actor: t.Actor.Proto(), Reason: t.Reason, Note: t.Note,
	}
	if t.From != "" {
		p.TimeInFrom = durationpb.New(t.InFrom)
	}
	return p
}

// Protos are transitions as the contract writes them.
func Protos[S ~string](list []Transition[S]) []*typev1.Transition {
	var out []*typev1.Transition
	for _, t := range list {
		out = append(out, t.Proto())
	}
	return out
}

// Entry is a transition at its place in the history of a thing.
type Entry[S ~string] struct {
	Seq int64
	Transition[S]
}

// Table is where the transitions of one kind of thing are.
type Table[S ~string] struct {
	// Name of the table, and of its column with the id of the thing.
	Name, Key string
	// Extra are columns of text that this table has besides.
	Extra []string
}

var common = []string{
	"seq", "from_state", "to_state", "at", "actor_kind", "actor_id", "actor_name", "reason", "note", "time_in_from_us",
}

// Columns are the columns in the order of Row, to copy many rows.
func (t Table[S]) Columns() []string {
	return slices.Concat([]string{t.Key}, common, t.Extra)
}

// Row is the values of a row. Seq orders the transitions of one thing: its version after the change, or a count.
func (t Table[S]) Row(id string, seq int64, tr Transition[S]) []any {
	row := []any{
		id, seq, string(tr.From), string(tr.To), tr.At, string(tr.Actor.Kind), tr.Actor.ID, tr.Actor.Name, tr.Reason, tr.Note,
		tr.InFrom.Microseconds(),
	}
	for _, v := range tr.Extra {
		row = append(row, v)
	}
	return row
}

// Append queues a transition of the thing with the id; see Row for seq.
func (t Table[S]) Append(tx store.Tx, id string, seq int64, tr Transition[S]) {
	tx.Append(t.Name, t.Columns(), t.Row(id, seq, tr)...)
}

// List reads the transitions of the thing with the id, oldest first.
func (t Table[S]) List(ctx context.Context, tx store.Tx, id string) ([]Transition[S], error) {
	entries, err := t.read(ctx, tx, " ORDER BY seq", id)
	if err != nil {
		return nil, err
	}
	list := make([]Transition[S], len(entries))
	for i, e := range entries {
		list[i] = e.Transition
	}
	return list, nil
}

// Page reads at most limit transitions of the thing with the id behind the seq, oldest first.
func (t Table[S]) Page(ctx context.Context, tx store.Tx, id string, after int64, limit int) ([]Entry[S], error) {
	return t.read(ctx, tx, " AND seq > $2 ORDER BY seq LIMIT $3", id, after, limit)
}

func (t Table[S]) read(ctx context.Context, tx store.Tx, tail string, args ...any) ([]Entry[S], error) {
	columns := strings.Join(t.Columns()[1:], ", ")
	rows, err := tx.Query(ctx, "SELECT "+columns+" FROM "+t.Name+" WHERE "+t.Key+" = $1"+tail, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Entry[S]
	for rows.Next() {
		var e Entry[S]
		var micros int64
		into := []any{
			&e.Seq, &e.From, &e.To, &e.At, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Reason, &e.Note, &micros,
		}
		if len(t.Extra) > 0 {
			e.Extra = make([]string, len(t.Extra))
		}
		for i := range e.Extra {
			into = append(into, &e.Extra[i])
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		e.InFrom = time.Duration(micros) * time.Microsecond
		list = append(list, e)
	}
	return list, rows.Err()
}
