package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

func (p *policy) proto() *handoffv1.Policy {
	out := &handoffv1.Policy{
		Code: p.Code, Kind: kindNamed(p.Kind), Hot: p.Hot, Calendar: p.Calendar,
		AcceptWithinMinutes: int32(p.AcceptWithin), FirstActionWithinMinutes: int32(p.FirstActionWithin),
		GapsWithinMinutes: int32(p.GapsWithin), UndeliveredAfterMinutes: int32(p.UndeliveredAfter), Etag: etag.Format(p.Version),
	}
	var zone struct{ Zone string }
	if json.Unmarshal([]byte(p.Config), &zone) == nil { // it was read as a calendar before
		out.CalendarZone = zone.Zone
	}
	for _, s := range p.steps {
		out.Steps = append(out.Steps, &handoffv1.PolicyStep{
			Clock: s.Clock.proto(), AfterMinutes: int32(s.After), Step: stepNamed(s.Step), EscalateTo: s.To,
		})
	}
	return out
}

func policyByCode(ctx context.Context, tx store.Tx, code string) (*policy, error) {
	row, err := store.Get[policyRow](ctx, tx, selectPolicies+` WHERE p.code = $1`, code)
	if errors.Is(err, store.ErrNoRows) {
		return nil, problem.NotFound("policy", code)
	}
	if err != nil {
		return nil, err
	}
	return row.read()
}

// ListPolicies implements HandoffDeskService.
func (d *desk) ListPolicies(ctx context.Context, req *handoffv1.ListPoliciesRequest) (*handoffv1.ListPoliciesResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after, only string
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	if req.GetKind() != handoffv1.Kind_KIND_UNSPECIFIED {
		only = kindName(req.GetKind())
	}
	rows, err := store.Read(ctx, d.e.cfg.DB, func(tx store.Tx) ([]policyRow, error) {
		return store.Select[policyRow](ctx, tx, selectPolicies+` WHERE p.code > $1 AND ($2 = '' OR p.kind = $2) ORDER BY p.code LIMIT $3`,
			after, only, int64(limit)+1)
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(last policyRow) string { return query.Encode(last.Code) })
	resp := &handoffv1.ListPoliciesResponse{NextPageToken: next}
	for _, row := range rows {
		p, err := row.read()
		if err != nil {
			return nil, err
		}
		resp.Policies = append(resp.Policies, p.proto())
	}
	return resp, nil
}

// GetPolicy implements HandoffDeskService.
func (d *desk) GetPolicy(ctx context.Context, req *handoffv1.GetPolicyRequest) (*handoffv1.Policy, error) {
	return store.Read(ctx, d.e.cfg.DB, func(tx store.Tx) (*handoffv1.Policy, error) {
		p, err := policyByCode(ctx, tx, req.GetCode())
		if err != nil {
			return nil, err
		}
		return p.proto(), nil
	})
}

// UpdatePolicy implements HandoffDeskService.
func (d *desk) UpdatePolicy(ctx context.Context, req *handoffv1.UpdatePolicyRequest) (*handoffv1.Policy, error) {
	want := req.GetPolicy()
	steps, err := stepsOf(want)
	if err != nil {
		return nil, err
	}
	return store.Write(ctx, d.e.cfg.DB, func(tx store.Tx) (*handoffv1.Policy, error) {
		store.Lock(tx, "handoff-policy:"+want.GetCode())
		p, err := policyByCode(ctx, tx, want.GetCode())
		if err != nil {
			return nil, err
		}
		if err := etag.Match(want.GetEtag()).Check(p.Version); err != nil {
			return nil, err
		}
		if k := want.GetKind(); k != handoffv1.Kind_KIND_UNSPECIFIED && kindName(k) != p.Kind || want.GetHot() != p.Hot {
			return nil, problem.Invalid(problem.Field("policy.kind", "and hot do not change: they are "+p.Kind+" and "+fmt.Sprint(p.Hot)))
		}
		known, err := store.Get[int64](ctx, tx, `SELECT COUNT(*) FROM handoff_calendars WHERE name = $1`, want.GetCalendar())
		if err != nil {
			return nil, err
		}
		if known == 0 {
			return nil, problem.Invalid(problem.Field("policy.calendar", "is no calendar of this department"))
		}
		forgetPolicies(tx)
		tx.Queue(`UPDATE handoff_policies SET calendar = $2, accept_within = $3, first_action_within = $4, gaps_within = $5,
			undelivered_after = $6, steps = $7, version = version + 1 WHERE code = $1`, want.GetCode(), want.GetCalendar(),
			int64(want.GetAcceptWithinMinutes()), int64(want.GetFirstActionWithinMinutes()), int64(want.GetGapsWithinMinutes()),
			int64(want.GetUndeliveredAfterMinutes()), steps)
		if p, err = policyByCode(ctx, tx, want.GetCode()); err != nil {
			return nil, err
		}
		return p.proto(), nil
	})
}

// stepsOf are the steps of a policy as the table stores them.
func stepsOf(p *handoffv1.Policy) (string, error) {
	steps := make([]policyStep, 0, len(p.GetSteps()))
	for i, s := range p.GetSteps() {
		path := fmt.Sprintf("policy.steps[%d]", i)
		step := policyStep{
			Clock: clockName(strings.TrimPrefix(s.GetClock().String(), "CLOCK_")), After: int64(s.GetAfterMinutes()),
			Step: strings.TrimPrefix(s.GetStep().String(), "BREACH_STEP_"), To: s.GetEscalateTo(),
		}
		switch {
		case step.Step == expire && step.Clock != acceptClock:
			return "", problem.Invalid(problem.Field(path, "EXPIRE goes with the accept clock only"))
		case (step.Step == escalate) != (len(step.To) > 0):
			return "", problem.Invalid(problem.Field(path+".escalate_to", "goes with ESCALATE, and only with it"))
		case i > 0 && steps[i-1].Clock == step.Clock && steps[i-1].After > step.After:
			return "", problem.Invalid(problem.Field(path+".after_minutes", "must not be before that of the step above"))
		}
		steps = append(steps, step)
	}
	text, err := json.Marshal(steps)
	if err != nil {
		return "", fmt.Errorf("handoff: %w", err)
	}
	return string(text), nil
}

// CreateReason implements HandoffDeskService.
func (d *desk) CreateReason(ctx context.Context, req *handoffv1.CreateReasonRequest) (*handoffv1.Reason, error) {
	r := req.GetReason()
	if err := sound(r); err != nil {
		return nil, err
	}
	return store.Write(ctx, d.e.cfg.DB, func(tx store.Tx) (*handoffv1.Reason, error) {
		there, err := reasonThere(ctx, tx, r)
		if err != nil {
			return nil, err
		}
		if there {
			return nil, problem.Exists("reason", kindName(r.GetKind())+"/"+r.GetCode())
		}
		tx.Queue(`INSERT INTO handoff_reasons (kind, code, label_ja, label_en, action, wake_after_days, counts_against)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`, reasonArgs(r)...)
		return r, nil
	})
}

// UpdateReason implements HandoffDeskService.
func (d *desk) UpdateReason(ctx context.Context, req *handoffv1.UpdateReasonRequest) (*handoffv1.Reason, error) {
	r := req.GetReason()
	if r.GetKind() != req.GetKind() || r.GetCode() != req.GetCode() {
		return nil, problem.Invalid(problem.Field("reason", "must have the kind and the code of the request"))
	}
	if err := sound(r); err != nil {
		return nil, err
	}
	return store.Write(ctx, d.e.cfg.DB, func(tx store.Tx) (*handoffv1.Reason, error) {
		there, err := reasonThere(ctx, tx, r)
		if err != nil {
			return nil, err
		}
		if !there {
			return nil, problem.NotFound("reason", kindName(r.GetKind())+"/"+r.GetCode())
		}
		tx.Queue(`UPDATE handoff_reasons SET label_ja = $3, label_en = $4, action = $5, wake_after_days = $6, counts_against = $7
			WHERE kind = $1 AND code = $2`, reasonArgs(r)...)
		return r, nil
	})
}

// sound refuses a reason that says too little.
func sound(r *handoffv1.Reason) error {
	switch {
	case r.GetKind() == handoffv1.Kind_KIND_UNSPECIFIED:
		return problem.Invalid(problem.Field("reason.kind", "is required"))
	case r.GetKind() == handoffv1.Kind_KIND_CLOSED_WON:
		return problem.Invalid(problem.Field("reason.kind", "cannot be CLOSED_WON, which is never refused"))
	case r.GetLabel().GetJa() == "" || r.GetLabel().GetEn() == "":
		return problem.Invalid(problem.Field("reason.label", "needs a text in both languages"))
	case r.GetAction() == handoffv1.Reason_ACTION_UNSPECIFIED:
		return problem.Invalid(problem.Field("reason.action", "is required"))
	case r.GetWakeAfterDays() != 0 && r.GetAction() != handoffv1.Reason_ACTION_RECYCLE:
		return problem.Invalid(problem.Field("reason.wake_after_days", "is for reasons that recycle only"))
	}
	return nil
}

func reasonArgs(r *handoffv1.Reason) []any {
	return []any{
		kindName(r.GetKind()), r.GetCode(), r.GetLabel().GetJa(), r.GetLabel().GetEn(),
		strings.TrimPrefix(r.GetAction().String(), "ACTION_"), int64(r.GetWakeAfterDays()), r.GetCountsAgainstSender(),
	}
}

// reasonThere reports whether there is a reason of this kind and code. Who asks is alone with it.
func reasonThere(ctx context.Context, tx store.Tx, r *handoffv1.Reason) (bool, error) {
	store.Lock(tx, "handoff-reason:"+kindName(r.GetKind())+"/"+r.GetCode())
	n, err := store.Get[int64](ctx, tx, `SELECT COUNT(*) FROM handoff_reasons WHERE kind = $1 AND code = $2`, kindName(r.GetKind()), r.GetCode())
	return n > 0, err
}

type queueRow struct{ Code, LabelJa, LabelEn, Kind string }

// ListQueues implements HandoffDeskService.
func (d *desk) ListQueues(ctx context.Context, req *handoffv1.ListQueuesRequest) (*handoffv1.ListQueuesResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	rows, err := store.Read(ctx, d.e.cfg.DB, func(tx store.Tx) ([]queueRow, error) {
		return store.Select[queueRow](ctx, tx, `SELECT code, label_ja, label_en, kind FROM handoff_queues WHERE code > $1 ORDER BY code LIMIT $2`,
			after, int64(limit)+1)
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(last queueRow) string { return query.Encode(last.Code) })
	resp := &handoffv1.ListQueuesResponse{NextPageToken: next}
	for _, q := range rows {
		resp.Queues = append(resp.Queues, &handoffv1.Queue{Code: q.Code, Label: &typev1.Label{Ja: q.LabelJa, En: q.LabelEn}, Kind: kindNamed(q.Kind)})
	}
	return resp, nil
}

// CreateQueue implements HandoffDeskService.
func (d *desk) CreateQueue(ctx context.Context, req *handoffv1.CreateQueueRequest) (*handoffv1.Queue, error) {
	q := req.GetQueue()
	if q.GetLabel().GetJa() == "" || q.GetLabel().GetEn() == "" {
		return nil, problem.Invalid(problem.Field("queue.label", "needs a text in both languages"))
	}
	kind := ""
	if q.GetKind() != handoffv1.Kind_KIND_UNSPECIFIED {
		kind = kindName(q.GetKind())
	}
	return store.Write(ctx, d.e.cfg.DB, func(tx store.Tx) (*handoffv1.Queue, error) {
		store.Lock(tx, "handoff-queue:"+q.GetCode())
		n, err := store.Get[int64](ctx, tx, `SELECT COUNT(*) FROM handoff_queues WHERE code = $1`, q.GetCode())
		if err != nil {
			return nil, err
		}
		if n > 0 {
			return nil, problem.Exists("queue", q.GetCode())
		}
		tx.Queue(`INSERT INTO handoff_queues (code, label_ja, label_en, kind) VALUES ($1, $2, $3, $4)`,
			q.GetCode(), q.GetLabel().GetJa(), q.GetLabel().GetEn(), kind)
		return q, nil
	})
}
