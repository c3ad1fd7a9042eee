package handoff

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/bizclock"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// ringNow lets a clock ring, as its job does, and reports whether that wants to be called again later.
func (d *department) ringNow(h *handoffv1.Handoff, clock clockName, due *timestamppb.Timestamp) (again bool) {
	d.t.Helper()
	args := ringArgs{HandoffID: h.GetId(), Attempt: h.GetAttempt(), Clock: clock, DueAt: due.AsTime()}
	err := d.engine.ring(access.WithActor(d.t.Context(), access.System("handoff.clock")), &jobs.Job[ringArgs]{Args: args})
	if err != nil && !strings.HasPrefix(err.Error(), "again in ") {
		d.t.Fatal(err)
	}
	return err != nil
}

func (d *department) past(id string) *handoffv1.GetHandoffResponse {
	d.t.Helper()
	past, err := d.desk.GetHandoff(as(d.t, "x"), &handoffv1.GetHandoffRequest{Id: id})
	if err != nil {
		d.t.Fatal(err)
	}
	return past
}

// told counts the events of a type.
func (d *department) told(name string) int {
	d.t.Helper()
	n, err := store.Read(d.t.Context(), d.db, func(tx store.Tx) (int64, error) {
		return store.Get[int64](d.t.Context(), tx, `SELECT COUNT(*) FROM events WHERE type = $1`, "tasuki.handoff.v1."+name)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return int(n)
}

// exec changes the tables behind the engine's back.
func (d *department) exec(sql string, args ...any) {
	d.t.Helper()
	_, err := store.Write(d.t.Context(), d.db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(sql, args...)
		return struct{}{}, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func tokyo(day, hour, minute int) time.Time {
	return time.Date(2026, 4, day, hour, minute, 0, 0, time.FixedZone("", 9*3600)).UTC()
}

func TestSeededCalendarIsTheDefault(t *testing.T) {
	db := testkit.SQLite(t, sets()...)
	config, err := store.Read(t.Context(), db, func(tx store.Tx) (string, error) {
		return store.Get[string](t.Context(), tx, `SELECT config FROM handoff_calendars WHERE name = 'company'`)
	})
	if err != nil {
		t.Fatal(err)
	}
	seeded, err := calendarOf(config)
	if err != nil {
		t.Fatal(err)
	}
	for from := tokyo(1, 0, 0); from.Year() == 2026; from = from.Add(5 * time.Hour) {
		if a, b := seeded.Add(from, time.Hour), bizclock.Default().Add(from, time.Hour); !a.Equal(b) {
			t.Fatalf("from %s the seeded calendar gives %s, the default %s", from, a, b)
		}
	}
}

func TestAcceptClock(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 15, 0)) // a Monday
		sender, receiver := worldAt(t, engine, now, nil)
		id := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Hot = false }).GetId()
		h := receiver.waitState(id, Offered)
		if want := tokyo(7, 10, 0); !h.GetAcceptDueAt().AsTime().Equal(want) || h.GetPolicy() != "MQL" || h.GetCalendar() != "company" {
			t.Errorf("due at %s by %s, want %s", h.GetAcceptDueAt().AsTime(), h.GetPolicy(), want)
		}
		ctx := as(t, "sato")
		if _, err := receiver.desk.AssignHandoff(ctx, &handoffv1.AssignHandoffRequest{Id: id, Assignee: "suzuki"}); err != nil {
			t.Fatal(err)
		}
		sender.wait(id, "in Suzuki's hands and due", func(s *handoffv1.Handoff) bool {
			return s.GetAssignee() == "suzuki" && s.GetAcceptDueAt().AsTime().Equal(h.GetAcceptDueAt().AsTime()) && s.GetPolicy() == "MQL"
		})
		now.Set(tokyo(7, 9, 59))
		if !receiver.ringNow(h, acceptClock, h.GetAcceptDueAt()) {
			t.Error("a clock that rings too early does not look again")
		}
		now.Set(tokyo(7, 10, 0))
		for range 3 {
			if receiver.ringNow(h, acceptClock, h.GetAcceptDueAt()) {
				t.Error("a clock that is over wants to look again")
			}
		}
		got := receiver.past(id)
		var steps []string
		for _, b := range got.GetBreaches() {
			steps = append(steps, b.GetClock().String()+" "+b.GetStep().String()+" "+strings.Join(b.GetEscalatedTo(), ",")+" "+b.GetAssignee())
		}
		want := []string{"CLOCK_ACCEPT BREACH_STEP_REASSIGN  suzuki", "CLOCK_ACCEPT BREACH_STEP_ESCALATE inside-sales/lead "}
		if !slices.Equal(steps, want) || got.GetHandoff().GetAssignee() != "" || got.GetHandoff().GetBreaches() != 2 || receiver.told("HandoffBreached") != 2 {
			t.Errorf("steps %q, handoff %v", steps, got.GetHandoff())
		}
		if n := count(receiver.seen(), "assigned"); n != 2 {
			t.Errorf("OnAssigned ran %d times", n)
		}
		if count(receiver.seen(), "breached CLOCK_ACCEPT 1 at 01:00:00") != 1 || count(receiver.seen(), "breached CLOCK_ACCEPT 2 at 01:00:00") != 1 {
			t.Errorf("OnBreached was not told of both steps: %v", receiver.seen())
		}
		sender.wait(id, "overdue", func(s *handoffv1.Handoff) bool { return s.GetBreaches() == 2 && s.GetAssignee() == "" })
		now.Advance(time.Second)
		for _, d := range []*department{sender, receiver} {
			box := map[*department]handoffv1.Box{sender: handoffv1.Box_BOX_OUTBOX, receiver: handoffv1.Box_BOX_INBOX}[d]
			list, err := d.desk.ListHandoffs(ctx, &handoffv1.ListHandoffsRequest{Overdue: true, Box: box})
			if err != nil || len(list.GetHandoffs()) != 1 {
				t.Errorf("%s: overdue are %v, %v", d.name, list, err)
			}
		}

		// The first action, late.
		h, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id})
		if err != nil || !h.GetFirstActionDueAt().AsTime().Equal(tokyo(7, 14, 0).Add(time.Second)) {
			t.Fatal(h, err)
		}
		now.Advance(24 * time.Hour)
		receiver.ringNow(h, firstActionClock, h.GetFirstActionDueAt())
		receiver.ringNow(h, acceptClock, h.GetAcceptDueAt())
		if got := receiver.get(id); got.GetBreaches() != 3 {
			t.Errorf("%d breaches, want 3", got.GetBreaches())
		}
		if _, err := receiver.desk.FulfilHandoff(ctx, &handoffv1.FulfilHandoffRequest{Id: id, Note: "called"}); err != nil {
			t.Fatal(err)
		}
		receiver.ringNow(h, firstActionClock, h.GetFirstActionDueAt())
		sender.wait(id, "fulfilled, late", func(s *handoffv1.Handoff) bool {
			return stateOf(s.GetState()) == Fulfilled && s.GetBreaches() == 3 && s.GetFirstActionDueAt() != nil
		})
	})
}

// A hot lead has shorter clocks; a decision in time stops them.
func TestHotAndInTime(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 17, 30))
		sender, receiver := worldAt(t, engine, now, nil)
		id := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Hot = true }).GetId()
		h := receiver.waitState(id, Offered)
		if want := tokyo(7, 9, 30); !h.GetAcceptDueAt().AsTime().Equal(want) || h.GetPolicy() != "MQL_HOT" {
			t.Errorf("due at %s by %s, want %s", h.GetAcceptDueAt().AsTime(), h.GetPolicy(), want)
		}
		got, err := receiver.desk.AcceptHandoff(as(t, "sato"), &handoffv1.AcceptHandoffRequest{Id: id})
		if err != nil || !got.GetFirstActionDueAt().AsTime().Equal(tokyo(6, 17, 35)) {
			t.Fatal(got, err)
		}
		if _, err := receiver.desk.FulfilHandoff(as(t, "sato"), &handoffv1.FulfilHandoffRequest{Id: id, Note: "called"}); err != nil {
			t.Fatal(err)
		}
		now.Set(tokyo(8, 12, 0))
		receiver.ringNow(h, acceptClock, h.GetAcceptDueAt())
		receiver.ringNow(got, firstActionClock, got.GetFirstActionDueAt())
		if n := receiver.told("HandoffBreached"); n != 0 {
			t.Errorf("%d breaches of clocks that were stopped in time", n)
		}
	})
}

// While it is returned the clock stands still.
func TestClockPausesWhileReturned(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 9, 0))
		sender, receiver := worldAt(t, engine, now, nil)
		id := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Hot = false }).GetId()
		first := receiver.waitState(id, Offered)
		now.Set(tokyo(6, 10, 0))
		if _, err := receiver.desk.ReturnHandoff(as(t, "sato"), &handoffv1.ReturnHandoffRequest{Id: id, Missing: []string{"person.title"}}); err != nil {
			t.Fatal(err)
		}
		sender.waitState(id, Returned)
		now.Set(tokyo(8, 16, 0))
		receiver.ringNow(first, acceptClock, first.GetAcceptDueAt())
		if _, err := sender.desk.ResubmitHandoff(as(t, "tanaka"), &handoffv1.ResubmitHandoffRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		second := receiver.wait(id, "the second attempt", func(h *handoffv1.Handoff) bool { return h.GetAttempt() == 2 })
		if want := tokyo(9, 10, 0); !second.GetAcceptDueAt().AsTime().Equal(want) || second.GetBreaches() != 0 {
			t.Errorf("three hours are left after 16:00: due at %s, want %s", second.GetAcceptDueAt().AsTime(), want)
		}
		now.Set(tokyo(9, 9, 59)) // before the second clock is due, whose job runs too
		receiver.ringNow(first, acceptClock, first.GetAcceptDueAt())
		if n := receiver.told("HandoffBreached"); n != 0 {
			t.Errorf("the clock of the first attempt made %d breaches", n)
		}
		now.Set(tokyo(9, 10, 0))
		receiver.ringNow(second, acceptClock, second.GetAcceptDueAt())
		if n := receiver.told("HandoffBreached"); n != 2 {
			t.Errorf("the clock of the second attempt made %d breaches", n)
		}
	})
}

// A policy may wait after the due time, and let the offer expire; it can be offered again and has a fresh clock then.
func TestExpire(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 9, 0))
		sender, receiver := worldAt(t, engine, now, nil)
		receiver.exec(`UPDATE handoff_policies SET steps = $1 WHERE kind = 'MQL'`,
			`[{"clock":"ACCEPT","step":"ESCALATE","to":["lead"]},{"clock":"ACCEPT","after":60,"step":"EXPIRE"}]`)
		id := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Hot = false }).GetId()
		h := receiver.waitState(id, Offered)
		now.Set(tokyo(6, 13, 30))
		receiver.ringNow(h, acceptClock, h.GetAcceptDueAt())
		if got := receiver.get(id); stateOf(got.GetState()) != Offered || got.GetBreaches() != 1 {
			t.Errorf("after the first step %v", got)
		}
		now.Set(tokyo(6, 14, 0))
		receiver.ringNow(h, acceptClock, h.GetAcceptDueAt())
		receiver.ringNow(h, acceptClock, h.GetAcceptDueAt())
		got := receiver.get(id)
		if stateOf(got.GetState()) != Expired || got.GetBreaches() != 2 || got.GetDecision().GetBy().GetId() != "handoff.clock" || receiver.told("HandoffExpired") != 1 {
			t.Errorf("after the second step %v", got)
		}
		if n := count(receiver.seen(), "expired"); n != 1 {
			t.Errorf("OnExpired ran %d times", n)
		}
		sender.waitState(id, Expired)
		if _, err := sender.desk.ResubmitHandoff(as(t, "tanaka"), &handoffv1.ResubmitHandoffRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		again := receiver.wait(id, "the second attempt", func(h *handoffv1.Handoff) bool { return h.GetAttempt() == 2 })
		if !again.GetAcceptDueAt().AsTime().Equal(tokyo(6, 18, 0)) {
			t.Errorf("due at %s", again.GetAcceptDueAt().AsTime())
		}
	})
}

// Somebody has a meeting in hand before it begins, and the verdict is due one business day after its end.
func TestMeetingClocks(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 9, 0))
		sender, receiver := worldAt(t, engine, now, func(_, _ *department, k *KindConfig) {
			k.Kind, k.Required, k.Floor = handoffv1.Kind_KIND_MEETING, nil, nil
		})
		id := sender.offer(func(o *NewOffer) {
			o.Kind, o.Payload = handoffv1.Kind_KIND_MEETING, full()[handoffv1.Kind_KIND_MEETING]
			m := o.Payload.GetMeeting()
			m.StartsAt, m.EndsAt, m.Host = timestamppb.New(tokyo(8, 14, 0)), timestamppb.New(tokyo(8, 15, 0)), ""
		}).GetId()
		h := receiver.waitState(id, Offered)
		if !h.GetAcceptDueAt().AsTime().Equal(tokyo(9, 15, 0)) {
			t.Errorf("the verdict is due at %s", h.GetAcceptDueAt().AsTime())
		}
		now.Set(tokyo(8, 14, 0))
		receiver.ringNow(h, pickUpClock, h.GetPayload().GetMeeting().GetStartsAt())
		got := receiver.past(id)
		if b := got.GetBreaches(); len(b) != 1 || b[0].GetClock() != handoffv1.Clock_CLOCK_PICK_UP || len(b[0].GetEscalatedTo()) != 2 {
			t.Errorf("nobody has it in hand: %v", b)
		}
		h, err := receiver.desk.AcceptHandoff(as(t, "sato"), &handoffv1.AcceptHandoffRequest{Id: id})
		if err != nil || !h.GetFirstActionDueAt().AsTime().Equal(tokyo(13, 14, 0)) {
			t.Errorf("discovery is due at %s, %v", h.GetFirstActionDueAt().AsTime(), err)
		}
	})
}

// A clock needs nobody: its job lets it ring.
func TestClockRingsByItself(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, func(_, _ *department, k *KindConfig) {
			k.Kind, k.Required, k.Floor = handoffv1.Kind_KIND_MEETING, nil, nil
		})
		begins := time.Now().Add(3 * time.Second).UTC().Truncate(time.Microsecond)
		id := sender.offer(func(o *NewOffer) {
			o.Kind, o.Payload = handoffv1.Kind_KIND_MEETING, full()[handoffv1.Kind_KIND_MEETING]
			m := o.Payload.GetMeeting()
			m.StartsAt, m.EndsAt, m.Host = timestamppb.New(begins), timestamppb.New(begins.Add(time.Hour)), ""
		}).GetId()
		receiver.wait(id, "to have rung", func(h *handoffv1.Handoff) bool { return h.GetBreaches() == 1 })
		b := receiver.past(id).GetBreaches()[0]
		if late := b.GetAt().AsTime().Sub(b.GetDueAt().AsTime()); late < 0 || late > 10*time.Second {
			t.Errorf("it rang %s after it was due", late)
		} else {
			t.Logf("it rang %s after it was due", late)
		}
	})
}

// An offer that cannot be delivered says why and since when, and raises the alarm once.
func TestUndelivered(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		now := testkit.NewClock(tokyo(6, 9, 0))
		down := true
		sender, receiver := worldAt(t, engine, now, func(_, receiver *department, _ *KindConfig) {
			receiver.answer = func(method string, err error) error {
				receiver.mu.Lock()
				defer receiver.mu.Unlock()
				if down && strings.HasSuffix(method, "/Offer") {
					return status.Error(codes.Unavailable, "inside-sales cannot answer now")
				}
				return err
			}
		})
		id := sender.offer(nil).GetId()
		first := sender.wait(id, "in trouble", func(h *handoffv1.Handoff) bool { return h.GetDeliveryProblem().GetAttempts() > 0 })
		if p := first.GetDeliveryProblem(); p.GetLastError() == "" || !p.GetSince().AsTime().Equal(tokyo(6, 9, 0)) || first.GetEtag() != "1" {
			t.Errorf("the problem is %v", first)
		}
		now.Advance(15 * time.Minute)
		sender.wait(id, "alarmed", func(h *handoffv1.Handoff) bool { return h.GetDeliveryProblem().GetAlarmedAt() != nil })
		n := sender.get(id).GetDeliveryProblem().GetAttempts()
		got := sender.wait(id, "tried again", func(h *handoffv1.Handoff) bool { return h.GetDeliveryProblem().GetAttempts() > n })
		if sender.told("HandoffUndelivered") != 1 || got.GetDelivery() != handoffv1.Delivery_DELIVERY_PENDING {
			t.Errorf("%d alarms, %v", sender.told("HandoffUndelivered"), got)
		}
		receiver.mu.Lock()
		down = false
		receiver.mu.Unlock()
		sender.wait(id, "delivered", func(h *handoffv1.Handoff) bool {
			return h.GetDelivery() == handoffv1.Delivery_DELIVERY_DELIVERED && h.GetDeliveryProblem() == nil
		})
	})
}

// What is overdue is found by the indexes of the clocks, whatever else there is in the box.
func TestOverdueUsesIndexes(t *testing.T) {
	db := testkit.SQLite(t, sets()...)
	d := &desk{e: &Engine{cfg: Config{DB: db, Clock: testkit.NewClock(time.Time{})}}}
	w := d.filter(&handoffv1.ListHandoffsRequest{Overdue: true, Box: handoffv1.Box_BOX_INBOX})
	type row struct {
		ID, Parent, Notused int64
		Detail              string
	}
	plan, err := store.Read(t.Context(), db, func(tx store.Tx) ([]row, error) {
		sql, args := w.Select("EXPLAIN QUERY PLAN SELECT id FROM handoffs", "ORDER BY offered_at DESC, id DESC LIMIT 50")
		return store.Select[row](t.Context(), tx, sql, args...)
	})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, r := range plan {
		text.WriteString(r.Detail + "\n")
	}
	for _, index := range []string{"handoffs_accept_due", "handoffs_first_action_due"} {
		if !strings.Contains(text.String(), index) {
			t.Errorf("%s is not used:\n%s", index, text.String())
		}
	}
}
