package handoff

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

func count(hooks []string, what string) int {
	n := 0
	for _, h := range hooks {
		if h == what {
			n++
		}
	}
	return n
}

func TestFromOfferToFulfilment(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		offered := sender.offer(nil)
		if offered.GetState() != handoffv1.State_STATE_OFFERED || offered.GetAttempt() != 1 || offered.GetEtag() != "1" ||
			offered.GetChainId() != offered.GetId() || offered.GetOfferedBy().GetId() != "tanaka" || offered.GetCompleteness().GetScore() != 100 {
			t.Errorf("offered %v", offered)
		}
		got := receiver.waitState(offered.GetId(), Offered)
		if got.GetReceiverSubject() != "work-item/"+got.GetId() || got.GetDelivery() != handoffv1.Delivery_DELIVERY_UNSPECIFIED ||
			got.GetFrom() != "marketing" || got.GetTo() != "inside-sales" || !proto.Equal(got.GetPayload(), offered.GetPayload()) ||
			!proto.Equal(got.GetOfferedAt(), offered.GetOfferedAt()) {
			t.Errorf("received %v", got)
		}
		sender.wait(offered.GetId(), "delivered", func(h *handoffv1.Handoff) bool {
			return h.GetDelivery() == handoffv1.Delivery_DELIVERY_DELIVERED
		})

		ctx := as(t, "sato")
		if h, err := receiver.desk.AssignHandoff(ctx, &handoffv1.AssignHandoffRequest{Id: got.GetId(), Etag: got.GetEtag(), Assignee: "suzuki"}); err != nil || h.GetAssignee() != "suzuki" {
			t.Fatal(h, err)
		}
		_, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: got.GetId(), Etag: got.GetEtag()})
		if status.Code(err) != codes.Aborted || problem.ReasonOf(err) != problem.ReasonEtagMismatch {
			t.Errorf("a stale etag gives %v", err)
		}
		h, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: got.GetId(), Note: "すぐ連絡します"})
		if err != nil || stateOf(h.GetState()) != Accepted || h.GetAssignee() != "sato" || h.GetDecision().GetBy().GetId() != "sato" || h.GetDecidedAt() == nil {
			t.Fatal(h, err)
		}
		here := sender.waitState(offered.GetId(), Accepted)
		if here.GetDecision().GetNote() != "すぐ連絡します" || here.GetDecision().GetBy().GetId() != "sato" || here.GetAssignee() != "sato" ||
			here.GetReceiverSubject() != got.GetReceiverSubject() || !proto.Equal(here.GetDecidedAt(), h.GetDecidedAt()) {
			t.Errorf("the sender has %v", here)
		}
		for range 2 { // the second time does nothing
			if _, err := store.Write(ctx, receiver.db, func(tx store.Tx) (*handoffv1.Handoff, error) {
				return receiver.engine.Fulfil(ctx, tx, got.GetId(), "called")
			}); err != nil {
				t.Fatal(err)
			}
		}
		if here = sender.waitState(offered.GetId(), Fulfilled); here.GetFulfilledAt() == nil {
			t.Errorf("the sender has %v", here)
		}
		if hooks := strings.Join(receiver.seen(), ", "); hooks != "received, assigned, accepted, fulfilled" {
			t.Errorf("hooks of the receiver: %s", hooks)
		}
		if hooks := strings.Join(sender.seen(), ", "); hooks != "delivered, decision ACCEPTED, decision FULFILLED" {
			t.Errorf("hooks of the sender: %s", hooks)
		}
		for _, d := range []*department{sender, receiver} {
			past, err := d.desk.GetHandoff(ctx, &handoffv1.GetHandoffRequest{Id: got.GetId()})
			if err != nil || len(past.GetAttempts()) != 1 || past.GetAttempts()[0].GetDecision().GetBy().GetId() != "sato" {
				t.Fatal(past, err)
			}
			var steps []string
			for _, s := range past.GetTransitions() {
				steps = append(steps, s.GetFrom()+">"+s.GetTo())
			}
			if s := strings.Join(steps, " "); s != ">OFFERED OFFERED>ACCEPTED ACCEPTED>FULFILLED" {
				t.Errorf("%s: %s", d.name, s)
			}
		}
	})
}

func TestOfferIsPartOfTheTransaction(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		lost := ""
		_, err := store.Write(t.Context(), sender.db, func(tx store.Tx) (struct{}, error) {
			h, err := sender.engine.Offer(t.Context(), tx, NewOffer{Kind: handoffv1.Kind_KIND_MQL, JourneyID: "j", Payload: full()[handoffv1.Kind_KIND_MQL]})
			lost = h.GetId()
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, context.Canceled
		})
		if err == nil {
			t.Fatal("it should have failed")
		}
		arrives := sender.offer(nil)
		receiver.waitState(arrives.GetId(), Offered)
		if sender.get(lost) != nil || receiver.get(lost) != nil {
			t.Error("an offer that was rolled back is there")
		}
		for name, change := range map[string]func(*NewOffer){
			"kind":    func(o *NewOffer) { o.Kind = handoffv1.Kind_KIND_CSQL },
			"journey": func(o *NewOffer) { o.JourneyID = "" },
			"to":      func(o *NewOffer) { o.To = "field-sales" },
			"payload": func(o *NewOffer) { o.Payload = full()[handoffv1.Kind_KIND_CSQL] },
		} {
			if _, err := sender.tryOffer(change); err == nil {
				t.Errorf("wrong %s was taken", name)
			}
		}
		_, err = sender.tryOffer(func(o *NewOffer) { o.Payload.GetMql().Company.Name, o.Payload.GetMql().QualifyingAction = "", "" })
		if problem.ReasonOf(err) != problem.ReasonPayloadIncomplete || !strings.Contains(err.Error(), "company.name,qualifying_action") {
			t.Errorf("below the floor: %v", err)
		}
	})
}

// The same offer delivered many times at once, answers that are lost, and attempts that come late: it is received once.
func TestReceivedExactlyOnce(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		var lost atomic.Int32
		sender, receiver := world(t, engine, func(_, receiver *department, _ *KindConfig) {
			receiver.answer = func(method string, err error) error {
				// The receiver has committed, and the sender never hears of it: a crash before the acknowledgement.
				if strings.HasSuffix(method, "/Offer") && err == nil && lost.Add(1) <= 2 {
					return status.Error(codes.Unavailable, "the connection broke")
				}
				return err
			}
		})
		offered := sender.offer(nil)
		sender.wait(offered.GetId(), "delivered", func(h *handoffv1.Handoff) bool {
			return h.GetDelivery() == handoffv1.Delivery_DELIVERY_DELIVERED
		})
		client := handoffv1.NewHandoffReceiverServiceClient(receiver.conn)
		other := proto.CloneOf(offered)
		other.Id = "0198f2a0-0000-7000-8000-00000000000f"
		other.ChainId = other.Id
		other.Attempt = 2
		if _, err := client.Offer(t.Context(), &handoffv1.OfferRequest{Handoff: other}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for _, h := range []*handoffv1.Handoff{offered, other} {
					h = proto.CloneOf(h)
					if i%5 == 0 {
						h.Attempt = 1 // for the other one an attempt that comes late
					}
					if _, err := client.Offer(t.Context(), &handoffv1.OfferRequest{Handoff: h}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := count(receiver.seen(), "received"); n != 2 {
			t.Errorf("received %d times", n)
		}
		if n := count(sender.seen(), "delivered"); n != 1 {
			t.Errorf("delivered %d times", n)
		}
		list, err := receiver.desk.ListHandoffs(as(t, "x"), &handoffv1.ListHandoffsRequest{Box: handoffv1.Box_BOX_INBOX})
		if err != nil || len(list.GetHandoffs()) != 2 {
			t.Errorf("the inbox has %v, %v", list, err)
		}
	})
}

func TestReject(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		id := sender.offer(nil).GetId()
		receiver.waitState(id, Offered)
		ctx := as(t, "sato")
		_, err := receiver.desk.RejectHandoff(ctx, &handoffv1.RejectHandoffRequest{Id: id, Reason: "NO_SHOW"})
		if problem.ReasonOf(err) != problem.ReasonReasonUnknown || status.Code(err) != codes.InvalidArgument {
			t.Errorf("a reason of another kind gives %v", err)
		}
		before := time.Now()
		h, err := receiver.desk.RejectHandoff(ctx, &handoffv1.RejectHandoffRequest{Id: id, Reason: "NO_BUDGET", Note: "来期"})
		if err != nil {
			t.Fatal(err)
		}
		if days := h.GetDecision().GetWakeAt().AsTime().Sub(before).Hours() / 24; days < 89 || days > 91 {
			t.Errorf("it wakes after %f days", days)
		}
		here := sender.waitState(id, Rejected)
		if here.GetDecision().GetReason() != "NO_BUDGET" || here.GetDecision().GetNote() != "来期" || here.GetDecision().GetWakeAt() == nil {
			t.Errorf("the sender has %v", here)
		}
		if !slices.Contains(sender.seen(), "decision REJECTED ACTION_RECYCLE") {
			t.Errorf("hooks of the sender: %v", sender.seen())
		}
		_, err = receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id})
		if problem.ReasonOf(err) != problem.ReasonDecisionTaken {
			t.Errorf("accepting it now gives %v", err)
		}
		_, err = receiver.desk.FulfilHandoff(ctx, &handoffv1.FulfilHandoffRequest{Id: id, Note: "x"})
		if problem.ReasonOf(err) != problem.ReasonIllegalTransition {
			t.Errorf("fulfilling it now gives %v", err)
		}
		_, err = sender.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id})
		if problem.ReasonOf(err) != problem.ReasonIllegalTransition {
			t.Errorf("accepting at the sender gives %v", err)
		}
		_, err = receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: "0198f2a0-0000-7000-8000-000000000001"})
		if status.Code(err) != codes.NotFound {
			t.Errorf("an unknown handoff gives %v", err)
		}
	})
}

// Returned by a person, completed, offered again, accepted.
func TestReturnAndResubmit(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		id := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Company.Domain = "" }).GetId()
		if h := receiver.waitState(id, Offered); h.GetCompleteness().GetScore() != 90 || h.GetCompleteness().GetMissing()[0] != "company.domain" {
			t.Errorf("completeness %v", h.GetCompleteness())
		}
		ctx := as(t, "sato")
		if _, err := receiver.desk.ReturnHandoff(ctx, &handoffv1.ReturnHandoffRequest{Id: id, Missing: []string{"company.domain"}}); err != nil {
			t.Fatal(err)
		}
		if h := sender.waitState(id, Returned); !slices.Equal(h.GetDecision().GetMissing(), []string{"company.domain"}) {
			t.Errorf("the sender has %v", h)
		}
		h, err := sender.desk.ResubmitHandoff(as(t, "tanaka"), &handoffv1.ResubmitHandoffRequest{Id: id, Payload: full()[handoffv1.Kind_KIND_MQL], Note: "補足"})
		if err != nil || h.GetAttempt() != 2 || stateOf(h.GetState()) != Offered || h.GetDecision() != nil {
			t.Fatal(h, err)
		}
		receiver.wait(id, "attempt 2", func(h *handoffv1.Handoff) bool { return h.GetAttempt() == 2 && h.GetCompleteness().GetScore() == 100 })
		if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		sender.waitState(id, Accepted)
		for _, d := range []*department{sender, receiver} {
			past, err := d.desk.GetHandoff(ctx, &handoffv1.GetHandoffRequest{Id: id})
			if err != nil || len(past.GetAttempts()) != 2 || len(past.GetTransitions()) != 4 ||
				stateOf(past.GetAttempts()[0].GetDecision().GetState()) != Returned || past.GetAttempts()[0].GetPayload().GetMql().GetCompany().GetDomain() != "" {
				t.Errorf("%s: %v, %v", d.name, past, err)
			}
		}
		if n := count(receiver.seen(), "received"); n != 2 {
			t.Errorf("received %d times", n)
		}
	})
}

// The receiver asks for more than the sender does: its refusal comes back as RETURNED, with the fields.
func TestRefusedAsIncomplete(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		receiver.engine.kinds[handoffv1.Kind_KIND_MQL].Floor = []string{"company.domain", "person.title"}
		id := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Company.Domain = "" }).GetId()
		h := sender.waitState(id, Returned)
		if h.GetDelivery() != handoffv1.Delivery_DELIVERY_REFUSED || !slices.Equal(h.GetDecision().GetMissing(), []string{"company.domain"}) ||
			h.GetDecision().GetBy().GetId() != "service:inside-sales" {
			t.Errorf("the sender has %v", h)
		}
		if receiver.get(id) != nil {
			t.Error("the receiver has it")
		}
		if !slices.Contains(sender.seen(), "decision RETURNED") {
			t.Errorf("hooks of the sender: %v", sender.seen())
		}
		if _, err := sender.desk.ResubmitHandoff(as(t, "tanaka"), &handoffv1.ResubmitHandoffRequest{Id: id, Payload: full()[handoffv1.Kind_KIND_MQL]}); err != nil {
			t.Fatal(err)
		}
		if h := receiver.waitState(id, Offered); h.GetAttempt() != 2 {
			t.Errorf("the receiver has %v", h)
		}
	})
}

func TestRecall(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		first, second := sender.offer(nil).GetId(), sender.offer(nil).GetId()
		receiver.waitState(first, Offered)
		receiver.waitState(second, Offered)
		for range 2 { // asking twice is asking once
			h, err := sender.desk.RecallHandoff(as(t, "tanaka"), &handoffv1.RecallHandoffRequest{Id: first, Note: "誤送信"})
			if err != nil && problem.ReasonOf(err) != problem.ReasonDecisionTaken { // the answer may be quicker
				t.Fatal(h, err)
			}
		}
		if h := sender.waitState(first, Recalled); h.GetDecision().GetBy().GetId() != "tanaka" || h.GetDecision().GetNote() != "誤送信" {
			t.Errorf("the sender has %v", h)
		}
		receiver.waitState(first, Recalled)
		if count(receiver.seen(), "recalled") != 1 {
			t.Errorf("hooks of the receiver: %v", receiver.seen())
		}
		// Too late: the receiver's decision stands, whatever the sender knew.
		if _, err := receiver.desk.AcceptHandoff(as(t, "sato"), &handoffv1.AcceptHandoffRequest{Id: second}); err != nil {
			t.Fatal(err)
		}
		_, err := handoffv1.NewHandoffReceiverServiceClient(receiver.conn).Recall(t.Context(), &handoffv1.RecallRequest{Id: second, Attempt: 1})
		if problem.ReasonOf(err) != problem.ReasonDecisionTaken {
			t.Errorf("recalling too late gives %v", err)
		}
		sender.waitState(second, Accepted)
	})
}

func TestHookErrorsRollBack(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		var broken atomic.Bool
		broken.Store(true)
		sender, receiver := world(t, engine, func(_, _ *department, k *KindConfig) {
			k.OnAccepted = func(context.Context, store.Tx, *handoffv1.Handoff) (string, error) {
				if broken.Load() {
					return "", problem.GuardNotMet("accept", "OWNER")
				}
				return "account/1", nil
			}
		})
		id := sender.offer(nil).GetId()
		receiver.waitState(id, Offered)
		ctx := as(t, "sato")
		if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id}); problem.ReasonOf(err) != problem.ReasonGuardNotMet {
			t.Errorf("the hook's error comes as %v", err)
		}
		if h := receiver.get(id); stateOf(h.GetState()) != Offered {
			t.Errorf("it is %v", h)
		}
		broken.Store(false)
		h, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id})
		if err != nil || h.GetReceiverSubject() != "account/1" {
			t.Fatal(h, err)
		}
	})
}
