package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// healRounds bounds how often everything that waits is tried; timers are waited for at most healTimers times.
	healRounds, healTimers = 60, 30
)

// heal ends all trouble, lets everything run until nothing is left to do, and compares the ledgers.
func (w *World) heal() {
	w.sleeves.arm(None, 0)
	clear(w.cut)
	timers := 0
	for range healRounds {
		if w.violation != nil {
			return
		}
		moved, stuck := w.drain()
		w.look()
		if moved {
			continue
		}
		if len(stuck) > 0 {
			w.fail("it does not come to rest", "%s", strings.Join(stuck, "; "))
			return
		}
		if timers == 0 { // reminders of gaps come for as long as there are any
			w.closeGaps()
		}
		if timers++; timers > healTimers || !w.nextTimer() {
			w.settled()
			w.clocks()
			w.compared()
			w.attempts()
			return
		}
	}
	w.fail("it does not come to rest", "after %d rounds", healRounds)
}

// closeGaps closes all gaps, as people do in the end.
func (w *World) closeGaps() {
	by := access.Actor{Kind: access.KindPerson, ID: "closer"}
	for _, p := range w.procs {
		for _, id := range ids(p.ledger) {
			if e := p.ledger[id]; e.side != in || len(e.h.GetDecision().GetMissing()) == 0 {
				continue
			}
			answer, err := p.servers.call(w.ctx, by, handoffv1.HandoffDeskService_ListGaps_FullMethodName, &handoffv1.ListGapsRequest{Id: id, Open: true})
			if err != nil {
				w.fail("a legal command fails", "list the gaps of %s: %v", id, err)
				return
			}
			for _, g := range answer.(*handoffv1.ListGapsResponse).GetGaps() {
				req := &handoffv1.CloseGapRequest{Id: id, Path: g.GetPath(), Note: "asked"}
				if _, err := p.servers.call(w.ctx, by, handoffv1.HandoffDeskService_CloseGap_FullMethodName, req); err != nil {
					w.fail("a legal command fails", "close %s of %s: %v", g.GetPath(), id, err)
				}
			}
		}
	}
}

// drain tries everything once. stuck names what failed.
func (w *World) drain() (moved bool, stuck []string) {
	for len(w.runs) > 0 {
		moved = true
		w.through(w.runs[0], pass)
	}
	for len(w.strays) > 0 {
		moved = true
		stray := w.strays[0]
		w.strays = w.strays[1:]
		_, _ = w.execute(stray) // nobody hears the answer
	}
	for _, p := range w.procs {
		for _, j := range w.due(p) {
			w.lastWork = nil
			w.through(w.begin(p, j, false), pass)
			if w.lastWork != nil {
				stuck = append(stuck, fmt.Sprintf("%s of %s: %v", j.Kind, p.name(), w.lastWork))
				continue
			}
			moved = true
		}
		for _, source := range p.sources {
			if !w.news(p, source) {
				continue
			}
			n, err := w.take(p, source, 1000)
			moved = moved || n > 0
			if err != nil {
				stuck = append(stuck, fmt.Sprintf("%s: %v", source, err))
			}
		}
	}
	return moved, stuck
}

// nextTimer sets the clocks to when the next job is due; false when there is none.
func (w *World) nextTimer() bool {
	var next time.Time
	for _, p := range w.procs {
		for _, j := range w.waiting(p) {
			if next.IsZero() || j.RunAt.Before(next) {
				next = j.RunAt
			}
		}
	}
	if next.IsZero() {
		return false
	}
	for _, p := range w.procs {
		if p.clock.Now().Before(next) {
			p.clock.Set(next.Add(time.Second))
		}
	}
	return true
}

// settled checks what must hold when nothing waits any more.
func (w *World) settled() {
	for _, id := range w.handoffs {
		var sender, receiver entry
		for _, p := range w.procs {
			if e, ok := p.ledger[id]; ok && e.side == out {
				sender = e
			} else if ok {
				receiver = e
			}
		}
		refused := sender.delivery == "REFUSED" && sender.state == returned
		s, r := sender.h, receiver.h
		switch {
		case sender.side == "":
			w.fail("an offer is lost", "%s is not in its sender's ledger", id)
		case refused && receiver.attempt >= sender.attempt:
			w.fail("the ledgers disagree at the end", "%s was refused, and the receiver has attempt %d", id, receiver.attempt)
		case refused:
		case receiver.side == "":
			w.fail("an offer is lost", "%s has not arrived; at its sender it is %s, %s", id, sender.state, sender.delivery)
		case sender.delivery != "DELIVERED":
			w.fail("an offer is lost", "%s is %s", id, sender.delivery)
		case sender.state != receiver.state || sender.attempt != receiver.attempt:
			w.fail("the ledgers disagree at the end", "%s is %s of attempt %d at the sender and %s of attempt %d at the receiver", id,
				sender.state, sender.attempt, receiver.state, receiver.attempt)
		case !proto.Equal(s.GetDecision(), r.GetDecision()):
			w.fail("the ledgers disagree at the end", "%s: decision %v at the sender and %v at the receiver", id, s.GetDecision(), r.GetDecision())
		case !proto.Equal(s.GetFulfilledAt(), r.GetFulfilledAt()) || !proto.Equal(s.GetPayload(), r.GetPayload()):
			w.fail("the ledgers disagree at the end", "%s: fulfilment or payload differ", id)
		}
	}
}

// compared checks that the engine's own comparison finds nothing either.
func (w *World) compared() {
	for _, p := range w.procs {
		reports, err := p.engine.Reconcile(w.ctx, true)
		if err != nil {
			w.fail("the ledgers disagree at the end", "reconcile at %s: %v", p.name(), err)
		}
		for _, r := range reports {
			if r.GetDifferent() > 0 || r.GetError() != "" {
				w.fail("the ledgers disagree at the end", "says %s of %s: %v", p.name(), r.GetTo(), r)
			}
		}
	}
}

// attempts checks that the desks show every attempt that the history knows, with what was decided on it.
func (w *World) attempts() {
	by := access.Actor{Kind: access.KindPerson, ID: "reader"}
	for _, p := range w.procs {
		for _, id := range ids(p.ledger) {
			answer, err := p.servers.call(w.ctx, by, handoffv1.HandoffDeskService_GetHandoff_FullMethodName, &handoffv1.GetHandoffRequest{Id: id})
			if err != nil {
				w.fail("a legal command fails", "get %s: %v", id, err)
				return
			}
			var shown, known []string
			for _, a := range answer.(*handoffv1.GetHandoffResponse).GetAttempts() {
				decision := ""
				if d := a.GetDecision(); d != nil {
					decision = stateName(d.GetState()) + " by " + d.GetBy().GetId()
				}
				shown = append(shown, fmt.Sprint(a.GetNumber(), " ", decision))
			}
			for _, t := range p.ledger[id].history {
				if t.ToState != offered {
					continue
				}
				decision := ""
				if d, ok := p.ledger[id].decision(t.Attempt); ok {
					decision = d.ToState + " by " + d.ActorID
				}
				known = append(known, fmt.Sprint(t.Attempt, " ", decision))
			}
			if !slices.Equal(shown, known) {
				w.fail("an attempt is lost", "%s at %s: the desk shows %q, the history %q", id, p.name(), shown, known)
			}
		}
	}
}

// clocks checks that every clock that has run out rang, and that every ring was told once.
func (w *World) clocks() {
	type ring struct {
		HandoffID, Clock string
		Attempt          int64
	}
	type told struct {
		Subject string
		N       int64
	}
	for _, p := range w.procs {
		var events []told
		rings, err := store.Read(w.ctx, p.db, func(tx store.Tx) ([]ring, error) {
			var err error
			if events, err = store.Select[told](w.ctx, tx, `SELECT subject, count(*) AS n FROM events
				WHERE type = 'tasuki.handoff.v1.HandoffBreached' GROUP BY subject`); err != nil {
				return nil, err
			}
			return store.Select[ring](w.ctx, tx, `SELECT handoff_id, clock, attempt FROM handoff_breaches`)
		})
		if err != nil {
			w.fail("the database fails", "%v", err)
			return
		}
		tells := map[string]int64{}
		for _, t := range events {
			tells[strings.TrimPrefix(t.Subject, "handoff/")] = t.N
		}
		for _, id := range ids(p.ledger) {
			e := p.ledger[id]
			if e.side != in {
				continue
			}
			all, now := int64(0), map[string]int32{}
			for _, r := range rings {
				if r.HandoffID == id {
					all++
					if r.Attempt == e.attempt {
						now[r.Clock]++
					}
				}
			}
			sum := int32(0)
			for _, n := range now {
				sum += n
			}
			due := func(t *timestamppb.Timestamp) bool { return t != nil && p.clock.Now().After(t.AsTime()) }
			switch {
			case all != tells[id]:
				w.fail("a clock is not told once", "%s at %s: it rang %d times and was told %d times", id, p.name(), all, tells[id])
			case sum != e.h.GetBreaches():
				w.fail("a clock is not counted once", "%s at %s: it rang %d times, and counts %d", id, p.name(), sum, e.h.GetBreaches())
			case e.state == offered && due(e.h.GetAcceptDueAt()) && now["ACCEPT"] == 0,
				e.state == accepted && due(e.h.GetFirstActionDueAt()) && now["FIRST_ACTION"] == 0:
				w.fail("a clock is lost", "%s at %s is %s and overdue, and no clock rang", id, p.name(), e.state)
			}
		}
	}
}
