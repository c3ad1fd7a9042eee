package handoff

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// callTimeout bounds one call to a receiver.
	callTimeout = 10 * time.Second
	// lookForPeer is how often an offer to a department that is not configured looks whether it is now.
	lookForPeer = time.Minute
)

// deliverArgs are those of the job that takes an offer to its receiver.
type deliverArgs struct {
	HandoffID string `json:"handoff_id"`
	Attempt   int32  `json:"attempt"`
	// To is the receiver; jobs of earlier versions do not name it.
	To string `json:"to,omitempty"`
	// Again delivers what was delivered before: the receiver has lost it.
	Again bool `json:"again,omitempty"`
}

// Kind implements jobs.Args.
func (deliverArgs) Kind() string { return "handoff.deliver" }

// deliver takes one attempt to its receiver, together with those that wait for the same one. It may run any number of times:
// the receiver knows what it has.
func (e *Engine) deliver(ctx context.Context, job *jobs.Job[deliverArgs]) error {
	p := &parcel{deliverArgs: job.Args, ctx: ctx, err: errUnfinished}
	if e.cfg.Together != nil {
		e.carry(ctx, append([]*parcel{p}, e.alongside(ctx, job.Args)...))
		return p.err
	}
	if err := e.gateTo(job.Args.To).Pass(ctx, p, func(batch []*parcel) { e.carry(ctx, batch) }); err != nil {
		return err
	}
	return p.err
}

// carry takes parcels to their receivers, and notes in each what became of it.
func (e *Engine) carry(ctx context.Context, batch []*parcel) {
	if err := e.unwrap(ctx, batch); err != nil {
		for _, p := range batch {
			p.err = err
		}
		return
	}
	byReceiver := map[string][]*parcel{}
	for _, p := range batch {
		if p.h != nil {
			byReceiver[p.h.GetTo()] = append(byReceiver[p.h.GetTo()], p)
		}
	}
	for _, to := range slices.Sorted(maps.Keys(byReceiver)) {
		e.carryTo(ctx, to, byReceiver[to])
	}
}

// unwrap reads the offers of parcels. Those that are over, or delivered, have none.
func (e *Engine) unwrap(ctx context.Context, batch []*parcel) error {
	_, err := store.Read(ctx, e.cfg.DB, func(tx store.Tx) (struct{}, error) {
		found, err := findAll(ctx, tx, idsOf(batch), "")
		if err != nil {
			return struct{}{}, err
		}
		for _, p := range batch {
			p.h, p.err = nil, nil
			if r := found[p.HandoffID]; r != nil && waits(r, p.Attempt) && (undelivered(r) || p.Again) {
				p.h, p.err = r.h, errUnfinished // until it is: whoever carries may panic
			}
		}
		return struct{}{}, nil
	})
	return err
}

// carryTo takes parcels to one receiver.
func (e *Engine) carryTo(ctx context.Context, to string, batch []*parcel) {
	conn := e.peers[access.Department(to)]
	if conn == nil {
		for _, p := range batch {
			if p.err = e.failed(ctx, p.h, "no connection to "+to+" is configured"); p.err == nil {
				p.err = jobs.Again(lookForPeer)
			}
		}
		return
	}
	offerAll(ctx, conn, batch)
	var arrived []*parcel
	for _, p := range batch {
		gone, refused := refusal(p.err)
		switch {
		case p.err == nil:
			arrived = append(arrived, p)
		case refused:
			p.err = e.refused(ctx, p.h, gone, status.Convert(p.err).Message())
		default:
			p.err = errors.Join(fmt.Errorf("handoff: deliver to %s: %w", to, p.err), e.failed(ctx, p.h, problem.Status(ctx, p.err).Message()))
		}
	}
	e.delivered(ctx, arrived)
}

// outgoing reads an offer that still waits for its decision; nil when the attempt is over.
func (e *Engine) outgoing(ctx context.Context, id string, attempt int32) (*handoffv1.Handoff, error) {
	return store.Read(ctx, e.cfg.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
		r, err := find(ctx, tx, id, false)
		if err != nil || r == nil || !waits(r, attempt) {
			return nil, err
		}
		return r.h, nil
	})
}

// waits reports whether an attempt of ours still waits for its decision.
func waits(r *entry, attempt int32) bool {
	return r.side == Out && r.h.GetAttempt() == attempt && r.state() == Offered
}

// delivered notes that the receiver has the offers.
func (e *Engine) delivered(ctx context.Context, batch []*parcel) {
	// Rows that somebody else is at are left out and noted one by one: whoever waits for one lock holds no other.
	left := batch
	if len(batch) > 1 {
		unfinished(batch)
		rest, err := store.Write(ctx, e.cfg.DB, func(tx store.Tx) ([]*parcel, error) {
			found, err := findAll(ctx, tx, idsOf(batch), tx.Dialect().ForUpdateSkipLocked())
			if err != nil {
				return nil, err
			}
			var rest []*parcel
			for _, p := range batch {
				r := found[p.HandoffID]
				if r == nil {
					rest = append(rest, p)
				} else if err := e.noteAnswer(ctx, tx, r, p); err != nil {
					return nil, err
				}
			}
			return rest, nil
		})
		if err == nil { // else each by itself: one must not hold up the others
			for _, p := range batch {
				p.err = nil
			}
			unfinished(rest)
			left = rest
		}
	}
	for _, p := range left {
		_, p.err = store.Write(ctx, e.cfg.DB, func(tx store.Tx) (struct{}, error) {
			r, err := find(ctx, tx, p.HandoffID, true)
			if err != nil || r == nil {
				return struct{}{}, err
			}
			return struct{}{}, e.noteAnswer(ctx, tx, r, p)
		})
	}
}

// unfinished notes that work on parcels is under way: a panic must not look like its end.
func unfinished(batch []*parcel) {
	for _, p := range batch {
		p.err = errUnfinished
	}
}

// noteAnswer marks a row whose offer the receiver has taken, unless it is over or marked.
func (e *Engine) noteAnswer(ctx context.Context, tx store.Tx, r *entry, p *parcel) error {
	if r.h.GetAttempt() != p.h.GetAttempt() || !undelivered(r) {
		return nil
	}
	if err := e.arrived(ctx, tx, r); err != nil {
		return err
	}
	if r.h.AcceptDueAt == nil {
		r.h.AcceptDueAt, r.h.Policy, r.h.Calendar = p.taken.GetAcceptDueAt(), p.taken.GetPolicy(), p.taken.GetCalendar()
	}
	return r.save(tx, e.cfg.Clock.Now())
}

func undelivered(r *entry) bool { return r.h.GetDelivery() == handoffv1.Delivery_DELIVERY_PENDING }

// arrived marks a row as delivered and runs the hook, once per attempt: by the receiver's answer, or by its first event
// when that is quicker.
func (e *Engine) arrived(ctx context.Context, tx store.Tx, r *entry) error {
	r.h.Delivery, r.h.DeliveryProblem = handoffv1.Delivery_DELIVERY_DELIVERED, nil
	if cfg := e.kind(r.h.GetKind(), Out); cfg != nil && cfg.OnDelivered != nil {
		return cfg.OnDelivered(ctx, tx, r.h)
	}
	return nil
}

// refused turns an offer that the receiver found invalid into a returned one.
func (e *Engine) refused(ctx context.Context, sent *handoffv1.Handoff, gone []string, why string) error {
	_, err := store.Write(ctx, e.cfg.DB, func(tx store.Tx) (struct{}, error) {
		r, err := find(ctx, tx, sent.GetId(), true)
		if err != nil || r == nil || r.h.GetAttempt() != sent.GetAttempt() || r.state() != Offered {
			return struct{}{}, err
		}
		_, err = e.apply(ctx, tx, r, change{
			command: Return, note: why,
			by:       access.Actor{Kind: access.KindService, ID: "service:" + sent.GetTo()},
			decision: &handoffv1.Decision{Note: why, Missing: gone},
			prepare: func(h *handoffv1.Handoff, _ time.Time) error {
				h.Delivery, h.DeliveryProblem = handoffv1.Delivery_DELIVERY_REFUSED, nil
				return nil
			},
			hook:  e.decisionHook(ctx, tx, nil),
			event: func(h *handoffv1.Handoff) proto.Message { return &handoffv1.HandoffDecisionApplied{Handoff: h} },
		})
		return struct{}{}, err
	})
	return err
}

// refusal reports whether the receiver will never take the offer as it is, and the fields that it names.
func refusal(err error) (fields []string, refused bool) {
	if err == nil {
		return nil, false
	}
	st := status.Convert(err)
	switch st.Code() {
	case codes.InvalidArgument:
	case codes.FailedPrecondition:
		if problem.ReasonOf(err) != problem.ReasonPayloadIncomplete {
			return nil, false
		}
	default:
		return nil, false
	}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if m := d.GetMetadata()["missing"]; m != "" {
				fields = append(fields, strings.Split(m, ",")...)
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				fields = append(fields, withinPayload(v.GetField()))
			}
		}
	}
	return fields, true
}

// withinPayload cuts a path of the request down to one of the payload.
func withinPayload(path string) string {
	for _, kind := range []string{"mql", "meeting", "closed_won", "csql"} {
		if rest, ok := strings.CutPrefix(path, "handoff.payload."+kind+"."); ok {
			return rest
		}
	}
	return path
}

// recallArgs are those of the job that asks a receiver for an offer back.
type recallArgs struct {
	HandoffID string `json:"handoff_id"`
	Attempt   int32  `json:"attempt"`
	Note      string `json:"note,omitempty"`
	ByKind    string `json:"by_kind"`
	ByID      string `json:"by_id"`
	ByName    string `json:"by_name,omitempty"`
}

// Kind implements jobs.Args.
func (recallArgs) Kind() string { return "handoff.recall" }

// askBack asks the receiver for an offer back. Its answer comes by the feed, whatever it is.
func (e *Engine) askBack(ctx context.Context, job *jobs.Job[recallArgs]) error {
	h, err := e.outgoing(ctx, job.Args.HandoffID, job.Args.Attempt)
	if err != nil || h == nil {
		return err
	}
	conn := e.peers[access.Department(h.GetTo())]
	if conn == nil {
		return jobs.Again(lookForPeer)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	by := access.Actor{Kind: access.Kind(job.Args.ByKind), ID: job.Args.ByID, Name: job.Args.ByName}
	_, err = handoffv1.NewHandoffReceiverServiceClient(conn).Recall(ctx, &handoffv1.RecallRequest{
		Id: h.GetId(), Attempt: h.GetAttempt(), Note: job.Args.Note, By: by.Proto(),
	})
	switch {
	case err == nil, problem.ReasonOf(err) == problem.ReasonDecisionTaken:
		return nil
	case status.Code(err) == codes.NotFound: // the offer itself is still on its way
		return jobs.Again(time.Second)
	}
	return fmt.Errorf("handoff: recall from %s: %w", h.GetTo(), err)
}

// at is a timestamp as a time; zero when it is not set.
func at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// errAhead is an event about an attempt that this ledger has not made.
var errAhead = errors.New("handoff: the receiver's ledger is ahead of ours")
