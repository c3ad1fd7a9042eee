package handoff

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// onItsWay is how long an offer may be under way before its absence is a difference.
	onItsWay = time.Minute
	// onItsWayBack is the same for decisions, which come by the feed at once.
	onItsWayBack = 10 * time.Second
)

// verdict is a difference between the ledgers, and how it is mended; mend is nil where a person must look.
type verdict struct {
	finding handoffv1.Difference_Finding
	ja, en  string
	mend    func(ctx context.Context, e *Engine, tx store.Tx, r *entry, theirs *handoffv1.Handoff, reasons map[string]*handoffv1.Reason) error
}

// judge compares what both ledgers say of one handoff; nil when they agree or a message between them is still under way.
func judge(o *ours, t *handoffv1.Handoff, now time.Time) *verdict {
	switch {
	case o == nil && t == nil:
		return nil
	case o == nil:
		return &verdict{
			handoffv1.Difference_FINDING_MISSING_AT_SENDER,
			"受け手にある引き継ぎが送り手の台帳にありません。",
			"The receiver has a handoff of which the sender knows nothing: look at the sender's backups.", nil,
		}
	case t == nil && o.state == Offered:
		if o.delivery == handoffv1.Delivery_DELIVERY_PENDING && now.Sub(o.offeredAt) < onItsWay {
			return nil
		}
		return &verdict{
			handoffv1.Difference_FINDING_MISSING_AT_RECEIVER,
			"判断を待つ引き継ぎが受け手に届いていません。再送します。",
			"The receiver does not have an offer that waits for its decision. It is delivered again.", redeliver,
		}
	case t == nil && o.state == Returned && o.delivery == handoffv1.Delivery_DELIVERY_REFUSED:
		return nil // the receiver never took it
	case t == nil:
		return &verdict{
			handoffv1.Difference_FINDING_MISSING_AT_RECEIVER,
			"受け手の台帳から引き継ぎが失われています。",
			"The receiver has lost a handoff on which it had decided: look at the receiver's backups.", nil,
		}
	case t.GetAttempt() > o.attempt:
		return &verdict{
			handoffv1.Difference_FINDING_SENDER_BEHIND,
			"受け手が送り手より新しい提示を持っています。",
			"The receiver has a later attempt than the sender ever made: look at the sender's backups.", nil,
		}
	case t.GetAttempt() < o.attempt:
		return behind(o, now)
	}
	return decided(o, t, now)
}

// behind judges a receiver that has an earlier attempt.
func behind(o *ours, now time.Time) *verdict {
	switch {
	case o.state == Offered && o.delivery == handoffv1.Delivery_DELIVERY_PENDING && now.Sub(o.offeredAt) < onItsWay,
		o.state == Returned && o.delivery == handoffv1.Delivery_DELIVERY_REFUSED:
		return nil
	case o.state == Offered:
		return &verdict{
			handoffv1.Difference_FINDING_RECEIVER_BEHIND,
			"受け手に届いているのは前回の提示です。最新の提示を再送します。",
			"The receiver has an earlier attempt. The present one is delivered again.", redeliver,
		}
	}
	return &verdict{
		handoffv1.Difference_FINDING_CONTRADICTION,
		"送り手が判断済みとする提示を、受け手は受け取っていません。",
		"The sender holds an attempt to be decided that the receiver does not have: look at the receiver's backups.", nil,
	}
}

// decided judges the states of the same attempt.
func decided(o *ours, t *handoffv1.Handoff, now time.Time) *verdict {
	to := stateOf(t.GetState())
	_, ahead := leadsTo(o.state, to)
	switch {
	case o.state == Offered && to == Offered && o.delivery == handoffv1.Delivery_DELIVERY_PENDING:
		if now.Sub(o.offeredAt) < onItsWay {
			return nil
		}
		return &verdict{
			handoffv1.Difference_FINDING_ARRIVAL_NOT_NOTED,
			"引き継ぎは届いていますが、送り手に記録されていません。記録します。",
			"The offer has arrived, and the sender did not note it. It is noted.", noteArrival,
		}
	case o.state == to:
		return nil
	case ahead && o.state != Returned && o.state != Expired, o.state == Offered && to == Fulfilled:
		if now.Sub(t.GetUpdateTime().AsTime()) < onItsWayBack {
			return nil
		}
		return &verdict{
			handoffv1.Difference_FINDING_DECISION_NOT_APPLIED,
			fmt.Sprintf("受け手の状態 %s が送り手に反映されていません。反映します。", to),
			fmt.Sprintf("The receiver has it %s, which the sender does not know. It is applied.", to), takeOver,
		}
	case o.state == Returned && o.delivery == handoffv1.Delivery_DELIVERY_REFUSED:
		return &verdict{
			handoffv1.Difference_FINDING_CONTRADICTION,
			"受け手が一度拒んだ提示が、後から届いています。再提示すると解消します。",
			"An offer that the receiver had refused as invalid has arrived all the same. Resubmit it: the next attempt takes its place.", nil,
		}
	}
	return &verdict{
		handoffv1.Difference_FINDING_CONTRADICTION,
		fmt.Sprintf("送り手は %s、受け手は %s としています。", o.state, to),
		fmt.Sprintf("The sender has it %s, the receiver %s, and no step leads from one to the other.", o.state, to), nil,
	}
}

func (v *verdict) difference(to, id string, o *ours, t *handoffv1.Handoff) *handoffv1.Difference {
	d := &handoffv1.Difference{
		HandoffId: id, Kind: t.GetKind(), To: to, Finding: v.finding, Description: &typev1.Label{Ja: v.ja, En: v.en},
	}
	if o != nil {
		d.Kind, d.Sender = o.kind, fmt.Sprintf("%d %s", o.attempt, o.state)
	}
	if t != nil {
		d.Receiver = fmt.Sprintf("%d %s", t.GetAttempt(), stateOf(t.GetState()))
	}
	return d
}

// redeliver leaves another job that delivers the present attempt: the receiver knows what it has.
func redeliver(ctx context.Context, e *Engine, tx store.Tx, r *entry, _ *handoffv1.Handoff, _ map[string]*handoffv1.Reason) error {
	return e.send(ctx, tx, r.h, true)
}

func noteArrival(ctx context.Context, e *Engine, tx store.Tx, r *entry, t *handoffv1.Handoff, _ map[string]*handoffv1.Reason) error {
	if err := e.arrived(ctx, tx, r); err != nil {
		return err
	}
	r.h.AcceptDueAt, r.h.Assignee = t.GetAcceptDueAt(), t.GetAssignee()
	return r.save(tx, e.cfg.Clock.Now())
}

// takeOver applies what the receiver has decided, step by step.
func takeOver(ctx context.Context, e *Engine, tx store.Tx, r *entry, t *handoffv1.Handoff, reasons map[string]*handoffv1.Reason) error {
	by := access.Actor{Kind: access.KindService, ID: "service:" + t.GetTo()}
	if r.state() == Offered && stateOf(t.GetState()) == Fulfilled {
		accepted := asAccepted(t)
		if err := e.decide(ctx, tx, r, accepted, nil, by); err != nil {
			return err
		}
	}
	return e.decide(ctx, tx, r, t, reasons[kindName(t.GetKind())+"/"+t.GetDecision().GetReason()], by)
}

// asAccepted is a fulfilled handoff as it was before.
func asAccepted(h *handoffv1.Handoff) *handoffv1.Handoff {
	out := proto.CloneOf(h)
	out.State, out.FulfilledAt = handoffv1.State_STATE_ACCEPTED, nil
	return out
}
