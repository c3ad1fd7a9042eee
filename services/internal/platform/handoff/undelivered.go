package handoff

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// failed notes that an offer could not be delivered, where people see it, and raises the alarm once that has lasted longer
// than the policy allows. Who reads the handoff meanwhile has the same version: nothing was decided.
func (e *Engine) failed(ctx context.Context, sent *handoffv1.Handoff, why string) error {
	ctx = context.WithoutCancel(ctx) // the failure may be that the time was over
	_, err := store.Write(ctx, e.cfg.DB, func(tx store.Tx) (struct{}, error) {
		r, err := find(ctx, tx, sent.GetId(), true)
		if err != nil || r == nil || r.h.GetAttempt() != sent.GetAttempt() || r.state() != Offered || !undelivered(r) {
			return struct{}{}, err
		}
		now := e.cfg.Clock.Now()
		p := r.h.GetDeliveryProblem()
		if p == nil {
			p = &handoffv1.DeliveryProblem{Since: timestamppb.New(now)}
			r.h.DeliveryProblem = p
		}
		p.Attempts++
		p.LastError, p.LastTriedAt = why, timestamppb.New(now)
		policy, err := policyFor(ctx, tx, r.h)
		if err != nil {
			return struct{}{}, err
		}
		alarm := policy != nil && policy.UndeliveredAfter > 0 && p.GetAlarmedAt() == nil &&
			now.Sub(p.GetSince().AsTime()) >= minutes(policy.UndeliveredAfter)
		if alarm {
			p.AlarmedAt = p.GetLastTriedAt()
		}
		body, err := proto.Marshal(r.h)
		if err != nil {
			return struct{}{}, fmt.Errorf("handoff: %w", err)
		}
		tx.Queue(`UPDATE handoffs SET body = $2 WHERE id = $1`, r.h.GetId(), body)
		if alarm {
			e.cfg.Logger.WarnContext(ctx, "handoff: cannot be delivered", "handoff_id", r.h.GetId(), "to", r.h.GetTo(), "since", p.GetSince().AsTime())
			return struct{}{}, e.tell(ctx, tx, r, &handoffv1.HandoffUndelivered{Handoff: r.h})
		}
		return struct{}{}, nil
	})
	if err != nil {
		return fmt.Errorf("handoff: note the failed delivery: %w", err)
	}
	return nil
}
