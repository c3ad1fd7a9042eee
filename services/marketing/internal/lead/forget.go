package lead

import (
	"context"
	"slices"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// erasedReason is why leads of people who were erased are put away.
const erasedReason = "ERASED"

// Forget ends the leads of somebody who is erased, wherever they stand; a customer stays one. The rest of an erasure is
// people.Book's.
func (d *Desk) Forget(ctx context.Context, tx store.Tx, personID string) error {
	leads, err := selectLeads(ctx, tx, selectLead+" WHERE l.person_id = $1 ORDER BY l.id"+forUpdate(tx.Dialect()), personID)
	if err != nil {
		return err
	}
	now := d.Clock.Now()
	for _, l := range leads {
		ended := l.PutAway(erasedReason, "", now)
		if !ended && slices.Contains(commands[Disqualify], l.State) {
			if err := l.Disqualify(access.System("erasure"), erasedReason, "", now); err != nil {
				return err
			}
			ended = true
		}
		if err := d.settle(ctx, tx, l, ended); err != nil {
			return err
		}
	}
	return nil
}
