package handoff

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// ListReceived implements HandoffReceiverService.
func (v *receiver) ListReceived(ctx context.Context, req *handoffv1.ListReceivedRequest) (*handoffv1.ListReceivedResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, until := req.GetAfterId(), req.GetUntilId()
	if after == "" {
		after = beforeAll
	}
	if until == "" {
		until = afterAll
	}
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	return store.Read(ctx, v.e.cfg.DB, func(tx store.Tx) (*handoffv1.ListReceivedResponse, error) {
		rows, err := store.Select[handoffRow](ctx, tx, `SELECT side, version, body FROM handoffs WHERE side = 'IN' AND from_department = $1
			AND to_department = $2 AND id > $3 AND id <= $4 ORDER BY id LIMIT $5`,
			req.GetFrom(), v.e.cfg.Department.String(), after, until, int64(limit)+1)
		if err != nil {
			return nil, err
		}
		resp := &handoffv1.ListReceivedResponse{}
		for _, row := range rows {
			r, err := decode(row.Side, row.Version, row.Body)
			if err != nil {
				return nil, err
			}
			r.h.Payload = nil
			resp.Handoffs = append(resp.Handoffs, r.h)
		}
		resp.Handoffs, resp.NextPageToken = page.Cut(resp.Handoffs, limit, func(last *handoffv1.Handoff) string { return query.Encode(last.GetId()) })
		resp.Reasons, err = reasonsOf(ctx, tx, resp.Handoffs)
		return resp, err
	})
}

// reasonsOf are the reasons of refused handoffs, each once.
func reasonsOf(ctx context.Context, tx store.Tx, handoffs []*handoffv1.Handoff) ([]*handoffv1.Reason, error) {
	seen := map[string]bool{}
	var out []*handoffv1.Reason
	for _, h := range handoffs {
		code := h.GetDecision().GetReason()
		if key := kindName(h.GetKind()) + "/" + code; code != "" && !seen[key] {
			seen[key] = true
			reason, err := reasonFor(ctx, tx, h.GetKind(), code)
			if errors.Is(err, problem.ReasonUnknown("", "")) {
				continue // it was chosen when there was such a reason
			}
			if err != nil {
				return nil, err
			}
			out = append(out, reason)
		}
	}
	return out, nil
}

// overtaken takes in a later attempt while the earlier one is not over here. To the sender it is over: it was refused when it
// came first, and a late delivery of it has arrived all the same. Undecided, it gives way to the new attempt; what was
// decided stands for the new attempt, and is told again.
func (e *Engine) overtaken(ctx context.Context, tx store.Tx, cfg *KindConfig, r *entry, sent *handoffv1.Handoff) (*handoffv1.Handoff, error) {
	if err := e.enough(cfg, sent.GetPayload()); err != nil {
		return nil, err
	}
	if r.state() == Offered {
		_, err := e.apply(event.WithCause(ctx, sent.GetId()), tx, r, change{
			command: Return, note: "a later attempt takes its place", by: access.ActorFromProto(sent.GetOfferedBy()),
			hook:  hooked(ctx, tx, cfg.OnReturned),
			event: func(h *handoffv1.Handoff) proto.Message { return &handoffv1.HandoffReturned{Handoff: proto.CloneOf(h)} },
		})
		if err != nil {
			return nil, err
		}
		return e.receiveAgain(ctx, tx, cfg, r, sent)
	}
	if err := r.keepAttempt(tx); err != nil {
		return nil, err
	}
	h := r.h
	h.Attempt, h.OfferedAt, h.OfferedBy = sent.GetAttempt(), sent.GetOfferedAt(), sent.GetOfferedBy()
	h.Payload, h.Completeness = sent.GetPayload(), completenessOf(sent.GetPayload(), cfg.Required)
	if err := r.save(tx, e.cfg.Clock.Now()); err != nil {
		return nil, err
	}
	return h, e.retell(event.WithCause(ctx, sent.GetId()), tx, r)
}

// retell tells the decision of a row once more.
func (e *Engine) retell(ctx context.Context, tx store.Tx, r *entry) error {
	switch r.state() {
	case Accepted:
		return e.tell(ctx, tx, r, &handoffv1.HandoffAccepted{Handoff: r.h})
	case Fulfilled:
		if err := e.tell(ctx, tx, r, &handoffv1.HandoffAccepted{Handoff: asAccepted(r.h)}); err != nil {
			return err
		}
		late := dueNow(r.h.GetFirstActionDueAt(), r.h.GetFulfilledAt().AsTime())
		return e.tell(ctx, tx, r, &handoffv1.HandoffFulfilled{Handoff: r.h, Late: late})
	case Recalled:
		return e.tell(ctx, tx, r, &handoffv1.HandoffRecalled{Handoff: r.h})
	case Rejected:
		reason, err := reasonFor(ctx, tx, r.h.GetKind(), r.h.GetDecision().GetReason())
		if err != nil && !errors.Is(err, problem.ReasonUnknown("", "")) {
			return err
		}
		return e.tell(ctx, tx, r, &handoffv1.HandoffRejected{Handoff: r.h, Reason: reason})
	}
	return nil
}
