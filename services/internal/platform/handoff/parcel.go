package handoff

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
	"github.com/tasuki-project/tasuki/services/internal/platform/together"
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
}

func idsOf(batch []*parcel) []string {
	ids := make([]string, len(batch))
	for i, p := range batch {
		ids[i] = p.HandoffID
	}
	return ids
}

// gateTo lets one call at a time go to a receiver, and those that wait meanwhile go together.
func (e *Engine) gateTo(department string) *together.Gate[*parcel] {
	g, _ := e.gates.LoadOrStore(department, together.NewGate[*parcel](1, mostTogether))
	return g.(*together.Gate[*parcel])
}

// alongside is what a simulation lets a delivery take along. Its jobs find nothing to do when they run.
func (e *Engine) alongside(ctx context.Context, first deliverArgs) []*parcel {
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
