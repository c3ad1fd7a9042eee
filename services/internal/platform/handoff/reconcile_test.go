package handoff

import (
	"slices"
	"strings"
	"testing"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// reconcile compares the ledgers and returns what was found, by handoff.
func (d *department) reconcile(dryRun bool) (*handoffv1.PeerReconciliation, map[string]string) {
	d.t.Helper()
	resp, err := d.desk.ReconcileHandoffs(as(d.t, "admin"), &handoffv1.ReconcileHandoffsRequest{DryRun: dryRun})
	if err != nil || len(resp.GetPeers()) != 1 {
		d.t.Fatal(resp, err)
	}
	found := map[string]string{}
	for _, x := range resp.GetPeers()[0].GetDifferences() {
		mended := ""
		if x.GetMended() {
			mended = " mended"
		}
		if x.GetDescription().GetJa() == "" || x.GetDescription().GetEn() == "" {
			d.t.Errorf("%v is not described", x)
		}
		found[x.GetHandoffId()] = strings.TrimPrefix(x.GetFinding().String(), "FINDING_") + " | " + x.GetSender() + " | " + x.GetReceiver() + mended
	}
	return resp.GetPeers()[0], found
}

// lose makes a ledger forget a handoff.
func (d *department) lose(id string) {
	d.exec(`DELETE FROM handoffs WHERE id = $1`, id)
	d.exec(`DELETE FROM handoff_attempts WHERE handoff_id = $1`, id)
	d.exec(`DELETE FROM handoff_transitions WHERE handoff_id = $1`, id)
}

func TestReconcile(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 9, 0))
		sender, receiver := worldAt(t, engine, now, func(sender, _ *department, _ *KindConfig) { sender.deaf = true })
		var ids []string
		for range 7 {
			id := sender.offer(nil).GetId()
			sender.wait(id, "delivered", func(h *handoffv1.Handoff) bool { return h.GetDelivery() == handoffv1.Delivery_DELIVERY_DELIVERED })
			ids = append(ids, id)
		}
		accepted, rejected, fulfilled, lost, unknown, gone := ids[0], ids[1], ids[2], ids[3], ids[4], ids[5]
		ctx := as(t, "sato")
		for _, id := range []string{accepted, fulfilled} {
			if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := receiver.desk.FulfilHandoff(ctx, &handoffv1.FulfilHandoffRequest{Id: fulfilled, Note: "called"}); err != nil {
			t.Fatal(err)
		}
		if _, err := receiver.desk.RejectHandoff(ctx, &handoffv1.RejectHandoffRequest{Id: rejected, Reason: "NO_BUDGET"}); err != nil {
			t.Fatal(err)
		}
		if _, found := sender.reconcile(false); len(found) != 0 {
			t.Errorf("decisions that are on their way are reported: %v", found)
		}
		now.Advance(2 * time.Minute)
		receiver.lose(lost)
		sender.lose(unknown)
		if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: gone}); err != nil {
			t.Fatal(err)
		}
		now.Advance(2 * time.Minute)
		want := map[string]string{
			accepted:  "DECISION_NOT_APPLIED | 1 OFFERED | 1 ACCEPTED",
			gone:      "DECISION_NOT_APPLIED | 1 OFFERED | 1 ACCEPTED",
			rejected:  "DECISION_NOT_APPLIED | 1 OFFERED | 1 REJECTED",
			fulfilled: "DECISION_NOT_APPLIED | 1 OFFERED | 1 FULFILLED",
			lost:      "MISSING_AT_RECEIVER | 1 OFFERED | ",
			unknown:   "MISSING_AT_SENDER |  | 1 OFFERED",
		}
		report, found := sender.reconcile(true)
		if report.GetMended() != 0 || report.GetCompared() != 7 || report.GetDifferent() != int64(len(want)) || report.GetError() != "" {
			t.Errorf("the dry run reports %v", report)
		}
		for id, w := range want {
			if found[id] != w {
				t.Errorf("dry: %q, want %q", found[id], w)
			}
		}
		report, found = sender.reconcile(false)
		if report.GetMended() != 5 {
			t.Errorf("%d mended of %v", report.GetMended(), found)
		}
		for id, w := range want {
			if id != unknown {
				w += " mended"
			}
			if found[id] != w {
				t.Errorf("%q, want %q", found[id], w)
			}
		}
		for id, s := range map[string]State{accepted: Accepted, rejected: Rejected, fulfilled: Fulfilled, lost: Offered} {
			if h := sender.get(id); stateOf(h.GetState()) != s {
				t.Errorf("the sender has %v, want %s", h, s)
			}
		}
		if n := count(sender.seen(), "decision REJECTED ACTION_RECYCLE"); n != 1 {
			t.Errorf("the sender acted on the refusal %d times: %v", n, sender.seen())
		}
		receiver.waitState(lost, Offered)
		receiver.lose(gone) // now that it was decided, nobody can bring it back
		report, found = sender.reconcile(false)
		if len(found) != 2 || found[gone] != "MISSING_AT_RECEIVER | 1 ACCEPTED | " || found[unknown] == "" || report.GetMended() != 0 {
			t.Errorf("what cannot be mended: %v", found)
		}
		if n := count(sender.seen(), "delivered"); n != 7 {
			t.Errorf("OnDelivered ran %d times for 7 offers", n)
		}
	})
}

// The night does the same by itself, and leaves the job of the next night.
func TestNight(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 9, 0))
		sender, receiver := worldAt(t, engine, now, func(sender, _ *department, _ *KindConfig) { sender.deaf = true })
		id := sender.offer(nil).GetId()
		receiver.waitState(id, Offered)
		if _, err := receiver.desk.AcceptHandoff(as(t, "sato"), &handoffv1.AcceptHandoffRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		// What changes while it is compared is left for the next night.
		sender.wait(id, "delivered", func(h *handoffv1.Handoff) bool { return h.GetDelivery() == handoffv1.Delivery_DELIVERY_DELIVERED })
		now.Advance(time.Hour)
		for range 2 { // starting twice is one night
			if err := sender.engine.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		night := time.Now().UTC().Truncate(24 * time.Hour)
		if err := sender.engine.reconcile(t.Context(), &jobs.Job[reconcileArgs]{Args: reconcileArgs{Night: night}}); err != nil {
			t.Fatal(err)
		}
		sender.waitState(id, Accepted)
		n, err := store.Read(t.Context(), sender.db, func(tx store.Tx) (int64, error) {
			return store.Get[int64](t.Context(), tx, `SELECT COUNT(*) FROM river_job WHERE kind = 'handoff.reconcile'`)
		})
		if err != nil || n != 1 {
			t.Errorf("%d nights are planned, %v", n, err)
		}
	})
}

// lateAttempts are those that the receiver shows in the end, by what was decided on the first.
var lateAttempts = map[State][]string{
	Offered:   {"1 RETURNED tanaka", "2 ACCEPTED sato"},
	Accepted:  {"1 ACCEPTED sato", "2 ACCEPTED sato"},
	Fulfilled: {"1 ACCEPTED sato", "2 ACCEPTED sato"},
	Rejected:  {"1 REJECTED sato", "2 REJECTED sato"},
}

// An attempt that was refused may arrive all the same, when a late copy of it is delivered. The next attempt takes its place,
// or takes over what was decided on it meanwhile.
func TestLateDeliveryOfAnEarlierAttempt(t *testing.T) {
	for _, decided := range []State{Offered, Accepted, Fulfilled, Rejected} {
		t.Run(string(decided), func(t *testing.T) {
			both(t, func(t *testing.T, engine store.Engine) {
				refuse := true
				sender, receiver := world(t, engine, func(_, receiver *department, _ *KindConfig) {
					receiver.answer = func(method string, err error) error {
						receiver.mu.Lock()
						defer receiver.mu.Unlock()
						if refuse && strings.HasSuffix(method, "/Offer") {
							refuse = false
							return problem.PayloadIncomplete("MQL", "person.title").GRPCStatus().Err()
						}
						return err
					}
				})
				id := sender.offer(nil).GetId()
				sender.wait(id, "refused", func(h *handoffv1.Handoff) bool {
					return stateOf(h.GetState()) == Returned && h.GetDelivery() == handoffv1.Delivery_DELIVERY_REFUSED
				})
				receiver.waitState(id, Offered)
				ctx := as(t, "sato")
				var err error
				switch decided {
				case Accepted, Fulfilled:
					_, err = receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id})
				case Rejected:
					_, err = receiver.desk.RejectHandoff(ctx, &handoffv1.RejectHandoffRequest{Id: id, Reason: "NO_BUDGET"})
				}
				if err == nil && decided == Fulfilled {
					_, err = receiver.desk.FulfilHandoff(ctx, &handoffv1.FulfilHandoffRequest{Id: id, Note: "called"})
				}
				if err != nil {
					t.Fatal(err)
				}
				if _, err := sender.desk.ResubmitHandoff(as(t, "tanaka"), &handoffv1.ResubmitHandoffRequest{Id: id}); err != nil {
					t.Fatal(err)
				}
				if decided == Offered {
					receiver.wait(id, "the second attempt", func(h *handoffv1.Handoff) bool { return h.GetAttempt() == 2 && stateOf(h.GetState()) == Offered })
					if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id}); err != nil {
						t.Fatal(err)
					}
					sender.waitState(id, Accepted)
				} else {
					here := sender.waitState(id, decided)
					if here.GetAttempt() != 2 || here.GetDecision().GetBy().GetId() != "sato" {
						t.Errorf("the sender has %v", here)
					}
				}
				if there := receiver.get(id); there.GetAttempt() != 2 {
					t.Errorf("the receiver has %v", there)
				}
				if got, want := receiver.attempts(id), lateAttempts[decided]; !slices.Equal(got, want) {
					t.Errorf("the receiver shows %q, want %q", got, want)
				}
				if got, want := sender.attempts(id), []string{"1 RETURNED service:inside-sales", lateAttempts[decided][1]}; !slices.Equal(got, want) {
					t.Errorf("the sender shows %q, want %q", got, want)
				}
				if n := count(receiver.seen(), "accepted") + count(receiver.seen(), "rejected"); n != 1 {
					t.Errorf("the decision took effect %d times: %v", n, receiver.seen())
				}
			})
		})
	}
}
