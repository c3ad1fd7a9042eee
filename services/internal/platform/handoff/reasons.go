package handoff

import (
	"context"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

type reasonRow struct {
	Kind, Code       string
	LabelJa, LabelEn string
	Action           string
	WakeAfterDays    int64
	CountsAgainst    bool
}

const reasonColumns = `kind, code, label_ja, label_en, action, wake_after_days, counts_against`

func (r reasonRow) proto() *handoffv1.Reason {
	return &handoffv1.Reason{
		Code: r.Code, Kind: kindNamed(r.Kind), Label: &typev1.Label{Ja: r.LabelJa, En: r.LabelEn},
		Action: actionNamed(r.Action), WakeAfterDays: int32(r.WakeAfterDays), CountsAgainstSender: r.CountsAgainst,
	}
}

// Reason looks up what a reason code of a kind means. It fails with REASON_UNKNOWN, which names the codes that there are.
func (e *Engine) Reason(ctx context.Context, tx store.Tx, kind handoffv1.Kind, code string) (*handoffv1.Reason, error) {
	return reasonFor(ctx, tx, kind, code)
}

// reasonFor is the reason of a code, which must apply to the kind.
func reasonFor(ctx context.Context, tx store.Tx, kind handoffv1.Kind, code string) (*handoffv1.Reason, error) {
	rows, err := store.Select[reasonRow](ctx, tx,
		`SELECT `+reasonColumns+` FROM handoff_reasons WHERE kind = $1 ORDER BY code`, kindName(kind))
	if err != nil {
		return nil, err
	}
	known := make([]string, len(rows))
	for i, r := range rows {
		if r.Code == code {
			return r.proto(), nil
		}
		known[i] = r.Code
	}
	return nil, problem.ReasonUnknown(code, kindName(kind), known...)
}

// ListReasons implements HandoffDeskService.
func (d *desk) ListReasons(ctx context.Context, req *handoffv1.ListReasonsRequest) (*handoffv1.ListReasonsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var kind, code string
	if _, err := query.Decode(req.GetPageToken(), &kind, &code); err != nil {
		return nil, err
	}
	only := ""
	if req.GetKind() != handoffv1.Kind_KIND_UNSPECIFIED {
		only = kindName(req.GetKind())
	}
	rows, err := store.Read(ctx, d.e.cfg.DB, func(tx store.Tx) ([]reasonRow, error) {
		return store.Select[reasonRow](ctx, tx, `SELECT `+reasonColumns+` FROM handoff_reasons
			WHERE (kind > $1 OR kind = $1 AND code > $2) AND ($3 = '' OR kind = $3) ORDER BY kind, code LIMIT $4`,
			kind, code, only, int64(limit)+1)
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(last reasonRow) string { return query.Encode(last.Kind, last.Code) })
	resp := &handoffv1.ListReasonsResponse{NextPageToken: next}
	for _, r := range rows {
		resp.Reasons = append(resp.Reasons, r.proto())
	}
	return resp, nil
}
