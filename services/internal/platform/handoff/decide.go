package handoff

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// plan sees the locked row of a command, and says what to do.
type plan func(tx store.Tx, r *entry, cfg *KindConfig) (change, error)

// command runs a change of the desk in a transaction of its own.
func (e *Engine) command(ctx context.Context, id string, c Command, do plan) (*handoffv1.Handoff, error) {
	return store.Write(ctx, e.cfg.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
		return e.perform(ctx, tx, id, c, do)
	})
}

// perform runs a change of the desk in the caller's transaction.
func (e *Engine) perform(ctx context.Context, tx store.Tx, id string, c Command, do plan) (*handoffv1.Handoff, error) {
	r, err := mustFind(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if err := given(r, c); err != nil {
		return nil, err
	}
	if err := possible(r, c); err != nil { // before the details: who decided first is what matters
		return nil, err
	}
	cfg := e.kind(r.h.GetKind(), r.side)
	if cfg == nil { // the department no longer registers the kind
		cfg = &KindConfig{Kind: r.h.GetKind(), Required: Required(r.h.GetKind()), Floor: Floor(r.h.GetKind())}
	}
	wanted, err := do(tx, r, cfg)
	if err != nil {
		return nil, err
	}
	wanted.command = c
	return e.apply(ctx, tx, r, wanted)
}

// AssignHandoff implements HandoffDeskService.
func (d *desk) AssignHandoff(ctx context.Context, req *handoffv1.AssignHandoffRequest) (*handoffv1.Handoff, error) {
	return d.e.command(ctx, req.GetId(), Assign, assigning(ctx, req))
}

func assigning(ctx context.Context, req *handoffv1.AssignHandoffRequest) plan {
	return func(tx store.Tx, r *entry, cfg *KindConfig) (change, error) {
		return assignment(ctx, tx, r, cfg, req.GetEtag(), req.GetAssignee()), nil
	}
}

// Assign puts a handoff of the inbox into somebody's hands, or back into the queue with an empty assignee, in the caller's
// transaction: AssignHandoff of the desk for departments that assign their own records. OnAssigned runs. It does nothing
// when the assignee is the same, and fails with DECISION_TAKEN or ILLEGAL_TRANSITION when the handoff is not OFFERED.
func (e *Engine) Assign(ctx context.Context, tx store.Tx, handoffID, assignee string) (*handoffv1.Handoff, error) {
	r, err := mustFind(ctx, tx, handoffID)
	if err != nil {
		return nil, err
	}
	if err := given(r, Assign); err != nil {
		return nil, err
	}
	if err := possible(r, Assign); err != nil {
		return nil, err
	}
	if r.h.GetAssignee() == assignee {
		return r.h, nil
	}
	cfg := e.kind(r.h.GetKind(), In)
	if cfg == nil {
		cfg = &KindConfig{}
	}
	c := assignment(ctx, tx, r, cfg, "", assignee)
	c.command = Assign
	return e.apply(ctx, tx, r, c)
}

func assignment(ctx context.Context, tx store.Tx, r *entry, cfg *KindConfig, etag, assignee string) change {
	previous := r.h.GetAssignee()
	return change{
		etag: etag,
		prepare: func(h *handoffv1.Handoff, _ time.Time) error {
			h.Assignee = assignee
			return nil
		},
		hook: hooked(ctx, tx, cfg.OnAssigned),
		event: func(h *handoffv1.Handoff) proto.Message {
			return &handoffv1.HandoffAssigned{Handoff: h, PreviousAssignee: previous}
		},
	}
}

// AcceptHandoff implements HandoffDeskService.
func (d *desk) AcceptHandoff(ctx context.Context, req *handoffv1.AcceptHandoffRequest) (*handoffv1.Handoff, error) {
	return d.e.command(ctx, req.GetId(), Accept, d.e.accepting(ctx, req))
}

func (e *Engine) accepting(ctx context.Context, req *handoffv1.AcceptHandoffRequest) plan {
	return func(tx store.Tx, r *entry, cfg *KindConfig) (change, error) {
		var gaps []string
		if r.h.GetKind() == handoffv1.Kind_KIND_CLOSED_WON {
			gaps = r.h.GetCompleteness().GetMissing()
			if len(gaps) > 0 && !req.GetWithGaps() {
				return change{}, problem.GuardNotMet(string(Accept), gaps...)
			}
		} else if req.GetWithGaps() {
			return change{}, problem.Invalid(problem.Field("with_gaps", "is for CLOSED_WON only"))
		}
		policy, err := policyFor(ctx, tx, r.h)
		if err != nil {
			return change{}, err
		}
		return change{
			etag: req.GetEtag(), note: req.GetNote(), decision: &handoffv1.Decision{Note: req.GetNote(), Missing: gaps},
			prepare: func(h *handoffv1.Handoff, now time.Time) error {
				if h.Assignee = req.GetAssignee(); h.Assignee == "" {
					h.Assignee = access.ActorOf(ctx).ID
				}
				if err := e.openGaps(ctx, tx, h, policy, gaps, now); err != nil {
					return err
				}
				return e.obliged(ctx, tx, h, policy, now)
			},
			hook:  named(ctx, tx, cfg.OnAccepted),
			event: func(h *handoffv1.Handoff) proto.Message { return &handoffv1.HandoffAccepted{Handoff: h} },
		}, nil
	}
}

// RejectHandoff implements HandoffDeskService.
func (d *desk) RejectHandoff(ctx context.Context, req *handoffv1.RejectHandoffRequest) (*handoffv1.Handoff, error) {
	return d.e.command(ctx, req.GetId(), Reject, rejecting(ctx, req))
}

func rejecting(ctx context.Context, req *handoffv1.RejectHandoffRequest) plan {
	return func(tx store.Tx, r *entry, cfg *KindConfig) (change, error) {
		if r.h.GetKind() == handoffv1.Kind_KIND_CLOSED_WON {
			return change{}, problem.IllegalTransition("handoff", string(r.state()), string(Reject), []string{string(Accept), string(Return)})
		}
		reason, err := reasonFor(ctx, tx, r.h.GetKind(), req.GetReason())
		if err != nil {
			return change{}, err
		}
		recycle := reason.GetAction() == handoffv1.Reason_ACTION_RECYCLE
		if req.GetWakeAt() != nil && !recycle {
			return change{}, problem.Invalid(problem.Field("wake_at", "is for reasons that recycle only"))
		}
		return change{
			etag: req.GetEtag(), note: req.GetNote(),
			decision: &handoffv1.Decision{Reason: reason.GetCode(), Note: req.GetNote(), WakeAt: req.GetWakeAt()},
			prepare: func(h *handoffv1.Handoff, now time.Time) error {
				if recycle && h.Decision.WakeAt == nil {
					h.Decision.WakeAt = timestamppb.New(now.AddDate(0, 0, int(reason.GetWakeAfterDays())))
				}
				return nil
			},
			hook: hooked(ctx, tx, cfg.OnRejected),
			event: func(h *handoffv1.Handoff) proto.Message {
				return &handoffv1.HandoffRejected{Handoff: h, Reason: reason}
			},
		}, nil
	}
}

// ReturnHandoff implements HandoffDeskService.
func (d *desk) ReturnHandoff(ctx context.Context, req *handoffv1.ReturnHandoffRequest) (*handoffv1.Handoff, error) {
	return d.e.command(ctx, req.GetId(), Return, func(tx store.Tx, _ *entry, cfg *KindConfig) (change, error) {
		return change{
			etag: req.GetEtag(), note: req.GetNote(),
			decision: &handoffv1.Decision{Note: req.GetNote(), Missing: req.GetMissing()},
			hook:     hooked(ctx, tx, cfg.OnReturned),
			event:    func(h *handoffv1.Handoff) proto.Message { return &handoffv1.HandoffReturned{Handoff: h} },
		}, nil
	})
}

// FulfilHandoff implements HandoffDeskService.
func (d *desk) FulfilHandoff(ctx context.Context, req *handoffv1.FulfilHandoffRequest) (*handoffv1.Handoff, error) {
	return d.e.command(ctx, req.GetId(), Fulfil, func(tx store.Tx, _ *entry, cfg *KindConfig) (change, error) {
		return d.e.fulfilment(ctx, tx, cfg, req.GetEtag(), req.GetNote()), nil
	})
}

// Fulfil records, in the transaction of the receiver's first action, that the action was done. It does nothing when the
// handoff is fulfilled already, and fails with ILLEGAL_TRANSITION when it was not accepted. OnFulfilled runs.
func (e *Engine) Fulfil(ctx context.Context, tx store.Tx, handoffID, note string) (*handoffv1.Handoff, error) {
	r, err := mustFind(ctx, tx, handoffID)
	if err != nil {
		return nil, err
	}
	if r.side == In && r.state() == Fulfilled {
		return r.h, nil
	}
	if err := given(r, Fulfil); err != nil {
		return nil, err
	}
	cfg := e.kind(r.h.GetKind(), In)
	if cfg == nil {
		cfg = &KindConfig{}
	}
	c := e.fulfilment(ctx, tx, cfg, "", note)
	c.command = Fulfil
	return e.apply(ctx, tx, r, c)
}

func (e *Engine) fulfilment(ctx context.Context, tx store.Tx, cfg *KindConfig, etag, note string) change {
	return change{
		etag: etag, note: note,
		prepare: func(h *handoffv1.Handoff, now time.Time) error {
			h.FulfilledAt = timestamppb.New(now)
			return nil
		},
		hook: hooked(ctx, tx, cfg.OnFulfilled),
		event: func(h *handoffv1.Handoff) proto.Message {
			return &handoffv1.HandoffFulfilled{Handoff: h, Late: dueNow(h.GetFirstActionDueAt(), h.GetFulfilledAt().AsTime())}
		},
	}
}

// ResubmitHandoff implements HandoffDeskService.
func (d *desk) ResubmitHandoff(ctx context.Context, req *handoffv1.ResubmitHandoffRequest) (*handoffv1.Handoff, error) {
	return store.Write(ctx, d.e.cfg.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
		return d.e.resubmit(ctx, tx, req)
	})
}

// Resubmit offers a returned or expired handoff of this department again, in the caller's transaction, with a completed
// payload; nil is the same payload again. OnResubmitted runs.
func (e *Engine) Resubmit(ctx context.Context, tx store.Tx, handoffID string, payload *handoffv1.Payload, note string) (*handoffv1.Handoff, error) {
	return e.resubmit(ctx, tx, &handoffv1.ResubmitHandoffRequest{Id: handoffID, Payload: payload, Note: note})
}

func (e *Engine) resubmit(ctx context.Context, tx store.Tx, req *handoffv1.ResubmitHandoffRequest) (*handoffv1.Handoff, error) {
	r, err := mustFind(ctx, tx, req.GetId())
	if err != nil {
		return nil, err
	}
	if err := given(r, Resubmit); err != nil {
		return nil, err
	}
	if err := possible(r, Resubmit); err != nil {
		return nil, err
	}
	cfg := e.kind(r.h.GetKind(), Out)
	if cfg == nil {
		return nil, problem.NotOffered("resubmit of " + kindName(r.h.GetKind()))
	}
	payload := r.h.GetPayload()
	if req.GetPayload() != nil {
		payload = req.GetPayload()
	}
	if err := e.enough(cfg, payload); err != nil {
		return nil, err
	}
	h, err := e.apply(ctx, tx, r, change{
		command: Resubmit, etag: req.GetEtag(), note: req.GetNote(),
		prepare: func(h *handoffv1.Handoff, now time.Time) error {
			h.Attempt++
			h.Payload, h.Completeness = proto.CloneOf(payload), completenessOf(payload, cfg.Required)
			h.Delivery, h.OfferedAt, h.OfferedBy = handoffv1.Delivery_DELIVERY_PENDING, timestamppb.New(now), access.ActorOf(ctx).Proto()
			h.Decision, h.DecidedAt, h.AcceptDueAt, h.FirstActionDueAt, h.Assignee = nil, nil, nil, nil, ""
			h.Breaches, h.DeliveryProblem, h.Policy, h.Calendar = 0, nil, "", ""
			return nil
		},
		hook:  hooked(ctx, tx, cfg.OnResubmitted),
		event: func(h *handoffv1.Handoff) proto.Message { return &handoffv1.HandoffOffered{Handoff: h} },
	})
	if err != nil {
		return nil, err
	}
	return h, e.send(ctx, tx, h, false)
}

// RecallHandoff implements HandoffDeskService. The row changes when the receiver's answer has come.
func (d *desk) RecallHandoff(ctx context.Context, req *handoffv1.RecallHandoffRequest) (*handoffv1.Handoff, error) {
	return store.Write(ctx, d.e.cfg.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
		r, err := mustFind(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		if err := given(r, Recall); err != nil {
			return nil, err
		}
		if err := possible(r, Recall); err != nil {
			return nil, err
		}
		if err := etag.Match(req.GetEtag()).Check(r.version); err != nil {
			return nil, err
		}
		by := access.ActorOf(ctx)
		args := recallArgs{
			HandoffID: r.h.GetId(), Attempt: r.h.GetAttempt(), Note: req.GetNote(),
			ByKind: string(by.Kind), ByID: by.ID, ByName: by.Name,
		}
		// Asking twice is asking once.
		return r.h, d.e.cfg.Jobs.Insert(ctx, tx, args, jobs.Opts{UniqueKey: fmt.Sprintf("%s/%d", r.h.GetId(), r.h.GetAttempt())})
	})
}
