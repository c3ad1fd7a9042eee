package handoff

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// calls counts what a receiver is asked, and keeps the first answer back until the test lets it go.
type calls struct {
	alone, together atomic.Int32
	begun, letGo    chan struct{}
	once            sync.Once
}

func newCalls() *calls { return &calls{begun: make(chan struct{}), letGo: make(chan struct{})} }

func (c *calls) answer(method string, err error) error {
	switch {
	case strings.HasSuffix(method, "/Offer"):
		c.alone.Add(1)
	case strings.HasSuffix(method, "/BatchOffer"):
		c.together.Add(1)
	default:
		return err
	}
	c.once.Do(func() { close(c.begun); <-c.letGo })
	return err
}

// While one delivery is under way others wait, and then go together: each is received once, also when one among them is
// refused.
func TestWaitingOffersGoTogether(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		const n = 12
		c := newCalls()
		sender, receiver := world(t, engine, func(_, receiver *department, _ *KindConfig) { receiver.answer = c.answer })
		receiver.engine.kinds[handoffv1.Kind_KIND_MQL].Floor = []string{"company.domain"}
		ids := []string{sender.offer(nil).GetId()}
		<-c.begun
		bad := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Company.Domain = "" }).GetId()
		for range n {
			ids = append(ids, sender.offer(nil).GetId())
		}
		gate := sender.engine.gateTo("inside-sales")
		eventually(t, "all wait at the gate", func() bool { return gate.Waiting() == n+1 })
		close(c.letGo)
		for _, id := range ids {
			sender.wait(id, "delivered", func(h *handoffv1.Handoff) bool { return h.GetDelivery() == handoffv1.Delivery_DELIVERY_DELIVERED })
			receiver.waitState(id, Offered)
		}
		if h := sender.waitState(bad, Returned); !slices.Equal(h.GetDecision().GetMissing(), []string{"company.domain"}) || receiver.get(bad) != nil {
			t.Errorf("the incomplete one is %v at the sender, and %v at the receiver", h, receiver.get(bad))
		}
		if c.alone.Load() != 1 || c.together.Load() != 1 {
			t.Errorf("%d calls for one offer, %d for several", c.alone.Load(), c.together.Load())
		}
		if r, d := count(receiver.seen(), "received"), count(sender.seen(), "delivered"); r < n+1 || d != n+1 {
			t.Errorf("received %d times, delivered %d times", r, d)
		}
		if told := receiver.told("HandoffReceived"); told != n+1 {
			t.Errorf("told %d times that a handoff was received", told)
		}
	})
}

// A panic of whoever carries others along is no end of their deliveries.
func TestPanicOfACarrier(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		c := newCalls()
		var delivered atomic.Int32
		sender, _ := world(t, engine, func(sender, receiver *department, k *KindConfig) {
			receiver.answer = c.answer
			noted := sender.hook("delivered")
			k.OnDelivered = func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
				if delivered.Add(1) == 3 { // in the batch
					panic("a bug")
				}
				return noted(ctx, tx, h)
			}
		})
		ids := []string{sender.offer(nil).GetId()}
		<-c.begun
		for range 5 {
			ids = append(ids, sender.offer(nil).GetId())
		}
		gate := sender.engine.gateTo("inside-sales")
		eventually(t, "all wait at the gate", func() bool { return gate.Waiting() == 5 })
		close(c.letGo)
		for _, id := range ids {
			sender.wait(id, "delivered", func(h *handoffv1.Handoff) bool { return h.GetDelivery() == handoffv1.Delivery_DELIVERY_DELIVERED })
		}
	})
}

// A receiver of the version before has no call for several offers, and gets one after the other.
func TestOldReceiver(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		c := newCalls()
		sender, receiver := world(t, engine, func(_, receiver *department, _ *KindConfig) {
			receiver.answer = func(method string, err error) error {
				if err := c.answer(method, err); !strings.HasSuffix(method, "/BatchOffer") {
					return err
				}
				return status.Error(codes.Unimplemented, "unknown method BatchOffer")
			}
			receiver.refuse = func(method string) bool { return strings.HasSuffix(method, "/BatchOffer") }
		})
		ids := []string{sender.offer(nil).GetId()}
		<-c.begun
		for range 5 {
			ids = append(ids, sender.offer(nil).GetId())
		}
		gate := sender.engine.gateTo("inside-sales")
		eventually(t, "all wait at the gate", func() bool { return gate.Waiting() == 5 })
		close(c.letGo)
		for _, id := range ids {
			receiver.waitState(id, Offered)
			sender.wait(id, "delivered", func(h *handoffv1.Handoff) bool { return h.GetDelivery() == handoffv1.Delivery_DELIVERY_DELIVERED })
		}
		if c.alone.Load() != 6 || c.together.Load() != 1 {
			t.Errorf("%d calls for one offer, %d for several", c.alone.Load(), c.together.Load())
		}
	})
}

// The same offers in many calls at once, each in another order, and single ones between them: each is received once.
func TestBatchesOverlap(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		const n = 8
		sender, receiver := world(t, engine, func(sender, _ *department, _ *KindConfig) { sender.deaf = true })
		client := handoffv1.NewHandoffReceiverServiceClient(receiver.conn)
		var offers []*handoffv1.BatchedOffer
		for range n {
			h := proto.CloneOf(sender.offer(nil))
			offers = append(offers, &handoffv1.BatchedOffer{Handoff: h})
		}
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				mine := slices.Clone(offers)
				rand.Shuffle(n, func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
				resp, err := client.BatchOffer(t.Context(), &handoffv1.BatchOfferRequest{Offers: mine})
				if err != nil {
					t.Error(err)
					return
				}
				for i, o := range resp.GetOutcomes() {
					if o.GetHandoff().GetId() != mine[i].GetHandoff().GetId() {
						t.Errorf("outcome %d is %v", i, o)
					}
				}
				if _, err := client.Offer(t.Context(), &handoffv1.OfferRequest{Handoff: mine[0].GetHandoff()}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if told := receiver.told("HandoffReceived"); told != n {
			t.Errorf("told %d times that a handoff was received", told)
		}
		_, err := client.BatchOffer(t.Context(), &handoffv1.BatchOfferRequest{Offers: []*handoffv1.BatchedOffer{offers[0], offers[0]}})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("the same handoff twice in a call: %v", err)
		}
	})
}
