package handoff

import (
	"fmt"
	"testing"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry/telemetrytest"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// What is reported is what is in the ledger, what was not delivered, and every clock that ran out.
func TestMeasures(t *testing.T) {
	telemetrytest.On()
	test := func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 15, 0))
		sender, receiver := worldAt(t, engine, now, nil)
		before := telemetrytest.Values(t)
		stopSender, stopReceiver := sender.engine.Measure(t.Context()), receiver.engine.Measure(t.Context())
		defer stopReceiver()
		defer stopSender()
		says := func(key string, want int64) {
			t.Helper()
			deadline := time.Now().Add(30 * time.Second)
			for {
				v, ok := telemetrytest.Values(t)[key]
				if ok && v == want+before[key] {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s is %d (%v), not %d", key, v, ok, want)
				}
				<-time.After(5 * time.Millisecond)
			}
		}
		open := func(d *department, side Side, state State, age string) string {
			return fmt.Sprintf("tasuki.handoff.open{age=%s,department=%s,kind=MQL,side=%s,state=%s}", age, d.name, side, state)
		}
		undelivered := fmt.Sprintf("tasuki.handoff.undelivered{department=%s,kind=MQL}", sender.name)
		oldest := fmt.Sprintf("tasuki.handoff.undelivered.age{department=%s,kind=MQL}", sender.name)
		says(open(receiver, In, Offered, "1h"), 0)
		says(undelivered, 0)

		id := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Hot = false }).GetId()
		h := receiver.waitState(id, Offered)
		sender.wait(id, "delivered", func(h *handoffv1.Handoff) bool { return h.GetDelivery() == handoffv1.Delivery_DELIVERY_DELIVERED })
		says(open(sender, Out, Offered, "1h"), 1)
		says(open(receiver, In, Offered, "1h"), 1)
		says(fmt.Sprintf("tasuki.handoff.transitions{department=%s,kind=MQL,side=IN,state=OFFERED}", receiver.name), 1)
		says(undelivered, 0)
		now.Advance(20 * time.Hour)
		says(open(receiver, In, Offered, "1h"), 0)
		says(open(receiver, In, Offered, "1d"), 1)
		if receiver.ringNow(h, acceptClock, h.GetAcceptDueAt()) {
			t.Error("the clock has not run out")
		}
		says(fmt.Sprintf("tasuki.handoff.breaches{clock=ACCEPT,department=%s,kind=MQL,step=ESCALATE}", receiver.name), 1)

		// What is still on its way by the feed tells the sender that the offer has arrived.
		sender.wait(id, "all breaches", func(h *handoffv1.Handoff) bool { return h.GetBreaches() == receiver.get(id).GetBreaches() })
		sender.exec(`UPDATE handoffs SET delivery = 'PENDING'`)
		says(undelivered, 1)
		says(oldest, int64((20 * time.Hour).Seconds()))
	}
	t.Run(string(store.SQLite), func(t *testing.T) { test(t, store.SQLite) })
	t.Run(string(store.Postgres), func(t *testing.T) { test(t, store.Postgres) })
}
