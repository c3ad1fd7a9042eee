package workitem

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Reasons of work items that no person chose.
const (
	reasonReturned = "RETURNED"
	reasonRecalled = "RECALLED"
	reasonExpired  = "EXPIRED"
)

// Hooks let work items follow the handoffs, in the transactions of the handoff engine and of subscriptions.
type Hooks struct {
	items *Store
	clock clock.Clock
}

// NewHooks makes the hooks.
func NewHooks(items *Store, c clock.Clock) *Hooks { return &Hooks{items: items, clock: c} }

// MQL is what inside sales does with what marketing hands over.
func (k *Hooks) MQL() handoff.KindConfig {
	return handoff.KindConfig{
		Kind: handoffv1.Kind_KIND_MQL, From: access.Marketing, To: access.InsideSales,
		OnReceived: k.received, OnAccepted: k.accepted, OnAssigned: k.assigned,
		OnRejected: k.rejected, OnReturned: k.returned, OnRecalled: k.recalled, OnExpired: k.expired, BeforeHooks: k.read,
	}
}

// Meeting is what inside sales does with the meetings that it hands over.
func (k *Hooks) Meeting() handoff.KindConfig {
	return handoff.KindConfig{
		Kind: handoffv1.Kind_KIND_MEETING, From: access.InsideSales, To: access.FieldSales,
		OnDecision: k.meetingDecided, OnResubmitted: k.meetingResubmitted,
	}
}

// received makes a work item of a handoff, or brings that of an earlier attempt back.
func (k *Hooks) received(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) (string, error) {
	var w *WorkItem
	if h.GetAttempt() > 1 { // a first attempt is received once, so there is none
		var err error
		if w, err = k.items.ForHandoff(ctx, tx, h.GetId()); err != nil {
			return "", err
		}
	}
	now, actor := k.clock.Now(), access.ActorOf(ctx)
	if w == nil {
		fresh := WorkItem{ID: party.NewID(), Source: MQL, MQLHandoffID: h.GetId(), JourneyID: h.GetJourneyId(), Queue: h.GetQueue()}
		if err := fresh.fill(h); err != nil {
			return "", err
		}
		w = Create(fresh, actor, now)
	} else {
		if err := w.fill(h); err != nil {
			return "", err
		}
		if err := w.OfferAgain(actor, now); err != nil {
			return "", err
		}
	}
	if h.GetAssignee() != "" {
		if err := w.AssignTo(h.GetAssignee(), actor, now); err != nil {
			return "", err
		}
	}
	return subject(w.ID), k.items.Save(ctx, tx, w)
}

// fill takes in what marketing says of the prospect.
func (w *WorkItem) fill(h *handoffv1.Handoff) error {
	mql := h.GetPayload().GetMql()
	offer, err := protojson.Marshal(mql)
	if err != nil {
		return err
	}
	w.Offer, w.Hot, w.Notes, w.refilled = offer, mql.GetHot(), mql.GetNotes(), true
	w.Person, w.Company = party.PersonOf(mql.GetPerson()).Named(), companyOf(mql.GetCompany())
	if h.GetPersonId() != "" {
		w.Person.ID = h.GetPersonId()
	}
	if w.Person.ID == "" {
		w.Person.ID = party.NewID()
	}
	if h.GetAccountId() != "" {
		w.Company.ID = h.GetAccountId()
	}
	return nil
}

type inHandKey struct{}

// read reads the work items of several MQL handoffs at once.
func (k *Hooks) read(ctx context.Context, tx store.Tx, handoffs []*handoffv1.Handoff) (context.Context, error) {
	ids := make([]string, len(handoffs))
	for i, h := range handoffs {
		ids[i] = h.GetId()
	}
	items, err := k.items.ForHandoffs(ctx, tx, ids)
	return context.WithValue(ctx, inHandKey{}, items), err
}

// inHand is a locked work item, read now if it was not read with others; nil when there is none.
func (k *Hooks) inHand(ctx context.Context, tx store.Tx, handoffID string) (*WorkItem, error) {
	if items, ok := ctx.Value(inHandKey{}).(map[string]*WorkItem); ok && items[handoffID] != nil {
		return items[handoffID], nil
	}
	return k.items.ForHandoff(ctx, tx, handoffID)
}

// follow runs a change on the work item of an MQL handoff.
func (k *Hooks) follow(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, do func(w *WorkItem, actor access.Actor, now time.Time) error) (string, error) {
	w, err := k.inHand(ctx, tx, h.GetId())
	if err != nil || w == nil {
		return "", err
	}
	if err := do(w, access.ActorOf(ctx), k.clock.Now()); err != nil {
		return "", err
	}
	return subject(w.ID), k.items.Save(ctx, tx, w)
}

func (k *Hooks) accepted(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) (string, error) {
	return k.follow(ctx, tx, h, func(w *WorkItem, actor access.Actor, now time.Time) error {
		assignee := h.GetAssignee()
		if assignee == "" {
			assignee = actor.ID
		}
		return w.AcceptBy(assignee, actor, h.GetDecision().GetNote(), now)
	})
}

func (k *Hooks) assigned(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
	_, err := k.follow(ctx, tx, h, func(w *WorkItem, actor access.Actor, now time.Time) error {
		return w.AssignTo(h.GetAssignee(), actor, now)
	})
	return err
}

func (k *Hooks) rejected(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
	d := h.GetDecision()
	return k.end(ctx, tx, h, Reject, d.GetReason(), d.GetNote())
}

func (k *Hooks) returned(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
	return k.end(ctx, tx, h, Return, reasonReturned, missingNote(h.GetDecision()))
}

func (k *Hooks) recalled(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
	return k.end(ctx, tx, h, TakeBack, reasonRecalled, h.GetDecision().GetNote())
}

// expired puts aside what nobody decided in time: its handoff can only be offered again.
func (k *Hooks) expired(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
	return k.end(ctx, tx, h, TakeBack, reasonExpired, h.GetDecision().GetNote())
}

func (k *Hooks) end(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, c Command, reason, note string) error {
	_, err := k.follow(ctx, tx, h, func(w *WorkItem, actor access.Actor, now time.Time) error {
		return w.Close(c, actor, reason, note, timeOf(h.GetDecision().GetWakeAt()), now)
	})
	return err
}

// missingNote names what is missing before the words.
func missingNote(d *handoffv1.Decision) string {
	note := strings.Join(d.GetMissing(), ", ")
	if note != "" && d.GetNote() != "" {
		note += ": "
	}
	return note + d.GetNote()
}

// meetingDecided takes in what field sales made of a meeting. Decisions on earlier meetings no longer matter.
func (k *Hooks) meetingDecided(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, reason *handoffv1.Reason) error {
	w, err := k.items.ForMeeting(ctx, tx, h.GetId())
	if err != nil || w == nil {
		return err
	}
	d, now := h.GetDecision(), k.clock.Now()
	actor := access.ActorFromProto(d.GetBy())
	if actor.IsZero() {
		actor = access.ActorOf(ctx)
	}
	switch h.GetState() {
	case handoffv1.State_STATE_ACCEPTED, handoffv1.State_STATE_FULFILLED:
		err = w.MeetingIsDecided(true, actor, "", d.GetNote(), now)
	case handoffv1.State_STATE_REJECTED:
		err = w.MeetingIsDecided(false, actor, d.GetReason(), d.GetNote(), now)
	case handoffv1.State_STATE_RETURNED, handoffv1.State_STATE_RECALLED, handoffv1.State_STATE_EXPIRED:
		code := strings.TrimPrefix(h.GetState().String(), "STATE_")
		err = w.MeetingIsDecided(false, actor, code, missingNote(d), now)
	}
	if err != nil {
		return err
	}
	return k.items.Save(ctx, tx, w)
}

// meetingResubmitted lets the work item follow a meeting that is offered again, and refuses where it has ended since.
func (k *Hooks) meetingResubmitted(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
	w, err := k.items.ForMeeting(ctx, tx, h.GetId())
	if err != nil || w == nil {
		return err
	}
	if err := w.MeetingIsOfferedAgain(access.ActorOf(ctx), k.clock.Now()); err != nil {
		return err
	}
	return k.items.Save(ctx, tx, w)
}

// Outcomes reads what became of the prospects at field sales.
func (k *Hooks) Outcomes() event.Subscription {
	return event.Subscription{
		Name: "inside-sales.outcomes.from.field-sales", Source: access.FieldSales.String(), Handler: k.heard,
		Types: []string{
			"tasuki.fieldsales.v1.MeetingVerdict", "tasuki.fieldsales.v1.OpportunityClosed",
			"tasuki.fieldsales.v1.OpportunityReopened",
		},
	}
}

func (k *Hooks) heard(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
	msg, err := ev.GetData().UnmarshalNew()
	if err != nil {
		return err
	}
	var w *WorkItem
	now := k.clock.Now()
	switch m := msg.(type) {
	case *fieldsalesv1.MeetingVerdict:
		if w, err = k.items.ForMeeting(ctx, tx, m.GetHandoffId()); w != nil {
			w.OpportunityIs(m.GetOpportunityId(), now)
		}
	case *fieldsalesv1.OpportunityClosed:
		if w, err = k.deal(ctx, tx, m.GetSourceHandoffId(), m.GetOpportunityId()); w != nil {
			w.OpportunityIs(m.GetOpportunityId(), now)
			outcome := Lost
			if m.GetWon() {
				outcome = Won
			}
			w.OutcomeIs(outcome, m.GetReason(), now)
		}
	case *fieldsalesv1.OpportunityReopened:
		if w, err = k.deal(ctx, tx, "", m.GetOpportunity().GetId()); w != nil {
			w.OutcomeIs("", "", now)
		}
	}
	if err != nil || w == nil { // deals that did not come from here
		return err
	}
	return k.items.Save(ctx, tx, w)
}

// deal finds the work item of a deal: by the meeting it was made from, else by its id.
func (k *Hooks) deal(ctx context.Context, tx store.Tx, handoffID, opportunityID string) (*WorkItem, error) {
	if handoffID != "" {
		if w, err := k.items.ForMeeting(ctx, tx, handoffID); w != nil || err != nil {
			return w, err
		}
	}
	if opportunityID == "" {
		return nil, nil
	}
	return k.items.ForOpportunity(ctx, tx, opportunityID)
}
