package handoff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// reasonIn is the reason of an outcome's error; none when it was done.
func reasonIn(s *spb.Status) problem.Reason { return problem.ReasonOf(status.FromProto(s).Err()) }

// Of many acceptances those that can be are done, with one reading and one transaction, and each other one says why not.
func TestBatchAccept(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		type read struct{}
		var together, without atomic.Int32
		sender, receiver := world(t, engine, func(_, _ *department, k *KindConfig) {
			k.BeforeHooks = func(ctx context.Context, _ store.Tx, handoffs []*handoffv1.Handoff) (context.Context, error) {
				if handoffs[0].GetDelivery() == handoffv1.Delivery_DELIVERY_UNSPECIFIED { // the sender reads decisions together, too
					together.Add(int32(len(handoffs)))
				}
				return context.WithValue(ctx, read{}, true), nil
			}
			k.OnAccepted = func(ctx context.Context, _ store.Tx, h *handoffv1.Handoff) (string, error) {
				if ctx.Value(read{}) == nil {
					without.Add(1)
				}
				return "work-item/of-" + h.GetId(), nil
			}
		})
		ids := make([]string, 6)
		for i := range ids {
			ids[i] = sender.offer(nil).GetId()
		}
		for _, id := range ids {
			receiver.waitState(id, Offered)
		}
		ctx := as(t, "sato")
		if _, err := receiver.desk.RejectHandoff(ctx, &handoffv1.RejectHandoffRequest{Id: ids[1], Reason: "NO_BUDGET"}); err != nil {
			t.Fatal(err)
		}
		unknown := uuid.NewString()
		resp, err := receiver.desk.BatchAcceptHandoffs(ctx, &handoffv1.BatchAcceptHandoffsRequest{Requests: []*handoffv1.AcceptHandoffRequest{
			{Id: ids[5], Note: "first"}, {Id: ids[1]}, {Id: unknown}, {Id: ids[0], Etag: "7"}, {Id: ids[2], WithGaps: true}, {Id: ids[4], Assignee: "kato"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range resp.GetOutcomes() {
			if o.GetError() != nil {
				got = append(got, reasonIn(o.GetError()).String())
				continue
			}
			h := o.GetHandoff()
			got = append(got, fmt.Sprintf("%s %s %s", stateOf(h.GetState()), h.GetAssignee(), h.GetReceiverSubject()))
		}
		want := []string{
			"ACCEPTED sato work-item/of-" + ids[5], "ERROR_REASON_DECISION_TAKEN", "ERROR_REASON_RESOURCE_NOT_FOUND", "ERROR_REASON_ETAG_MISMATCH", "ERROR_REASON_INVALID_FIELDS",
			"ACCEPTED kato work-item/of-" + ids[4],
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%q, want\n%q", got, want)
		}
		if together.Load() != 5 || without.Load() != 0 {
			t.Errorf("read together for %d handoffs, want 5; %d hooks ran without", together.Load(), without.Load())
		}
		for i, state := range []State{Offered, Rejected, Offered, Offered, Accepted, Accepted} {
			if here := stateOf(receiver.get(ids[i]).GetState()); here != state {
				t.Errorf("handoff %d is %s, want %s", i, here, state)
			}
			sender.waitState(ids[i], state)
		}
	})
}

// A hook that fails after it has written takes its own handoff back, and no other.
func TestBatchWithOneThatFails(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		var bad atomic.Value
		bad.Store("")
		sender, receiver := world(t, engine, func(_, _ *department, k *KindConfig) {
			k.OnAccepted = func(_ context.Context, tx store.Tx, h *handoffv1.Handoff) (string, error) {
				if h.GetId() == bad.Load() {
					tx.Queue(`UPDATE handoffs SET queue = 'spoiled'`)
					return "", problem.GuardNotMet("accept", "contact")
				}
				return "", nil
			}
		})
		ids := make([]string, 3)
		req := &handoffv1.BatchAcceptHandoffsRequest{}
		for i := range ids {
			ids[i] = sender.offer(nil).GetId()
			receiver.waitState(ids[i], Offered)
			req.Requests = append(req.Requests, &handoffv1.AcceptHandoffRequest{Id: ids[i]})
		}
		bad.Store(ids[1])
		resp, err := receiver.desk.BatchAcceptHandoffs(as(t, "sato"), req)
		if err != nil || len(resp.GetOutcomes()) != 3 || reasonIn(resp.GetOutcomes()[1].GetError()) != problem.ReasonGuardNotMet {
			t.Fatalf("%v, %v", resp, err)
		}
		for i, state := range []State{Accepted, Offered, Accepted} {
			if h := receiver.get(ids[i]); stateOf(h.GetState()) != state || h.GetQueue() == "spoiled" {
				t.Errorf("handoff %d is %s in queue %q, want %s", i, stateOf(h.GetState()), h.GetQueue(), state)
			}
		}
		sender.waitState(ids[2], Accepted)
		if n := count(sender.seen(), "decision ACCEPTED"); n > 2 {
			t.Errorf("the sender heard of %d acceptances", n)
		}
	})
}

// Assigning and refusing many are the same as accepting many; nothing is done twice in one call.
func TestBatchAssignAndReject(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		ids := []string{sender.offer(nil).GetId(), sender.offer(nil).GetId()}
		for _, id := range ids {
			receiver.waitState(id, Offered)
		}
		ctx := as(t, "sato")
		assigned, err := receiver.desk.BatchAssignHandoffs(ctx, &handoffv1.BatchAssignHandoffsRequest{Requests: []*handoffv1.AssignHandoffRequest{
			{Id: ids[0], Assignee: "kato"}, {Id: ids[1], Assignee: "mori"},
		}})
		if err != nil || assigned.GetOutcomes()[0].GetHandoff().GetAssignee() != "kato" || assigned.GetOutcomes()[1].GetHandoff().GetAssignee() != "mori" {
			t.Fatalf("%v, %v", assigned, err)
		}
		twice := &handoffv1.BatchRejectHandoffsRequest{Requests: []*handoffv1.RejectHandoffRequest{
			{Id: ids[0], Reason: "NO_BUDGET"}, {Id: ids[0], Reason: "BAD_TIMING"},
		}}
		if _, err := receiver.desk.BatchRejectHandoffs(ctx, twice); status.Code(err) != codes.InvalidArgument {
			t.Errorf("one handoff twice: %v", err)
		}
		twice.Requests[1].Id = ids[1]
		twice.Requests[0].Reason = "NO_SUCH_REASON"
		rejected, err := receiver.desk.BatchRejectHandoffs(ctx, twice)
		if err != nil || reasonIn(rejected.GetOutcomes()[0].GetError()) != problem.ReasonReasonUnknown || rejected.GetOutcomes()[1].GetHandoff().GetDecision().GetReason() != "BAD_TIMING" {
			t.Fatalf("%v, %v", rejected, err)
		}
		sender.waitState(ids[1], Rejected)
	})
}

// Of commands for many that meet on the same handoffs one wins each, and none waits for ever for the other.
func TestBatchesThatMeet(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		ids := make([]string, 5)
		for i := range ids {
			ids[i] = sender.offer(nil).GetId()
		}
		for _, id := range ids {
			receiver.waitState(id, Offered)
		}
		ctx := as(t, "sato")
		var won, lost atomic.Int32
		var wg sync.WaitGroup
		for i := range 12 {
			order := slices.Clone(ids)
			if i%2 == 1 {
				slices.Reverse(order)
			}
			wg.Go(func() {
				req := &handoffv1.BatchAcceptHandoffsRequest{}
				for _, id := range order {
					req.Requests = append(req.Requests, &handoffv1.AcceptHandoffRequest{Id: id})
				}
				resp, err := receiver.desk.BatchAcceptHandoffs(ctx, req)
				if err != nil {
					t.Error(err)
				}
				for _, o := range resp.GetOutcomes() {
					switch {
					case o.GetHandoff() != nil:
						won.Add(1)
					case reasonIn(o.GetError()) == problem.ReasonDecisionTaken:
						lost.Add(1)
					default:
						t.Errorf("an outcome is %v", o)
					}
				}
			})
		}
		wg.Wait()
		if won.Load() != 5 || lost.Load() != 55 {
			t.Errorf("%d won and %d lost, want 5 and 55", won.Load(), lost.Load())
		}
	})
}

// An error that is nobody's fault is for all, and nothing is stored.
func TestBatchWithABug(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		var broken atomic.Bool
		sender, receiver := world(t, engine, func(_, _ *department, k *KindConfig) {
			k.OnAccepted = func(context.Context, store.Tx, *handoffv1.Handoff) (string, error) {
				if broken.Load() {
					return "", errors.New("a bug")
				}
				return "", nil
			}
		})
		ids := []string{sender.offer(nil).GetId(), sender.offer(nil).GetId()}
		req := &handoffv1.BatchAcceptHandoffsRequest{}
		for _, id := range ids {
			receiver.waitState(id, Offered)
			req.Requests = append(req.Requests, &handoffv1.AcceptHandoffRequest{Id: id})
		}
		broken.Store(true)
		if _, err := receiver.desk.BatchAcceptHandoffs(as(t, "sato"), req); status.Code(err) != codes.Internal {
			t.Errorf("%v", err)
		}
		for _, id := range ids {
			if got := stateOf(receiver.get(id).GetState()); got != Offered {
				t.Errorf("it is %s", got)
			}
		}
	})
}
