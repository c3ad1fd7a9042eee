package handoff

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

var tracer = otel.Tracer("github.com/tasuki-project/tasuki/services/internal/platform/handoff")

// BatchOffer implements HandoffReceiverService: all in one transaction, and each in its own when one of them is refused.
func (v *receiver) BatchOffer(ctx context.Context, req *handoffv1.BatchOfferRequest) (*handoffv1.BatchOfferResponse, error) {
	seen := map[string]bool{}
	for _, o := range req.GetOffers() {
		if seen[o.GetHandoff().GetId()] {
			return nil, problem.Invalid(problem.Field("offers", "must not have a handoff twice"))
		}
		seen[o.GetHandoff().GetId()] = true
	}
	ctx = store.Alone(store.WithoutGuard(ctx)) // it is safe to repeat by itself, and shares a transaction by itself
	resp := &handoffv1.BatchOfferResponse{}
	taken, err := v.takeAll(ctx, req.GetOffers())
	for i, o := range req.GetOffers() {
		outcome := &handoffv1.OfferOutcome{}
		if err == nil {
			outcome.Outcome = &handoffv1.OfferOutcome_Handoff{Handoff: taken[i]}
		} else if err := ctx.Err(); err != nil {
			return nil, err
		} else if h, err := v.takeAlone(ctx, o); err != nil {
			outcome.Outcome = &handoffv1.OfferOutcome_Error{Error: problem.Status(ctx, err).Proto()}
		} else {
			outcome.Outcome = &handoffv1.OfferOutcome_Handoff{Handoff: h}
		}
		resp.Outcomes = append(resp.Outcomes, outcome)
	}
	return resp, nil
}

// takeAll takes all offers into the ledger, or none.
func (v *receiver) takeAll(ctx context.Context, offers []*handoffv1.BatchedOffer) ([]*handoffv1.Handoff, error) {
	ids, arriving := make([]string, len(offers)), make([]*handoffv1.Handoff, len(offers))
	for i, o := range offers {
		if _, err := v.accepts(o.GetHandoff()); err != nil {
			return nil, err
		}
		ids[i], arriving[i] = o.GetHandoff().GetId(), o.GetHandoff()
	}
	// Two calls lock what they have in common in the same order.
	sorted := slices.SortedFunc(slices.Values(offers), func(a, b *handoffv1.BatchedOffer) int {
		return cmp.Compare(a.GetHandoff().GetId(), b.GetHandoff().GetId())
	})
	return store.Write(ctx, v.e.cfg.DB, func(tx store.Tx) ([]*handoffv1.Handoff, error) {
		for _, o := range sorted {
			lockOffer(tx, o.GetHandoff())
		}
		found, err := findAll(ctx, tx, ids, tx.Dialect().ForUpdate())
		if err != nil {
			return nil, err
		}
		taken, err := v.e.taken(ctx, tx, arriving...)
		if err != nil {
			return nil, err
		}
		for i, o := range offers {
			ctx, span := resume(ctx, o)
			taken[i], err = v.take(ctx, tx, v.e.kind(taken[i].GetKind(), In), found[ids[i]], taken[i])
			span.End()
			if err != nil {
				return nil, err
			}
		}
		return taken, nil
	})
}

func (v *receiver) takeAlone(ctx context.Context, o *handoffv1.BatchedOffer) (*handoffv1.Handoff, error) {
	ctx, span := resume(ctx, o)
	defer span.End()
	return v.offer(ctx, o.GetHandoff())
}

// resume goes on with the trace of the offer instead of that of the call.
func resume(ctx context.Context, o *handoffv1.BatchedOffer) (context.Context, trace.Span) {
	return telemetry.Resume(ctx, tracer, "handoff received", o.GetTraceparent(), time.Now(),
		trace.WithAttributes(attribute.String("handoff.kind", kindName(o.GetHandoff().GetKind()))))
}
