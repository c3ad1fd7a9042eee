package pipeline

import (
	"context"
	"errors"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// LoadStages reads all stages in their order.
func LoadStages(ctx context.Context, tx store.Tx) (Stages, error) {
	rows, err := store.Select[Stage](ctx, tx, `SELECT code, position, probability_percent, forecast_category, label_ja,
		label_en, needs_amount, needs_close_date, can_win FROM stages ORDER BY position`)
	if err == nil && len(rows) == 0 {
		err = errors.New("pipeline: there are no stages")
	}
	return rows, err
}

// LoadReasons reads all close reasons by code.
func LoadReasons(ctx context.Context, tx store.Tx) (Reasons, error) {
	return store.Select[Reason](ctx, tx, `SELECT code, label_ja, label_en, action, wake_after_days FROM close_reasons
		ORDER BY code`)
}
