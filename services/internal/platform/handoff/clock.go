package handoff

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// lookAgain is how soon a clock looks again that rang before its time: the clock on the wall may have been set back.
const lookAgain = time.Minute

// ringArgs are those of the job that is a running clock. It is inserted in the transaction that starts the clock, and does
// nothing when the attempt, the state or the due time are no longer those it was started for.
type ringArgs struct {
	HandoffID string    `json:"handoff_id"`
	Attempt   int32     `json:"attempt"`
	Clock     clockName `json:"clock"`
	DueAt     time.Time `json:"due_at"`
	// Number is the step of the policy that is taken next.
	Number int `json:"number"`
}

// Kind implements jobs.Args.
func (ringArgs) Kind() string { return "handoff.clock" }

// started sets the clocks of an offer that arrives at the receiver now, and leaves their jobs. before is the row as it was
// when this is a later attempt.
func (e *Engine) started(ctx context.Context, tx store.Tx, h, before *handoffv1.Handoff, now time.Time) error {
	p, err := policyFor(ctx, tx, h)
	if err != nil || p == nil {
		return err
	}
	h.Policy, h.Calendar = p.Code, p.Calendar
	due := p.acceptDue(h, now)
	if before != nil && stateOf(before.GetState()) == Returned {
		due = p.resumed(h, at(before.GetAcceptDueAt()), at(before.GetDecidedAt()), now)
	}
	if !due.IsZero() {
		h.AcceptDueAt = timestamppb.New(due)
		if err := e.wind(ctx, tx, h, acceptClock, due); err != nil {
			return err
		}
	}
	if begins := h.GetPayload().GetMeeting().GetStartsAt(); begins != nil && begins.AsTime().After(now) {
		return e.wind(ctx, tx, h, pickUpClock, begins.AsTime())
	}
	return nil
}

// obliged sets the clock of the first action after an acceptance now, and leaves its job.
func (e *Engine) obliged(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, p *policy, now time.Time) error {
	due := p.firstActionDue(now)
	if due.IsZero() {
		return nil
	}
	h.FirstActionDueAt = timestamppb.New(due)
	return e.wind(ctx, tx, h, firstActionClock, due)
}

// wind leaves the job of a clock.
func (e *Engine) wind(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, clock clockName, due time.Time) error {
	args := ringArgs{HandoffID: h.GetId(), Attempt: h.GetAttempt(), Clock: clock, DueAt: due}
	return e.cfg.Jobs.Insert(ctx, tx, args, jobs.Opts{RunAt: due})
}

// ring takes the steps of a clock that are due.
func (e *Engine) ring(ctx context.Context, job *jobs.Job[ringArgs]) error {
	args := job.Args
	early, err := store.Write(ctx, e.cfg.DB, func(tx store.Tx) (time.Duration, error) {
		r, err := find(ctx, tx, args.HandoffID, true)
		if err != nil || r == nil || !runs(r, args) {
			return 0, err
		}
		p, err := policyFor(ctx, tx, r.h)
		if err != nil || p == nil {
			return 0, err
		}
		return e.run(event.WithCause(ctx, r.h.GetId()), tx, r, p, args)
	})
	if err != nil {
		return fmt.Errorf("handoff: clock %s of %s: %w", args.Clock, args.HandoffID, err)
	}
	if early > 0 {
		return jobs.Again(min(early, lookAgain))
	}
	return nil
}

// runs reports whether a clock still counts: nobody has done meanwhile what it watches over.
func runs(r *entry, args ringArgs) bool {
	if r.side != In || r.h.GetAttempt() != args.Attempt {
		return false
	}
	switch args.Clock {
	case acceptClock:
		return r.state() == Offered && at(r.h.GetAcceptDueAt()).Equal(args.DueAt)
	case firstActionClock:
		return r.state() == Accepted && at(r.h.GetFirstActionDueAt()).Equal(args.DueAt)
	case pickUpClock:
		meeting := r.h.GetPayload().GetMeeting()
		return r.state() == Offered && r.h.GetAssignee() == "" && meeting.GetHost() == "" && at(meeting.GetStartsAt()).Equal(args.DueAt)
	}
	return false
}

// run takes the steps whose time has come, and leaves the job of the next. It tells how long until its first step when that
// is not due yet.
func (e *Engine) run(ctx context.Context, tx store.Tx, r *entry, p *policy, args ringArgs) (early time.Duration, err error) {
	taken, err := store.Select[int64](ctx, tx, `SELECT number FROM handoff_breaches
		WHERE handoff_id = $1 AND attempt = $2 AND clock = $3`, args.HandoffID, int64(args.Attempt), string(args.Clock))
	if err != nil {
		return 0, err
	}
	done := map[int64]bool{}
	for _, n := range taken {
		done[n] = true
	}
	now, first := e.cfg.Clock.Now(), true
	for n, s := range p.of(args.Clock) {
		if n < args.Number || done[int64(n)] {
			continue
		}
		when := p.business.Add(args.DueAt, minutes(s.After))
		switch {
		case now.Before(when) && first:
			return when.Sub(now), nil
		case now.Before(when):
			args.Number = n
			return 0, e.cfg.Jobs.Insert(ctx, tx, args, jobs.Opts{RunAt: when})
		}
		first = false
		if err := e.breach(ctx, tx, r, args, n, s); err != nil {
			return 0, err
		}
		if cfg := e.kind(r.h.GetKind(), In); cfg != nil && cfg.OnBreached != nil {
			if err := cfg.OnBreached(ctx, tx, r.h, args.Clock.proto(), args.DueAt); err != nil {
				return 0, err
			}
		}
		if s.Step == expire {
			return 0, nil
		}
	}
	return 0, nil
}

// breach takes one step, records it, and tells it.
func (e *Engine) breach(ctx context.Context, tx store.Tx, r *entry, args ringArgs, number int, s policyStep) error {
	previous, now := r.h.GetAssignee(), e.cfg.Clock.Now()
	cfg := e.kind(r.h.GetKind(), In)
	if cfg == nil {
		cfg = &KindConfig{}
	}
	to, err := json.Marshal(append([]string{}, s.To...))
	if err != nil {
		return fmt.Errorf("handoff: %w", err)
	}
	tx.Queue(`INSERT INTO handoff_breaches (handoff_id, attempt, clock, number, step, due_at, at, escalated_to, assignee)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, args.HandoffID, int64(args.Attempt), string(args.Clock), int64(number),
		s.Step, args.DueAt, now, string(to), previous)
	e.countBreach(ctx, tx, r.h, args.Clock, s.Step)
	told := func(h *handoffv1.Handoff) proto.Message {
		return &handoffv1.HandoffBreached{
			Handoff: h, Clock: args.Clock.proto(), Step: stepNamed(s.Step), EscalatedTo: s.To,
			DueAt: timestamppb.New(args.DueAt), PreviousAssignee: previous,
		}
	}
	count := func(h *handoffv1.Handoff, _ time.Time) error {
		h.Breaches++
		return nil
	}
	switch {
	case s.Step == reassign && previous != "":
		c := change{command: Assign, hook: hooked(ctx, tx, cfg.OnAssigned), event: told}
		c.prepare = func(h *handoffv1.Handoff, now time.Time) error {
			h.Assignee = ""
			return count(h, now)
		}
		_, err = e.apply(ctx, tx, r, c)
		return err
	case s.Step == expire && args.Clock == acceptClock:
		_, err := e.apply(ctx, tx, r, change{
			command: Expire, prepare: count, hook: hooked(ctx, tx, cfg.OnExpired),
			event: func(h *handoffv1.Handoff) proto.Message { return &handoffv1.HandoffExpired{Handoff: h} },
		})
		if err != nil {
			return err
		}
		return e.tell(ctx, tx, r, told(r.h))
	}
	r.h.Breaches++
	if err := r.save(tx, now); err != nil {
		return err
	}
	return e.tell(ctx, tx, r, told(r.h))
}

type breachRow struct {
	Attempt     int64
	Clock, Step string
	DueAt, At   time.Time
	EscalatedTo string
	Assignee    string
}

func breaches(ctx context.Context, tx store.Tx, id string) ([]*handoffv1.Breach, error) {
	rows, err := store.Select[breachRow](ctx, tx, `SELECT attempt, clock, step, due_at, at, escalated_to, assignee
		FROM handoff_breaches WHERE handoff_id = $1 ORDER BY attempt, at, clock, number`, id)
	if err != nil {
		return nil, err
	}
	out := make([]*handoffv1.Breach, len(rows))
	for i, b := range rows {
		out[i] = &handoffv1.Breach{
			Attempt: int32(b.Attempt), Clock: clockName(b.Clock).proto(), Step: stepNamed(b.Step),
			DueAt: timestamppb.New(b.DueAt), At: timestamppb.New(b.At), Assignee: b.Assignee,
		}
		if err := json.Unmarshal([]byte(b.EscalatedTo), &out[i].EscalatedTo); err != nil {
			return nil, fmt.Errorf("handoff: stored breach: %w", err)
		}
	}
	return out, nil
}

func (c clockName) proto() handoffv1.Clock {
	return handoffv1.Clock(handoffv1.Clock_value["CLOCK_"+string(c)])
}

func stepNamed(name string) handoffv1.BreachStep {
	return handoffv1.BreachStep(handoffv1.BreachStep_value["BREACH_STEP_"+name])
}
