package lead

import (
	"context"
	"sync/atomic"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

// Desk runs what happens to leads, inside a transaction of its caller: rules, rows, events, offers.
type Desk struct {
	DB     *store.DB
	Clock  clock.Clock
	Events *event.Log
	Jobs   *jobs.Jobs
	Model  *scoring.Model
	// Handoffs offers to inside sales.
	Handoffs interface {
		Offer(ctx context.Context, tx store.Tx, o handoff.NewOffer) (*handoffv1.Handoff, error)
	}
	// AutoOffer offers a lead as soon as it is an MQL with nothing missing.
	AutoOffer bool
	// People knows who was erased.
	People *people.Book

	salt atomic.Pointer[string]
}

// Result is what became of one capture.
type Result struct {
	Lead *Lead
	// New: the person was not known. Repeated: the submission was not new, and changed nothing. Suppressed: the person was
	// erased and is not captured again; there is no lead.
	New, Repeated, Suppressed bool
}

// Capture takes in captures in order, in one transaction, with one read and one batch of writes. They must be tidy.
// A rival that captures the same person or company at the same moment makes it fail with a unique violation: try again.
func (d *Desk) Capture(ctx context.Context, tx store.Tx, captures []Capture) ([]Result, error) {
	b, err := d.look(ctx, tx, captures)
	if err != nil {
		return nil, err
	}
	now, by := d.Clock.Now(), access.ActorOf(ctx)
	results := make([]Result, len(captures))
	var w writes
	var order []*Lead // each lead once
	var events []event.Event
	seen := map[*Lead]bool{}
	for i := range captures {
		c := &captures[i]
		domains := c.domains() // as the capture says, not as a company of the same name has it
		results[i] = b.take(d.Model, c, by, now)
		l := results[i].Lead
		if results[i].Repeated || results[i].Suppressed {
			continue
		}
		if !seen[l] {
			seen[l] = true
			order = append(order, l)
		}
		w.touches = append(w.touches, touchRow(l, l.TouchCount, c, now))
		if results[i].New {
			if err := l.Screen(ruleFor(b.rules, domains), now); err != nil {
				return nil, err
			}
			events = append(events, d.captured(l, now))
		} else {
			events = append(events, d.touched(l, c.Consents, now))
		}
		l.Consider(d.Model, c.Touch.Action, now)
	}
	// Before people are written, because an offer may be what makes them known elsewhere.
	told := map[*Lead]bool{}
	for _, l := range order {
		if err := d.offerIfReady(ctx, tx, l, scorer); err != nil {
			return nil, err
		}
		told[l] = b.tell(l, now)
	}
	if err := b.flush(ctx, tx, by.ID, now); err != nil {
		return nil, err
	}
	for _, l := range order {
		events = append(events, stateEvents(l)...)
		if told[l] {
			events = append(events, consentChanged(b.people[l.Person.ID]))
		}
		w.save(l, now)
	}
	if err := w.flush(ctx, tx); err != nil {
		return nil, err
	}
	return results, d.Events.Append(ctx, tx, events...)
}

// take finds or makes the lead that a capture is about.
func (b *book) take(m *scoring.Model, c *Capture, by access.Actor, now time.Time) Result {
	if id := b.submitted[c.SubmissionID]; c.SubmissionID != "" && id != "" {
		return Result{Lead: b.leads[id], Repeated: true}
	}
	key := c.Person.MatchKey()
	if b.suppressed[key] {
		return Result{Suppressed: true}
	}
	l := b.leads[b.known[key]]
	isNew := l == nil
	if isNew {
		c.Person.ID, c.Person.Consents = party.NewID(), nil
		c.Company = b.company(c.Company)
		l = New(c, by, now)
		b.newPeople = append(b.newPeople, l.Person.ID)
		b.known[key] = l.ID
		b.add(l)
	} else {
		b.meetCompany(l, c.Company)
	}
	b.submitted[c.SubmissionID] = l.ID
	if l.Meet(m, c, now) {
		b.changedPeople[l.Person.ID] = true
	}
	for _, consent := range c.Consents {
		b.consents = append(b.consents, consentRecord{l.Person.ID, c.Source, consent})
	}
	return Result{Lead: l, New: isNew}
}

// meetCompany fills what was empty of the lead's company. What is said of another company is not taken over.
func (b *book) meetCompany(l *Lead, c Company) {
	if l.Company.ID == "" {
		l.Company = b.company(c)
		return
	}
	have := b.companies[l.Company.ID]
	same := c.Name == "" || have.Name == "" || c.nameKey() == have.nameKey() || !c.inferred && c.Domain != "" && c.Domain == have.Domain
	if same {
		b.fillCompany(have, c)
	}
	l.Company = *have
}

// offerIfReady offers an MQL with nothing missing.
func (d *Desk) offerIfReady(ctx context.Context, tx store.Tx, l *Lead, by access.Actor) error {
	if !d.AutoOffer || l.State != MQL || len(l.Missing) > 0 || !l.ready {
		return nil
	}
	return d.offer(ctx, tx, l, by)
}

func (d *Desk) offer(ctx context.Context, tx store.Tx, l *Lead, by access.Actor) error {
	now := d.Clock.Now()
	h, err := d.Handoffs.Offer(ctx, tx, handoff.NewOffer{
		Kind: handoffv1.Kind_KIND_MQL, JourneyID: l.JourneyID, PersonID: l.Person.ID, AccountID: l.Company.ID,
		Payload:       &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{Mql: d.payload(l, now)}},
		SenderSubject: subject(l.ID), ChainID: l.ChainID,
	})
	if e, ok := problem.Parse(err); ok && e.Reason == problem.ReasonPayloadIncomplete {
		l.Missing = splitMissing(e.Metadata["missing"])
		return nil
	}
	if err != nil {
		return err
	}
	l.Offer(h.GetId(), h.GetChainId(), by, now)
	return nil
}

// save writes one lead that was changed, with its events; what changed of the person is written already.
func (d *Desk) save(ctx context.Context, tx store.Tx, l *Lead, more ...event.Event) error {
	var w writes
	now := d.Clock.Now()
	events := append([]event.Event{}, more...)
	events = append(events, stateEvents(l)...)
	due, first := l.Person.tell(l.knownOutside(), now)
	if first {
		tx.Queue(tellPerson, l.Person.ID, l.Person.ToldAt)
	}
	if due {
		events = append(events, consentChanged(&l.Person))
	}
	w.save(l, now)
	if err := w.flush(ctx, tx); err != nil {
		return err
	}
	return d.Events.Append(ctx, tx, events...)
}

// planWake plans the day on which a recycled lead wakes up.
func (d *Desk) planWake(ctx context.Context, tx store.Tx, l *Lead) error {
	if l.WakeAt == nil {
		return nil
	}
	return d.Jobs.Insert(ctx, tx, wakeArgs{LeadID: l.ID}, jobs.Opts{RunAt: *l.WakeAt})
}

type wakeArgs struct {
	LeadID string `json:"lead_id"`
}

// Kind implements jobs.Args.
func (wakeArgs) Kind() string { return "lead.wake" }

// wake is the worker that brings a recycled lead back.
func (d *Desk) wake(ctx context.Context, job *jobs.Job[wakeArgs]) error {
	_, err := store.Write(ctx, d.DB, func(tx store.Tx) (time.Duration, error) {
		leads, err := lock(ctx, tx, []string{job.Args.LeadID})
		if err != nil || len(leads) == 0 {
			return 0, err
		}
		l, now := leads[0], d.Clock.Now()
		if l.Wake(now) {
			return 0, d.save(ctx, tx, l)
		}
		if l.State == Recycled && l.WakeAt != nil {
			return 0, jobs.Again(max(time.Second, l.WakeAt.Sub(now)))
		}
		return 0, nil
	})
	return err
}

func subject(id string) string { return "lead/" + id }

// captured and touched are built while the lead is as they say; its version will be the next one.
func (d *Desk) captured(l *Lead, now time.Time) event.Event {
	lead := d.Proto(l, now)
	lead.Etag = etagOf(l.Version + 1)
	return event.Event{
		Subject: subject(l.ID), SubjectVersion: l.Version + 1, JourneyID: l.JourneyID,
		Data: &pb.LeadCaptured{Lead: lead},
	}
}

func (d *Desk) touched(l *Lead, consents []Consent, now time.Time) event.Event {
	return event.Event{
		Subject: subject(l.ID), SubjectVersion: l.Version + 1, JourneyID: l.JourneyID,
		Data: &pb.LeadTouched{
			LeadId: l.ID, JourneyId: l.JourneyID, Touch: touchProto(l.Last), TouchCount: int32(l.TouchCount),
			Score: d.scoreProto(l, now), Consents: people.ConsentsProto(consents),
		},
	}
}

// stateEvents are the changes of state that are not saved yet, but for those that LeadCaptured covers.
func stateEvents(l *Lead) []event.Event {
	var events []event.Event
	for _, t := range l.transitions {
		if t.From == "" || t.From == Captured {
			continue
		}
		ev := &pb.LeadStateChanged{
			LeadId: l.ID, JourneyId: l.JourneyID, From: stateProto(t.From), To: stateProto(t.To), Reason: t.Reason, Note: t.Note,
		}
		if t.To == Recycled && l.WakeAt != nil {
			ev.WakeAt = timeProto(*l.WakeAt)
		}
		events = append(events, event.Event{
			Subject: subject(l.ID), SubjectVersion: l.Version + 1, JourneyID: l.JourneyID, Data: ev,
		})
	}
	return events
}

// Judgement is what Capture would make of a capture.
type Judgement struct {
	// LeadID is the lead that is there; empty for a new one.
	LeadID   string
	Excluded bool
}

// Preview says what Capture would do, and changes nothing. It does not see that two of the captures are about one person.
func (d *Desk) Preview(ctx context.Context, tx store.Tx, captures []Capture) ([]Judgement, error) {
	var keys, domains []string
	for i := range captures {
		keys, domains = append(keys, captures[i].Person.MatchKey()), append(domains, captures[i].domains()...)
	}
	b, err := d.readBook(ctx, tx, nil, keys, domains, nil, nil)
	if err != nil {
		return nil, err
	}
	out := make([]Judgement, len(captures))
	for i := range captures {
		excluded := b.suppressed[keys[i]] || ruleFor(b.rules, captures[i].domains()) != nil
		out[i] = Judgement{LeadID: b.known[keys[i]], Excluded: excluded}
	}
	return out, nil
}

// Register makes the desk do its jobs.
func (d *Desk) Register() { jobs.Register(d.Jobs, d.wake) }
