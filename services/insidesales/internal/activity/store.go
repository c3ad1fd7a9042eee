package activity

import (
	"context"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const columns = `id, work_item_id, journey_id, person_id, kind, direction, result, note, occurred_at,
	actor_kind, actor_id, actor_name, created_at`

type row struct {
	ID, WorkItemID, JourneyID, PersonID string
	Kind, Direction, Result, Note       string
	OccurredAt                          time.Time
	ActorKind, ActorID, ActorName       string
	CreatedAt                           time.Time
}

func (r row) activity() Activity {
	return Activity{
		ID: r.ID, WorkItemID: r.WorkItemID, JourneyID: r.JourneyID, PersonID: r.PersonID,
		Kind: Kind(r.Kind), Direction: Direction(r.Direction), Result: Result(r.Result), Note: r.Note,
		OccurredAt: r.OccurredAt, CreatedAt: r.CreatedAt,
		Actor: access.Actor{Kind: access.Kind(r.ActorKind), ID: r.ActorID, Name: r.ActorName},
	}
}

// Insert queues a new activity.
func Insert(tx store.Tx, a Activity) {
	tx.Queue(`INSERT INTO activities (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		a.ID, a.WorkItemID, a.JourneyID, a.PersonID, string(a.Kind), string(a.Direction), string(a.Result), a.Note,
		a.OccurredAt, string(a.Actor.Kind), a.Actor.ID, a.Actor.Name, a.CreatedAt)
}

// List reads at most limit activities of a work item, the last recorded first.
func List(ctx context.Context, tx store.Tx, workItemID string, after *page.After, limit int) ([]Activity, error) {
	var w store.Where
	w.And(`work_item_id = ?`, workItemID)
	if after != nil {
		w.And(`(created_at, id) < (?, ?)`, after.At, after.ID)
	}
	sql, args := w.Select(`SELECT `+columns+` FROM activities`, `ORDER BY created_at DESC, id DESC LIMIT ?`, limit)
	rows, err := store.Select[row](ctx, tx, sql, args...)
	if err != nil {
		return nil, err
	}
	out := make([]Activity, len(rows))
	for i, r := range rows {
		out[i] = r.activity()
	}
	return out, nil
}
