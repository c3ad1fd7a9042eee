package handoff

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// receiver implements HandoffReceiverService.
type receiver struct {
	handoffv1.UnimplementedHandoffReceiverServiceServer
	e *Engine
}

// Offer implements HandoffReceiverService.
func (v *receiver) Offer(ctx context.Context, req *handoffv1.OfferRequest) (*handoffv1.Handoff, error) {
	return v.offer(ctx, req.GetHandoff())
}

func (v *receiver) offer(ctx context.Context, sent *handoffv1.Handoff) (*handoffv1.Handoff, error) {
	cfg, err := v.accepts(sent)
	if err != nil {
		return nil, err
	}
	return store.Write(ctx, v.e.cfg.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
		lockOffer(tx, sent)
		r, err := find(ctx, tx, sent.GetId(), true)
		if err != nil {
			return nil, err
		}
		taken, err := v.e.taken(ctx, tx, sent)
		if err != nil {
			return nil, err
		}
		return v.take(ctx, tx, cfg, r, taken[0])
	})
}

// lockOffer lets deliveries of the same handoff follow one another by its name: a row that is not there yet cannot be locked.
func lockOffer(tx store.Tx, sent *handoffv1.Handoff) { store.Lock(tx, "handoff:"+sent.GetId()) }

// accepts tells what this department does with an offer, and refuses what it cannot receive.
func (v *receiver) accepts(sent *handoffv1.Handoff) (*KindConfig, error) {
	cfg := v.e.kind(sent.GetKind(), In)
	if cfg == nil || sent.GetTo() != v.e.cfg.Department.String() {
		return nil, problem.Invalid(problem.Field("handoff.to", "this department does not receive such a handoff"))
	}
	if uuid.Validate(sent.GetId()) != nil || uuid.Validate(sent.GetChainId()) != nil || sent.GetAttempt() < 1 || sent.GetOfferedAt() == nil {
		return nil, problem.Invalid(problem.Field("handoff", "needs id, chain_id, attempt and offered_at"))
	}
	return cfg, nil
}

// take puts an offer into the ledger, as it was taken in. r is the locked row of the handoff, nil when there is none.
func (v *receiver) take(ctx context.Context, tx store.Tx, cfg *KindConfig, r *entry, sent *handoffv1.Handoff) (*handoffv1.Handoff, error) {
	switch {
	case r == nil:
		return v.e.receive(ctx, tx, cfg, sent)
	case r.side != In:
		return nil, problem.Exists("handoff", sent.GetId())
	case sent.GetAttempt() <= r.h.GetAttempt():
		return r.h, nil // seen before, or overtaken by a later attempt
	case r.state() != Returned && r.state() != Expired:
		return v.e.overtaken(ctx, tx, cfg, r, sent)
	}
	return v.e.receiveAgain(ctx, tx, cfg, r, sent)
}

// taken are arriving offers as this department takes them.
func (e *Engine) taken(ctx context.Context, tx store.Tx, arriving ...*handoffv1.Handoff) ([]*handoffv1.Handoff, error) {
	if e.cfg.Intake == nil {
		return arriving, nil
	}
	taken := make([]*handoffv1.Handoff, len(arriving))
	for i, sent := range arriving {
		taken[i] = proto.CloneOf(sent)
	}
	return taken, e.cfg.Intake(ctx, tx, taken...)
}

// incoming is the sender's handoff as the receiver's ledger begins with it.
func incoming(cfg *KindConfig, sent *handoffv1.Handoff) *handoffv1.Handoff {
	h := proto.CloneOf(sent)
	h.State, h.Delivery = handoffv1.State_STATE_OFFERED, handoffv1.Delivery_DELIVERY_UNSPECIFIED
	h.Assignee, h.ReceiverSubject, h.Decision, h.DecidedAt, h.FulfilledAt = "", "", nil, nil, nil
	h.AcceptDueAt, h.FirstActionDueAt, h.Breaches, h.DeliveryProblem = nil, nil, 0, nil // the receiver owns the clocks
	h.Completeness = completenessOf(h.GetPayload(), cfg.Required)
	return h
}

func (e *Engine) receive(ctx context.Context, tx store.Tx, cfg *KindConfig, sent *handoffv1.Handoff) (*handoffv1.Handoff, error) {
	if err := e.enough(cfg, sent.GetPayload()); err != nil {
		return nil, err
	}
	r := &entry{side: In, h: incoming(cfg, sent)}
	ctx = event.WithCause(ctx, sent.GetId())
	if err := e.started(ctx, tx, r.h, nil, e.cfg.Clock.Now()); err != nil {
		return nil, err
	}
	if err := named(ctx, tx, cfg.OnReceived)(r.h); err != nil {
		return nil, err
	}
	first := step{at: sent.GetOfferedAt().AsTime(), actor: access.ActorFromProto(sent.GetOfferedBy())}
	if err := e.begin(ctx, tx, r, first, &handoffv1.HandoffReceived{Handoff: r.h}); err != nil {
		return nil, err
	}
	return r.h, nil
}

// receiveAgain takes in the next attempt of a handoff that was returned or has expired here.
func (e *Engine) receiveAgain(ctx context.Context, tx store.Tx, cfg *KindConfig, r *entry, sent *handoffv1.Handoff) (*handoffv1.Handoff, error) {
	if err := e.enough(cfg, sent.GetPayload()); err != nil {
		return nil, err
	}
	ctx = event.WithCause(ctx, sent.GetId())
	before := proto.CloneOf(r.h)
	return e.apply(ctx, tx, r, change{
		command: Resubmit, by: access.ActorFromProto(sent.GetOfferedBy()), at: sent.GetOfferedAt().AsTime(),
		prepare: func(h *handoffv1.Handoff, now time.Time) error {
			subject := h.GetReceiverSubject()
			fresh := incoming(cfg, sent)
			proto.Reset(h)
			proto.Merge(h, fresh)
			h.ReceiverSubject = subject // the hook may name another
			return e.started(ctx, tx, h, before, now)
		},
		hook:  named(ctx, tx, cfg.OnReceived),
		event: func(h *handoffv1.Handoff) proto.Message { return &handoffv1.HandoffReceived{Handoff: h} },
	})
}

// Recall implements HandoffReceiverService.
func (v *receiver) Recall(ctx context.Context, req *handoffv1.RecallRequest) (*handoffv1.Handoff, error) {
	return store.Write(ctx, v.e.cfg.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
		r, err := mustFind(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		switch {
		case r.side != In || r.h.GetAttempt() < req.GetAttempt():
			return nil, problem.NotFound("handoff", req.GetId())
		case r.h.GetAttempt() > req.GetAttempt(), r.state() == Recalled:
			return r.h, nil // overtaken, or done before
		}
		var hook Hook
		if cfg := v.e.kind(r.h.GetKind(), In); cfg != nil {
			hook = cfg.OnRecalled
		}
		return v.e.apply(ctx, tx, r, change{
			command: Recall, note: req.GetNote(), by: access.ActorFromProto(req.GetBy()),
			hook:  hooked(ctx, tx, hook),
			event: func(h *handoffv1.Handoff) proto.Message { return &handoffv1.HandoffRecalled{Handoff: h} },
		})
	})
}

// dueNow reports whether a due time has passed; a clock that does not run is never late.
func dueNow(due *timestamppb.Timestamp, now time.Time) bool {
	return due != nil && now.After(due.AsTime())
}
