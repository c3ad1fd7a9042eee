package idempotency

import (
	"context"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Forget removes the kept answers in which the bytes occur, for instance an id or a mail address: the erasure of a person
// does so. A command that is repeated with the key of such an answer runs again. It reads the whole table, which has the
// answers of one day.
func Forget(ctx context.Context, tx store.Tx, needle []byte) (removed int64, err error) {
	if len(needle) == 0 {
		return 0, nil
	}
	return tx.Exec(ctx, `DELETE FROM idempotency_keys WHERE `+tx.Dialect().HasBytes("response", 1), needle)
}
