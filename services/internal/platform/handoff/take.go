package handoff

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// decisions are the events of receivers by which decisions come back.
var decisions = []proto.Message{
	&handoffv1.HandoffAccepted{}, &handoffv1.HandoffRejected{}, &handoffv1.HandoffReturned{},
	&handoffv1.HandoffRecalled{}, &handoffv1.HandoffExpired{}, &handoffv1.HandoffFulfilled{},
}

// news are the events of receivers that change no state: the sender shows who has it in hand, and how its clocks stand.
var news = []proto.Message{&handoffv1.HandoffAssigned{}, &handoffv1.HandoffBreached{}}

// Subscriptions are the readings of the peers' feeds that bring decisions back. Give them to the service's
// event.Subscriber after all calls of Register and Peer.
func (e *Engine) Subscriptions() []event.Subscription {
	var types []string
	for _, m := range slices.Concat(decisions, news) {
		types = append(types, string(m.ProtoReflect().Descriptor().FullName()))
	}
	var subs []event.Subscription
	for _, d := range access.Departments() {
		if conn := e.peers[d]; conn != nil && e.sendsTo(d) {
			subs = append(subs, event.Subscription{
				Name:   fmt.Sprintf("%s.handoffs.from.%s", e.cfg.Department, d),
				Source: d.String(), Client: feedv1.NewFeedServiceClient(conn), Types: types, Handler: e.take, Prepare: e.prepare,
			})
		}
	}
	return subs
}

func (e *Engine) sendsTo(d access.Department) bool {
	for _, k := range e.kinds {
		if k.From == e.cfg.Department && (k.To == d || slices.Contains(k.AlsoTo, d)) {
			return true
		}
	}
	return false
}

// take applies what a receiver decided to the sender's row, once and only along the arrows.
func (e *Engine) take(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
	data, err := ev.GetData().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("handoff: event %s: %w", ev.GetId(), err)
	}
	told, ok := data.(interface{ GetHandoff() *handoffv1.Handoff })
	if !ok || told.GetHandoff().GetFrom() != e.cfg.Department.String() {
		return nil // a handoff between others
	}
	theirs := told.GetHandoff()
	r, err := mustFind(ctx, tx, theirs.GetId())
	if err != nil {
		return err
	}
	to := stateOf(theirs.GetState())
	switch data.(type) {
	case *handoffv1.HandoffAssigned, *handoffv1.HandoffBreached:
		return e.learn(ctx, tx, r, theirs)
	}
	switch {
	case r.side != Out || theirs.GetAttempt() < r.h.GetAttempt() || theirs.GetAttempt() == r.h.GetAttempt() && r.state() == to:
		return nil // over, or taken in before
	case theirs.GetAttempt() == r.h.GetAttempt() && r.h.GetDelivery() == handoffv1.Delivery_DELIVERY_REFUSED:
		return nil // refused, and arrived later all the same: what was decided there is told again for the next attempt
	case theirs.GetAttempt() == r.h.GetAttempt() && to == Accepted && r.state() == Fulfilled:
		return nil // an acceptance that comes again: fulfilment was taken in after it
	case theirs.GetAttempt() > r.h.GetAttempt():
		return errAhead
	}
	var reason *handoffv1.Reason
	if rejected, ok := data.(*handoffv1.HandoffRejected); ok {
		reason = rejected.GetReason()
	}
	return e.decide(ctx, tx, r, theirs, reason, access.ActorFromProto(ev.GetActor()))
}

// decide applies one step of the receiver's ledger to the sender's row of the same attempt. actor is who did it where the
// handoff does not say.
func (e *Engine) decide(ctx context.Context, tx store.Tx, r *entry, theirs *handoffv1.Handoff, reason *handoffv1.Reason, actor access.Actor) error {
	to := stateOf(theirs.GetState())
	command, ok := leadsTo(r.state(), to)
	if !ok {
		return fmt.Errorf("handoff: %s is %s here and %s at %s", theirs.GetId(), r.state(), to, theirs.GetTo())
	}
	if undelivered(r) {
		if err := e.arrived(ctx, tx, r); err != nil {
			return err
		}
	}
	c := change{
		command: command, by: access.ActorFromProto(theirs.GetDecision().GetBy()), at: at(theirs.GetDecidedAt()),
		note: theirs.GetDecision().GetNote(), decision: proto.CloneOf(theirs.GetDecision()),
		prepare: func(h *handoffv1.Handoff, _ time.Time) error {
			h.Assignee, h.Queue, h.ReceiverSubject = theirs.GetAssignee(), theirs.GetQueue(), theirs.GetReceiverSubject()
			h.AcceptDueAt, h.FirstActionDueAt = theirs.GetAcceptDueAt(), theirs.GetFirstActionDueAt()
			h.FulfilledAt, h.Breaches = theirs.GetFulfilledAt(), theirs.GetBreaches()
			h.Policy, h.Calendar = theirs.GetPolicy(), theirs.GetCalendar()
			if theirs.GetAccountId() != "" {
				h.AccountId = theirs.GetAccountId()
			}
			return nil
		},
		hook:  e.decisionHook(ctx, tx, reason),
		event: func(h *handoffv1.Handoff) proto.Message { return &handoffv1.HandoffDecisionApplied{Handoff: h} },
	}
	if command == Fulfil {
		c.by, c.at, c.note, c.decision = actor, at(theirs.GetFulfilledAt()), "", nil
	}
	_, err := e.apply(ctx, tx, r, c)
	return err
}

// learn notes at the sender who has it in hand and how its clocks stand, when both ledgers are in the same state. Otherwise
// the event that leads to the later state says the same.
func (e *Engine) learn(ctx context.Context, tx store.Tx, r *entry, theirs *handoffv1.Handoff) error {
	if r.side != Out || r.h.GetAttempt() != theirs.GetAttempt() || r.h.GetState() != theirs.GetState() {
		return nil
	}
	if undelivered(r) {
		if err := e.arrived(ctx, tx, r); err != nil {
			return err
		}
	}
	h := r.h
	h.Assignee, h.Queue, h.Breaches = theirs.GetAssignee(), theirs.GetQueue(), theirs.GetBreaches()
	h.AcceptDueAt, h.FirstActionDueAt = theirs.GetAcceptDueAt(), theirs.GetFirstActionDueAt()
	h.Policy, h.Calendar = theirs.GetPolicy(), theirs.GetCalendar()
	return r.save(tx, e.cfg.Clock.Now())
}

// decisionHook is the sender's OnDecision.
func (e *Engine) decisionHook(ctx context.Context, tx store.Tx, reason *handoffv1.Reason) func(*handoffv1.Handoff) error {
	return func(h *handoffv1.Handoff) error {
		cfg := e.kind(h.GetKind(), Out)
		if cfg == nil || cfg.OnDecision == nil {
			return nil
		}
		return cfg.OnDecision(ctx, tx, h, reason)
	}
}
