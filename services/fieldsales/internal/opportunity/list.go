package opportunity

import (
	"context"

	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Filter says which deals a list shows; empty fields do not matter.
type Filter struct {
	States                             []string
	Stage, Owner, AccountID, JourneyID string
}

// List reads at most limit deals, the newest first.
func List(ctx context.Context, tx store.Tx, f Filter, after *page.After, limit int) ([]*Opportunity, error) {
	var w store.Where
	w.In(tx.Dialect(), "state", f.States)
	if f.Stage != "" {
		w.And("stage = ?", f.Stage)
	}
	if f.Owner != "" {
		w.And("owner = ?", f.Owner)
	}
	if f.AccountID != "" { // any id under which the company was met
		id := w.Arg(f.AccountID)
		w.And("account_id = COALESCE((SELECT l.account_id FROM account_aliases AS l WHERE l.id = " + id + "), " + id + ")")
	}
	if f.JourneyID != "" {
		w.And("journey_id = ?", f.JourneyID)
	}
	if after != nil {
		w.And("(created_at, id) < (?, ?)", after.At, after.ID)
	}
	sql, args := w.Select(selected, `ORDER BY created_at DESC, id DESC LIMIT ?`, limit)
	rows, err := store.Select[row](ctx, tx, sql, args...)
	if err != nil {
		return nil, err
	}
	out := make([]*Opportunity, len(rows))
	for i, r := range rows {
		out[i] = r.opportunity()
	}
	return out, nil
}
