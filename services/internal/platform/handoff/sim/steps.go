package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// do does a step. What there is nothing to do with does nothing.
func (w *World) do(s Step) {
	p := w.procs[s.Dept]
	switch s.Op {
	case Offer:
		w.offer(routes[s.Pick%len(routes)], s.N%4 == 0)
	case Work:
		if p, due := w.busy(p); len(due) > 0 {
			r := w.begin(p, due[s.Pick%len(due)], s.N == 1)
			if s.How != pause {
				w.through(r, s.How)
			}
		}
	case Compare:
		r := w.compare(p)
		if s.How != pause {
			w.through(r, s.How)
		}
	case Net:
		w.net(s)
	case Decide:
		if id, ok := w.known(s.Pick); ok {
			how := s.How
			if how == fitting {
				id, how = w.fitting(s.Pick, s.N/4) // the lower digits are the variant
			}
			w.command(how, id, s.N)
		}
	case Race:
		w.race(s.Pick, s.N)
	case Feed:
		if p, source, ok := w.unread(p, s.Pick); ok {
			_, _ = w.take(p, source, 1+s.N) // what fails now is tried again
		}
	case Rewind:
		if len(p.sources) > 0 {
			w.rewind(p, p.sources[s.Pick%len(p.sources)])
		}
	case Cut:
		w.cut[[2]int{s.Dept, s.N}], w.cut[[2]int{s.N, s.Dept}] = true, true
	case Mend:
		clear(w.cut)
	case Jump:
		now := p.clock.Now().Add(time.Duration(s.N) * time.Second)
		if now.Before(start.AddDate(0, 0, -1)) {
			now = start
		}
		p.clock.Set(now)
	case Crash:
		w.restart(p, s.N == 1)
	}
}

func (w *World) known(pick int) (id string, ok bool) {
	if len(w.handoffs) == 0 {
		return "", false
	}
	return w.handoffs[pick%len(w.handoffs)], true
}

// person is who works in a department.
func (w *World) person(name string) context.Context {
	return access.WithActor(w.ctx, access.Actor{Kind: access.KindPerson, ID: name})
}

// maxHandoffs keeps the traffic of a schedule on few handoffs.
const maxHandoffs = 4

// offer offers a new handoff. With gaps, its payload lacks what some receivers insist on.
func (w *World) offer(r route, gaps bool) {
	if len(w.handoffs) >= maxHandoffs {
		return
	}
	p := w.procs[r.from]
	ctx := w.person("offerer")
	var id string
	var err error
	w.living(p, func() {
		_, err = store.Write(ctx, p.db, func(tx store.Tx) (struct{}, error) {
			h, err := p.engine.Offer(ctx, tx, handoff.NewOffer{
				Kind: r.kind, To: departments[r.to], JourneyID: "0198f2a0-0000-7000-8000-000000000001",
				Payload: payload(r.kind, gaps), SenderSubject: "record/1",
			})
			id = h.GetId()
			return struct{}{}, err
		})
	})
	w.look()
	_, there := p.ledger[id]
	switch died := w.sleeves.fired; {
	case err == nil && !died && !there:
		w.fail("an offer is lost", "%s has no row of its offer %s", p.name(), id)
	case err != nil && !died:
		w.fail("a legal command fails", "offer: %v", err)
	case there && slices.Contains([]Fault{FailBefore, CrashBefore}, w.sleeves.fault) && died:
		w.fail("an offer from nowhere", "%s has a row of %s, whose transaction was rolled back", p.name(), id)
	case !there && died && slices.Contains([]Fault{FailAfter, CrashAfter}, w.sleeves.fault):
		w.fail("an offer is lost", "%s has no row of its offer %s, which was committed", p.name(), id)
	}
	if there {
		w.handoffs = append(w.handoffs, id)
	}
}

// due are the jobs of a process whose time has come.
func (w *World) due(p *process) []jobs.Waiting {
	all := w.waiting(p)
	now := p.clock.Now()
	return slices.DeleteFunc(all, func(j jobs.Waiting) bool { return j.RunAt.After(now) })
}

// busy is the process with due jobs, beginning with p, and its jobs.
func (w *World) busy(p *process) (*process, []jobs.Waiting) {
	for i := range w.procs {
		q := w.procs[(p.i+i)%len(w.procs)]
		if due := w.due(q); len(due) > 0 {
			return q, due
		}
	}
	return p, nil
}

func (w *World) waiting(p *process) []jobs.Waiting {
	all, err := p.jobs.Waiting(w.ctx)
	if err != nil {
		w.fail("the database fails", "%v", err)
	}
	return all
}

// compare lets a process compare its ledger with those of its receivers, and mend it. What is under way for a moment only
// is no difference, so a while passes before.
func (w *World) compare(p *process) *run {
	engine := p.engine
	p.clock.Advance(2 * time.Minute)
	// A comparison calls several receivers, so it lives through several steps and their faults.
	faults := w.sleeves.total
	return w.spawn(p, func(ctx context.Context) {
		w.met["compared"]++
		reports, err := engine.Reconcile(access.WithActor(ctx, access.System("nightly")), false)
		undisturbed := w.sleeves.total == faults
		if err != nil && undisturbed {
			w.fail("a legal command fails", "reconcile at %s: %v", p.name(), err)
		}
		for _, r := range reports {
			for _, d := range r.GetDifferences() {
				w.met["compared: "+d.GetFinding().String()]++
				if !d.GetMended() && undisturbed {
					w.fail("a difference cannot be mended", "%v", d)
				}
			}
		}
	})
}

func (w *World) net(s Step) {
	n := len(w.runs) + len(w.strays)
	if n == 0 {
		return
	}
	i := s.Pick % n
	if i < len(w.runs) {
		w.decide(w.runs[i], s.How)
		return
	}
	i -= len(w.runs)
	stray := w.strays[i]
	if s.How != twice { // the other one is still on its way
		w.strays = slices.Delete(w.strays, i, i+1)
	}
	if s.How != lose {
		w.met["message: stray"]++
		_, _ = w.execute(stray) // nobody hears the answer
	}
}

// take lets a process take in events.
func (w *World) take(p *process, source string, n int) (taken int, err error) {
	w.feedSettled(w.sourceOf(source))
	before := p.commits
	if w.living(p, func() { taken, err = p.subs.Step(w.ctx, source, n) }) {
		return 0, errLost
	}
	if taken == 0 && err == nil {
		p.commits = before // leases and cursors are news for nobody
		p.readTo[source] = w.sourceOf(source).commits
	}
	return taken, err
}

// unread is a subscription for which there may be news, beginning with those of p.
func (w *World) unread(p *process, pick int) (_ *process, source string, ok bool) {
	for i := range w.procs {
		q := w.procs[(p.i+i)%len(w.procs)]
		for k := range q.sources {
			if source := q.sources[(pick+k)%len(q.sources)]; w.news(q, source) {
				return q, source, true
			}
		}
	}
	return p, "", false
}

// news tells whether a source has committed anything since it was read to its end.
func (w *World) news(p *process, source string) bool {
	read, ok := p.readTo[source]
	return !ok || read != w.sourceOf(source).commits
}

// sourceOf is the process that a subscription reads.
func (w *World) sourceOf(subscription string) *process {
	for _, p := range w.procs {
		if strings.HasSuffix(subscription, ".from."+p.name().String()) {
			return p
		}
	}
	panic("sim: nobody feeds " + subscription)
}

func (w *World) rewind(p *process, source string) {
	delete(p.readTo, source)
	w.living(p, func() {
		_, _ = store.Write(w.ctx, p.db, func(tx store.Tx) (struct{}, error) { // a failure leaves things as they are
			tx.Queue(`UPDATE subscriptions SET cursor = '' WHERE name = $1`, source)
			return struct{}{}, nil
		})
	})
}

// The commands of the desk.
const (
	accept   = "accept"
	reject   = "reject"
	giveBack = "return"
	assign   = "assign"
	fulfil   = "fulfil"
	recall   = "recall"
	resubmit = "resubmit"
	// fitting stands for one that fits the state when its step comes.
	fitting = "fitting"
)

// legal says where a command may be given, and what comes of it at once.
var legal = map[string]struct {
	side string
	from []string
	to   string // empty: the state stays
}{
	accept:   {in, []string{offered}, accepted},
	reject:   {in, []string{offered}, rejected},
	giveBack: {in, []string{offered}, returned},
	assign:   {in, []string{offered, accepted}, ""},
	fulfil:   {in, []string{accepted}, fulfilled},
	recall:   {out, []string{offered}, ""},
	resubmit: {out, []string{returned, expired}, offered},
}

// fitting is a command that fits what both ledgers say of a handoff, of the picked one if there is any for it.
func (w *World) fitting(pick, n int) (id, name string) {
	for i := range w.handoffs {
		id, _ = w.known(pick + i)
		here, there := w.states(id)
		var choices []string
		switch {
		case here == returned || here == expired:
			choices = []string{resubmit}
		case there == offered:
			choices = []string{accept, accept, giveBack, giveBack, reject, assign, accept, recall}
		case there == accepted:
			choices = []string{fulfil, fulfil, fulfil, assign}
		default:
			continue
		}
		return id, choices[n%len(choices)]
	}
	id, _ = w.known(pick)
	return id, []string{recall, accept, fulfil, resubmit}[n%4]
}

// states are where a handoff stands at its sender and at its receiver.
func (w *World) states(id string) (here, there string) {
	for _, p := range w.procs {
		if e, ok := p.ledger[id]; ok && e.side == out {
			here = e.state
		} else if ok {
			there = e.state
		}
	}
	return here, there
}

// command gives a command on a handoff, and checks the answer against the row.
func (w *World) command(name, id string, variant int) {
	p := w.deskOf(id, legal[name].side, variant%16 == 15)
	before, there := p.ledger[id]
	tag := ""
	stale := false
	switch variant % 4 {
	case 1:
		tag = before.h.GetEtag()
	case 2:
		tag, stale = "1", before.version != 1
	}
	w.give(p, name, id, tag, "person-"+name, there && !stale)
}

// deskOf is the process that has the row of a side, or the other one.
func (w *World) deskOf(id, side string, other bool) *process {
	want := side
	if other {
		want = map[string]string{in: out, out: in}[side]
	}
	for _, p := range w.procs {
		if e, ok := p.ledger[id]; ok && e.side == want {
			return p
		}
	}
	for _, p := range w.procs { // the offer has not arrived: ask where it will
		if e, ok := p.ledger[id]; ok {
			for _, q := range w.procs {
				if q.name().String() == e.h.GetTo() {
					return q
				}
			}
		}
	}
	return w.procs[0]
}

// give gives a command. possible tells that nothing but the state can speak against it.
func (w *World) give(p *process, name, id, tag, person string, possible bool) (ok bool) {
	before := p.ledger[id]
	rule := legal[name]
	kind := before.h.GetKind()
	legalNow := possible && before.side == rule.side && slices.Contains(rule.from, before.state) &&
		!(name == reject && kind == handoffv1.Kind_KIND_CLOSED_WON)
	var answer any
	var err error
	died := w.living(p, func() {
		method, req := deskRequest(name, id, tag, before.h)
		if w.given++; w.given%3 == 0 {
			method, req = amongOthers(method, req)
		}
		answer, err = p.servers.call(w.ctx, access.Actor{Kind: access.KindPerson, ID: person}, method, req)
		if err == nil {
			err = outcomeOf(answer)
		}
	})
	if plant := w.plant.Decided; plant != nil && err == nil && !died {
		plant(w.ctx, p.db, id)
		p.dirty = true
	}
	w.look()
	w.met[fmt.Sprintf("command: %s %t", name, err == nil)]++
	if _, many := answer.(outcomes); many {
		w.met[fmt.Sprintf("command for many: %s %t", name, err == nil)]++
	}
	if w.sleeves.fired {
		return false // whether it took effect is seen in the ledger
	}
	after := p.ledger[id]
	switch {
	case legalNow && err != nil:
		w.fail("a legal command fails", "%s of a handoff that is %s at %s: %v", name, before.state, p.name(), err)
	case !legalNow && err == nil:
		w.fail("an illegal command succeeds", "%s of a handoff that is %q at %s: %v", name, before.state, p.name(), answer)
	case err == nil && rule.to != "" && (after.state != rule.to || after.version <= before.version):
		w.fail("a decision is lost", "%s succeeded at %s, where the handoff is %s", name, p.name(), after.state)
	case err == nil && rule.to != "" && after.last().ActorID != person:
		w.fail("a decision is lost", "%s of %s succeeded at %s, where the last step is by %s", name, person, p.name(), after.last().ActorID)
	case err != nil:
		if code := status.Code(err); code != codes.NotFound && code != codes.FailedPrecondition && code != codes.Aborted {
			w.fail("an error without a reason", "%s of a handoff that is %q at %s: %v", name, before.state, p.name(), err)
		}
		if after.version != before.version {
			w.fail("an illegal command succeeds", "%s failed at %s and changed the row: %v", name, p.name(), err)
		}
	}
	return err == nil
}

func deskRequest(name, id, tag string, h *handoffv1.Handoff) (method string, req proto.Message) {
	switch name {
	case accept:
		gaps := h.GetKind() == handoffv1.Kind_KIND_CLOSED_WON && len(h.GetCompleteness().GetMissing()) > 0
		return handoffv1.HandoffDeskService_AcceptHandoff_FullMethodName, &handoffv1.AcceptHandoffRequest{Id: id, Etag: tag, WithGaps: gaps}
	case reject:
		reason := map[handoffv1.Kind]string{
			handoffv1.Kind_KIND_MQL: "NO_RESPONSE", handoffv1.Kind_KIND_MEETING: "NO_NEED", handoffv1.Kind_KIND_CSQL: "TIMING",
		}[h.GetKind()]
		return handoffv1.HandoffDeskService_RejectHandoff_FullMethodName, &handoffv1.RejectHandoffRequest{Id: id, Etag: tag, Reason: reason}
	case giveBack:
		return handoffv1.HandoffDeskService_ReturnHandoff_FullMethodName, &handoffv1.ReturnHandoffRequest{Id: id, Etag: tag, Missing: []string{"company.name"}}
	case assign:
		return handoffv1.HandoffDeskService_AssignHandoff_FullMethodName, &handoffv1.AssignHandoffRequest{Id: id, Etag: tag, Assignee: "suzuki"}
	case fulfil:
		return handoffv1.HandoffDeskService_FulfilHandoff_FullMethodName, &handoffv1.FulfilHandoffRequest{Id: id, Etag: tag, Note: "called"}
	case recall:
		return handoffv1.HandoffDeskService_RecallHandoff_FullMethodName, &handoffv1.RecallHandoffRequest{Id: id, Etag: tag}
	case resubmit:
		full := payload(h.GetKind(), false)
		return handoffv1.HandoffDeskService_ResubmitHandoff_FullMethodName, &handoffv1.ResubmitHandoffRequest{Id: id, Etag: tag, Payload: full}
	}
	panic("sim: no command " + name)
}

// amongOthers makes a command for many of one that there is for many: among others, which nobody knows.
func amongOthers(method string, req proto.Message) (string, proto.Message) {
	const nobody, neither = "00000000-0000-7000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff"
	switch req := req.(type) {
	case *handoffv1.AcceptHandoffRequest:
		return handoffv1.HandoffDeskService_BatchAcceptHandoffs_FullMethodName, &handoffv1.BatchAcceptHandoffsRequest{
			Requests: []*handoffv1.AcceptHandoffRequest{{Id: nobody}, req, {Id: neither}},
		}
	case *handoffv1.RejectHandoffRequest:
		return handoffv1.HandoffDeskService_BatchRejectHandoffs_FullMethodName, &handoffv1.BatchRejectHandoffsRequest{
			Requests: []*handoffv1.RejectHandoffRequest{{Id: nobody, Reason: req.GetReason()}, req, {Id: neither, Reason: req.GetReason()}},
		}
	case *handoffv1.AssignHandoffRequest:
		return handoffv1.HandoffDeskService_BatchAssignHandoffs_FullMethodName, &handoffv1.BatchAssignHandoffsRequest{
			Requests: []*handoffv1.AssignHandoffRequest{{Id: nobody}, req, {Id: neither}},
		}
	}
	return method, req
}

// outcomes are in the answer to a command for many.
type outcomes interface {
	GetOutcomes() []*handoffv1.HandoffOutcome
}

// outcomeOf is the error of the command in the middle of many.
func outcomeOf(answer any) error {
	many, ok := answer.(outcomes)
	if !ok {
		return nil
	}
	return status.FromProto(many.GetOutcomes()[1].GetError()).Err()
}

// race lets several people decide who have all seen the same row: one wins if the row could be decided on.
func (w *World) race(pick, n int) {
	id, ok := w.known(pick)
	if !ok {
		return
	}
	p := w.deskOf(id, in, false)
	before, there := p.ledger[id]
	if !there || before.side != in {
		return
	}
	won := 0
	for i := range n {
		name := []string{accept, giveBack, reject}[(pick+i)%3]
		if name == reject && before.h.GetKind() == handoffv1.Kind_KIND_CLOSED_WON {
			name = accept
		}
		tag := ""
		if i%2 == 0 {
			tag = before.h.GetEtag()
		}
		now := p.ledger[id]
		if w.give(p, name, id, tag, fmt.Sprint("racer-", i), tag == "" || now.version == before.version) {
			won++
		}
	}
	if won > 1 {
		w.fail("two decisions on one attempt", "%d of %d racers won", won, n)
	}
}
