package handoff

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// payloadVersion is the version of the payloads' form.
const payloadVersion = 1

// Offer writes an offer as rows of the caller's transaction: ledger, history, event HandoffOffered, and the job that delivers
// it. It fails with PAYLOAD_INCOMPLETE when a field of the kind's floor is missing.
func (e *Engine) Offer(ctx context.Context, tx store.Tx, o NewOffer) (*handoffv1.Handoff, error) {
	cfg := e.kind(o.Kind, Out)
	if cfg == nil {
		return nil, fmt.Errorf("handoff: %s does not send %s", e.cfg.Department, kindName(o.Kind))
	}
	to := o.To
	if to == "" {
		to = cfg.To
	}
	if to != cfg.To && !slices.Contains(cfg.AlsoTo, to) {
		return nil, fmt.Errorf("handoff: %s is not sent to %q", kindName(o.Kind), to)
	}
	if o.JourneyID == "" {
		return nil, fmt.Errorf("handoff: %s without a journey", kindName(o.Kind))
	}
	if err := e.enough(cfg, o.Payload); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("handoff: id: %w", err)
	}
	now := e.cfg.Clock.Now()
	h := &handoffv1.Handoff{
		Id: id.String(), Kind: o.Kind, PayloadVersion: payloadVersion, ChainId: o.ChainID, Attempt: 1,
		JourneyId: o.JourneyID, PersonId: o.PersonID, AccountId: o.AccountID,
		From: e.cfg.Department.String(), To: to.String(), Queue: o.Queue,
		State: handoffv1.State_STATE_OFFERED, Delivery: handoffv1.Delivery_DELIVERY_PENDING, OfferedAt: timestamppb.New(now),
		Payload: proto.CloneOf(o.Payload), Completeness: completenessOf(o.Payload, cfg.Required),
		SenderSubject: o.SenderSubject, OfferedBy: access.ActorOf(ctx).Proto(),
	}
	if h.ChainId == "" {
		h.ChainId = h.Id
	}
	r := &entry{side: Out, h: h}
	if err := e.begin(ctx, tx, r, step{at: now, actor: access.ActorOf(ctx)}, &handoffv1.HandoffOffered{Handoff: h}); err != nil {
		return nil, err
	}
	if err := e.send(ctx, tx, h, false); err != nil {
		return nil, err
	}
	return proto.CloneOf(h), nil
}

// begin writes a new row with its first transition.
func (e *Engine) begin(ctx context.Context, tx store.Tx, r *entry, s step, data proto.Message) error {
	if err := r.save(tx, e.cfg.Clock.Now()); err != nil {
		return err
	}
	r.saveTransition(ctx, tx, s)
	return e.tell(ctx, tx, r, data)
}

// enough refuses a payload that lacks what the receiver cannot begin without.
func (e *Engine) enough(cfg *KindConfig, p *handoffv1.Payload) error {
	if payloadKind(p) != cfg.Kind {
		return problem.Invalid(problem.Field("payload", "must be that of kind "+kindName(cfg.Kind)))
	}
	if gone := missing(p, cfg.Floor); len(gone) > 0 {
		return problem.PayloadIncomplete(kindName(cfg.Kind), gone...)
	}
	return nil
}

// send leaves the job that delivers the present attempt; again also when it was delivered before.
func (e *Engine) send(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, again bool) error {
	return e.cfg.Jobs.Insert(ctx, tx, deliverArgs{HandoffID: h.GetId(), Attempt: h.GetAttempt(), To: h.GetTo(), Again: again}, jobs.Opts{})
}
