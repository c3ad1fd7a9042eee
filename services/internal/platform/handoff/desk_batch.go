package handoff

import (
	"context"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/batch"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// BatchAssignHandoffs implements HandoffDeskService.
func (d *desk) BatchAssignHandoffs(ctx context.Context, req *handoffv1.BatchAssignHandoffsRequest) (*handoffv1.BatchAssignHandoffsResponse, error) {
	return batch.Run(ctx, d.e.cfg.DB, req.GetRequests(), toMany(d.e, Assign, assigning), func(outcomes []batch.Outcome[*handoffv1.Handoff]) *handoffv1.BatchAssignHandoffsResponse {
		return &handoffv1.BatchAssignHandoffsResponse{Outcomes: outcomesProto(outcomes)}
	})
}

// BatchAcceptHandoffs implements HandoffDeskService.
func (d *desk) BatchAcceptHandoffs(ctx context.Context, req *handoffv1.BatchAcceptHandoffsRequest) (*handoffv1.BatchAcceptHandoffsResponse, error) {
	return batch.Run(ctx, d.e.cfg.DB, req.GetRequests(), toMany(d.e, Accept, d.e.accepting), func(outcomes []batch.Outcome[*handoffv1.Handoff]) *handoffv1.BatchAcceptHandoffsResponse {
		return &handoffv1.BatchAcceptHandoffsResponse{Outcomes: outcomesProto(outcomes)}
	})
}

// BatchRejectHandoffs implements HandoffDeskService.
func (d *desk) BatchRejectHandoffs(ctx context.Context, req *handoffv1.BatchRejectHandoffsRequest) (*handoffv1.BatchRejectHandoffsResponse, error) {
	return batch.Run(ctx, d.e.cfg.DB, req.GetRequests(), toMany(d.e, Reject, rejecting), func(outcomes []batch.Outcome[*handoffv1.Handoff]) *handoffv1.BatchRejectHandoffsResponse {
		return &handoffv1.BatchRejectHandoffsResponse{Outcomes: outcomesProto(outcomes)}
	})
}

// toMany gives a command to many handoffs.
func toMany[Q interface{ GetId() string }](e *Engine, c Command, do func(ctx context.Context, req Q) plan) batch.Command[Q, *handoffv1.Handoff] {
	return batch.Command[Q, *handoffv1.Handoff]{
		Prepare: func(ctx context.Context, tx store.Tx, ids []string) (context.Context, error) {
			return e.gather(ctx, tx, ids)
		},
		Do: func(ctx context.Context, tx store.Tx, req Q) (*handoffv1.Handoff, error) {
			return e.perform(ctx, tx, req.GetId(), c, do(ctx, req))
		},
	}
}

func outcomesProto(outcomes []batch.Outcome[*handoffv1.Handoff]) []*handoffv1.HandoffOutcome {
	out := make([]*handoffv1.HandoffOutcome, len(outcomes))
	for i, o := range outcomes {
		out[i] = &handoffv1.HandoffOutcome{Outcome: &handoffv1.HandoffOutcome_Handoff{Handoff: o.Done}}
		if o.Refused != nil {
			out[i].Outcome = &handoffv1.HandoffOutcome_Error{Error: o.Refused}
		}
	}
	return out
}
