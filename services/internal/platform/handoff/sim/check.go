package sim

import (
	"maps"
	"slices"
	"strings"
)

// look reads the ledgers that have changed, and checks what must hold at any moment.
func (w *World) look() {
	changed := false
	for _, p := range w.procs {
		if !p.dirty {
			continue
		}
		now, err := p.read()
		if err != nil {
			w.fail("the database fails", "%v", err)
			return
		}
		before := p.ledger
		p.ledger, p.dirty, changed = now, false, true
		for _, id := range ids(before) {
			w.growth(p, id, before[id], now[id])
		}
		for _, id := range ids(now) {
			if before[id].state != now[id].state || before[id].attempt != now[id].attempt {
				w.met[now[id].side+" "+now[id].state]++
			}
			w.shape(p, id, now[id])
		}
	}
	if changed {
		w.agreement()
	}
}

// ids are the handoffs of a ledger in a fixed order: a seed finds the same violation first every time.
func ids[T any](of map[string]T) []string { return slices.Sorted(maps.Keys(of)) }

func effectKeys(of map[effectKey]int64) []effectKey {
	return slices.SortedFunc(maps.Keys(of), func(a, b effectKey) int {
		if a.attempt != b.attempt {
			return int(a.attempt - b.attempt)
		}
		return strings.Compare(a.what, b.what)
	})
}

// growth: a row stays, its attempts and versions grow, and its history is only ever added to.
func (w *World) growth(p *process, id string, was, is entry) {
	switch {
	case is.side != was.side:
		w.fail("a handoff is lost", "%s at %s", id, p.name())
	case is.attempt < was.attempt:
		w.fail("attempts shrink", "%s at %s: %d, then %d", id, p.name(), was.attempt, is.attempt)
	case is.version < was.version:
		w.fail("versions shrink", "%s at %s: %d, then %d", id, p.name(), was.version, is.version)
	case len(is.history) < len(was.history) || !slices.Equal(is.history[:len(was.history)], was.history):
		w.fail("history is rewritten", "%s at %s: %v, then %v", id, p.name(), was.history, is.history)
	}
	for _, k := range effectKeys(was.effects) {
		if is.effects[k] < was.effects[k] {
			w.fail("an effect is undone", "%s at %s: %s of attempt %d", id, p.name(), k.what, k.attempt)
		}
	}
}

// shape: the history of a row follows the drawn arrows, and every step had its effect once.
func (w *World) shape(p *process, id string, e entry) {
	if e.side == "" {
		w.fail("an effect without a state", "%s at %s: %v without a row", id, p.name(), e.effects)
		return
	}
	expected := map[effectKey]int64{}
	state, attempt := "", int64(0)
	decided := map[int64]int{}
	for _, t := range e.history {
		if t.FromState != state || !drawn[[2]string{t.FromState, t.ToState}] {
			w.fail("an arrow that is not drawn", "%s at %s was %q: %s to %s", id, p.name(), state, t.FromState, t.ToState)
		}
		switch {
		case t.ToState == offered && t.Attempt <= attempt, t.ToState != offered && t.Attempt != attempt:
			w.fail("attempts do not grow", "%s at %s: %d after %d with %s", id, p.name(), t.Attempt, attempt, t.ToState)
		case t.ToState == offered && e.side == out && t.Attempt != attempt+1:
			w.fail("attempts do not grow", "%s at its sender %s: %d after %d", id, p.name(), t.Attempt, attempt)
		}
		if isDecision(t.ToState) {
			decided[t.Attempt]++
		}
		if what := effectOf(e.side, t); what != "" {
			expected[effectKey{t.Attempt, what}]++
		}
		state, attempt = t.ToState, t.Attempt
	}
	for _, n := range slices.Sorted(maps.Keys(decided)) {
		if times := decided[n]; times > 1 {
			w.fail("two decisions on one attempt", "%s at %s: %d on attempt %d", id, p.name(), times, n)
		}
	}
	if e.state != state || e.attempt != attempt {
		w.fail("row and history differ", "%s at %s is %s of attempt %d, its history ends with %s of %d", id, p.name(), e.state, e.attempt, state, attempt)
	}
	w.effects(p, id, e, expected)
}

// effectOf is the effect that a step has; empty for the first offer, which has no hook.
func effectOf(side string, t transition) string {
	switch {
	case side == out && t.ToState == offered && t.FromState == "":
		return ""
	case side == out && t.ToState == offered:
		return "resubmitted"
	case side == out:
		return "decided " + t.ToState
	}
	return map[string]string{
		offered: "received", accepted: "accepted", rejected: "rejected", returned: "returned", recalled: "recalled",
		expired: "expired", fulfilled: "fulfilled",
	}[t.ToState]
}

func (w *World) effects(p *process, id string, e entry, expected map[effectKey]int64) {
	for _, k := range effectKeys(expected) {
		if e.effects[k] < expected[k] {
			w.fail("an effect is missing", "%s at %s: %s of attempt %d", id, p.name(), k.what, k.attempt)
		}
	}
	for _, k := range effectKeys(e.effects) {
		n := e.effects[k]
		switch {
		case k.what == "assigned":
		case k.what == "delivered" && e.side == out:
			if n > 1 {
				w.fail("an effect twice", "%s at %s: %s of attempt %d, %d times", id, p.name(), k.what, k.attempt, n)
			}
			if k.attempt == e.attempt && e.delivery != "DELIVERED" {
				w.fail("an effect without a state", "%s at %s: delivered, and the row says %s", id, p.name(), e.delivery)
			}
		case expected[k] == 0:
			w.fail("an effect without a state", "%s at %s: %s of attempt %d", id, p.name(), k.what, k.attempt)
		case n > expected[k]:
			w.fail("an effect twice", "%s at %s: %s of attempt %d, %d times", id, p.name(), k.what, k.attempt, n)
		}
	}
	if e.side == out && e.delivery == "DELIVERED" && e.effects[effectKey{e.attempt, "delivered"}] != 1 {
		w.fail("an effect is missing", "%s at %s: delivered of attempt %d", id, p.name(), e.attempt)
	}
}

// agreement: what the sender's ledger says of an attempt is what the receiver's says.
func (w *World) agreement() {
	senders := map[string]entry{}
	for _, p := range w.procs {
		for id, e := range p.ledger {
			if e.side == out {
				senders[id] = e
			}
		}
	}
	receivers := map[string]bool{}
	for _, p := range w.procs {
		for _, id := range ids(p.ledger) {
			e := p.ledger[id]
			if e.side != in {
				continue
			}
			from, sent := senders[id]
			switch {
			case !sent:
				w.fail("an offer from nowhere", "%s has %s, which nobody has offered", p.name(), id)
			case from.h.GetTo() != p.name().String():
				w.fail("an offer went astray", "%s has %s, which is for %s", p.name(), id, from.h.GetTo())
			default:
				receivers[id] = true
				w.pair(id, from, e)
			}
		}
	}
	for _, id := range ids(senders) {
		if !receivers[id] {
			w.pair(id, senders[id], entry{})
		}
	}
}

// pair compares the two rows of a handoff. The receiver decides, so the sender may be behind, but never ahead; but an
// offer that the receiver does not take at all is returned at the sender only.
func (w *World) pair(id string, sender, receiver entry) {
	if receiver.attempt > sender.attempt {
		w.fail("the receiver is ahead", "%s: attempt %d there, %d at the sender", id, receiver.attempt, sender.attempt)
	}
	for _, t := range sender.history {
		if t.ToState == offered {
			continue
		}
		there, decided := receiver.decision(t.Attempt)
		switch {
		case t.ToState == fulfilled:
			if receiver.attempt == t.Attempt && receiver.state != fulfilled {
				w.fail("the ledgers disagree", "%s is fulfilled at the sender and %s at the receiver", id, receiver.state)
			}
		case !receiver.knows(t.Attempt):
			if t.ToState != returned || t.Attempt == sender.attempt && sender.delivery != "REFUSED" {
				w.fail("the ledgers disagree", "%s: attempt %d is %s at the sender, and unknown at the receiver", id, t.Attempt, t.ToState)
			}
		case !decided:
			w.fail("the ledgers disagree", "%s: attempt %d is %s at the sender, and undecided at the receiver", id, t.Attempt, t.ToState)
		case there.ToState != t.ToState || there.ActorID != t.ActorID:
			w.fail("the ledgers disagree", "%s: attempt %d is %s by %s at the sender, and %s by %s at the receiver", id, t.Attempt,
				t.ToState, t.ActorID, there.ToState, there.ActorID)
		}
	}
}
