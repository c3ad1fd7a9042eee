// Package history keeps the changes of state of customers and plans: appended once, never rewritten.
package history

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Transition is one change of state.
type Transition struct {
	From, To     string
	At           time.Time
	Actor        access.Actor
	Reason, Note string
	// InFrom is how long it was in From.
	InFrom time.Duration
}

// Table is where the transitions of one kind of thing are.
type Table struct {
	// Name of the table, and of its column with the id of the thing.
	Name, Key string
}

// Append queues a transition of the thing with the id; version is the thing's after the change.
func (t Table) Append(tx store.Tx, id string, version int64, tr Transition) {
	tx.Queue(`INSERT INTO `+t.Name+` (`+t.Key+`, version, from_state, to_state, at, actor_kind, actor_id, actor_name, reason, note, micros_in_from)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		id, version, tr.From, tr.To, tr.At, string(tr.Actor.Kind), tr.Actor.ID, tr.Actor.Name, tr.Reason, tr.Note, tr.InFrom.Microseconds())
}

// List reads the transitions of the thing with the id, oldest first.
func (t Table) List(ctx context.Context, tx store.Tx, id string) ([]*typev1.Transition, error) {
	rows, err := tx.Query(ctx, `SELECT from_state, to_state, at, actor_kind, actor_id, actor_name, reason, note, micros_in_from
		FROM `+t.Name+` WHERE `+t.Key+` = $1 ORDER BY version`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*typev1.Transition
	for rows.Next() {
		var p typev1.Transition
		var at time.Time
		var actor access.Actor
		var micros int64
		if err := rows.Scan(&p.From, &p.To, &at, &actor.Kind, &actor.ID, &actor.Name, &p.Reason, &p.Note, &micros); err != nil {
			return nil, err
		}
		p.At, p.Actor = timestamppb.New(at), actor.Proto()
		if p.From != "" {
			p.TimeInFrom = durationpb.New(time.Duration(micros) * time.Microsecond)
		}
		list = append(list, &p)
	}
	return list, rows.Err()
}
