package handoff

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// change is one command on a row. All commands have the same shape: check, change, hook, write.
type change struct {
	command Command
	// etag is what the caller has seen; empty is whatever it is now.
	etag string
	// by and at are who and when; the zero values are the caller and now.
	by access.Actor
	at time.Time
	// decision is the rest of the decision where the command is one.
	decision *handoffv1.Decision
	// note goes to the history.
	note string
	// prepare checks and changes what is special; state, decision and times come by themselves.
	prepare func(h *handoffv1.Handoff, now time.Time) error
	// hook is the department's part.
	hook func(h *handoffv1.Handoff) error
	// event makes what is told.
	event func(h *handoffv1.Handoff) proto.Message
}

// apply does a change to a locked row.
func (e *Engine) apply(ctx context.Context, tx store.Tx, r *entry, c change) (*handoffv1.Handoff, error) {
	if err := possible(r, c.command); err != nil {
		return nil, err
	}
	if err := etag.Match(c.etag).Check(r.version); err != nil {
		return nil, err
	}
	if err := e.cfg.Events.LinkOrigin(ctx, tx, "handoff/"+r.h.GetId()); err != nil {
		return nil, err
	}
	now := e.cfg.Clock.Now()
	if c.at.IsZero() {
		c.at = now
	}
	if c.by.IsZero() {
		c.by = access.ActorOf(ctx)
	}
	h, from, since := r.h, r.state(), r.since()
	to, _ := next(from, c.command)
	h.State = to.proto()
	if decides(c.command) {
		h.Decision = &handoffv1.Decision{Note: c.note}
		if c.decision != nil {
			h.Decision = c.decision
		}
		h.Decision.State, h.Decision.By, h.Decision.At = h.State, c.by.Proto(), timestamppb.New(c.at)
		h.DecidedAt = h.Decision.At
	}
	if c.prepare != nil {
		if err := c.prepare(h, now); err != nil {
			return nil, err
		}
	}
	h.Etag, h.UpdateTime = etag.Format(r.version+1), timestamppb.New(now)
	if c.hook != nil {
		if err := c.hook(h); err != nil {
			return nil, err
		}
	}
	if err := r.save(tx, now); err != nil {
		return nil, err
	}
	if _, again := next(to, Resubmit); again {
		if err := r.keepAttempt(tx); err != nil {
			return nil, err
		}
	}
	if c.command != Assign {
		r.saveTransition(ctx, tx, step{from: from, since: since, at: c.at, actor: c.by, reason: h.GetDecision().GetReason(), note: c.note})
	}
	if err := e.tell(ctx, tx, r, c.event(h)); err != nil {
		return nil, err
	}
	return h, nil
}

// tell appends the event of a row's present version.
func (e *Engine) tell(ctx context.Context, tx store.Tx, r *entry, data proto.Message) error {
	return e.cfg.Events.Append(ctx, tx, event.Event{
		Subject: "handoff/" + r.h.GetId(), SubjectVersion: r.version, JourneyID: r.h.GetJourneyId(), Data: data,
	})
}

// possible reports why a command is not: somebody decided first, or there is no such arrow.
func possible(r *entry, c Command) error {
	if _, ok := next(r.state(), c); ok {
		return nil
	}
	d := r.h.GetDecision()
	if decides(c) && d != nil {
		return problem.DecisionTaken(string(stateOf(d.GetState())), d.GetBy().GetId(), d.GetAt().AsTime())
	}
	return problem.IllegalTransition("handoff", string(r.state()), string(c), legal(r.side, r.state()))
}

// given reports whether a command may be given on the side of the row by people.
func given(r *entry, c Command) error {
	if slices.Contains(commands[r.side], c) {
		return nil
	}
	return problem.IllegalTransition("handoff", string(r.state()), string(c), legal(r.side, r.state()))
}

// hooked runs a hook that may be nil.
func hooked(ctx context.Context, tx store.Tx, hook Hook) func(*handoffv1.Handoff) error {
	return func(h *handoffv1.Handoff) error {
		if hook == nil {
			return nil
		}
		return hook(ctx, tx, h)
	}
}

// named runs a hook that may name the receiver's subject.
func named(ctx context.Context, tx store.Tx, hook SubjectHook) func(*handoffv1.Handoff) error {
	return func(h *handoffv1.Handoff) error {
		if hook == nil {
			return nil
		}
		subject, err := hook(ctx, tx, h)
		if subject != "" {
			h.ReceiverSubject = subject
		}
		return err
	}
}
