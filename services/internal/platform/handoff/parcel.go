package handoff

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

// mostTogether is how many offers at the most go in one call, and share a transaction on either side.
const mostTogether = 50

// errUnfinished is what became of a parcel of which nothing else is known, for instance after a panic.
var errUnfinished = errors.New("handoff: the delivery was not finished")

// parcel is an attempt on its way, and what became of it.
type parcel struct {
	deliverArgs
	// ctx is that of the job; its trace goes on at the receiver.
	ctx context.Context
	// h is what is offered; nil when nothing is left to deliver. taken is the receiver's answer.
	h, taken *handoffv1.Handoff
	err      error
	// batch arrives when it is this parcel's turn to carry; the channel is closed when another has carried it.
	batch chan []*parcel
}

func idsOf(batch []*parcel) []string {
	ids := make([]string, len(batch))
	for i, p := range batch {
		ids[i] = p.HandoffID
	}
	return ids
}

// gate lets one call at a time go to a receiver. Those who come meanwhile wait, and go together: the busier it is, the more
// of them share a call and its transactions, while a single offer goes at once.
type gate struct {
	mu      sync.Mutex
	busy    bool
	waiting []*parcel
}

// pass returns when the parcel was carried, by carry in this goroutine or by another who took it along, or when its context
// has ended.
func (g *gate) pass(p *parcel, carry func([]*parcel)) {
	batch := []*parcel{p}
	g.mu.Lock()
	if g.busy {
		p.batch = make(chan []*parcel, 1)
		g.waiting = append(g.waiting, p)
		g.mu.Unlock()
		if batch = g.wait(p); batch == nil {
			return
		}
	} else {
		g.busy = true
		g.mu.Unlock()
	}
	for _, p := range batch {
		p.err = errUnfinished
	}
	defer g.open(p, batch)
	carry(batch)
}

// wait returns what to carry, nil when there is nothing to do any more.
func (g *gate) wait(p *parcel) []*parcel {
	select {
	case batch := <-p.batch:
		return batch
	case <-p.ctx.Done():
	}
	g.mu.Lock()
	for i, w := range g.waiting {
		if w == p {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.mu.Unlock()
			p.err = p.ctx.Err()
			return nil
		}
	}
	g.mu.Unlock()
	return <-p.batch // somebody has it in hand
}

// open tells those who were carried, and lets the next go.
func (g *gate) open(leader *parcel, carried []*parcel) {
	for _, p := range carried {
		if p != leader {
			close(p.batch)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), mostTogether)
	if n == 0 {
		g.busy = false
		return
	}
	next := g.waiting[:n:n]
	g.waiting = append([]*parcel(nil), g.waiting[n:]...)
	next[0].batch <- next
}

func (e *Engine) gateTo(department string) *gate {
	g, _ := e.gates.LoadOrStore(department, &gate{})
	return g.(*gate)
}

// together is what a simulation lets a delivery take along. Its jobs find nothing to do when they run.
func (e *Engine) together(ctx context.Context, first deliverArgs) []*parcel {
	var along []*parcel
	for _, id := range e.cfg.Together(first.HandoffID) {
		along = append(along, &parcel{deliverArgs: deliverArgs{HandoffID: id, Attempt: first.Attempt}, ctx: ctx})
	}
	return along
}

// offerAll calls the receiver, and leaves its answer, or the error, in each parcel.
func offerAll(ctx context.Context, conn grpc.ClientConnInterface, batch []*parcel) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	client := handoffv1.NewHandoffReceiverServiceClient(conn)
	if len(batch) > 1 {
		err := offerTogether(ctx, client, batch)
		if err == nil {
			return
		}
		if status.Code(err) != codes.Unimplemented { // else the receiver is of the version before
			for _, p := range batch {
				p.err = err
			}
			return
		}
	}
	for _, p := range batch {
		p.taken, p.err = client.Offer(ctx, &handoffv1.OfferRequest{Handoff: p.h})
	}
}

func offerTogether(ctx context.Context, client handoffv1.HandoffReceiverServiceClient, batch []*parcel) error {
	req := &handoffv1.BatchOfferRequest{}
	for _, p := range batch {
		req.Offers = append(req.Offers, &handoffv1.BatchedOffer{Handoff: p.h, Traceparent: telemetry.Traceparent(p.ctx)}) //nolint:contextcheck // each goes on in its own trace
	}
	resp, err := client.BatchOffer(ctx, req)
	if err != nil {
		return err
	}
	if len(resp.GetOutcomes()) != len(batch) {
		return status.Errorf(codes.Internal, "%d offers were answered by %d outcomes", len(batch), len(resp.GetOutcomes()))
	}
	for i, p := range batch {
		outcome := resp.GetOutcomes()[i]
		p.taken, p.err = outcome.GetHandoff(), status.ErrorProto(outcome.GetError())
		if p.taken == nil && p.err == nil {
			p.err = errUnfinished
		}
	}
	return nil
}
