package lead

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// OnDecision takes in what inside sales decided on an offer.
func (d *Desk) OnDecision(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, reason *handoffv1.Reason) error {
	id, ok := strings.CutPrefix(h.GetSenderSubject(), "lead/")
	if !ok {
		return fmt.Errorf("lead: handoff %s does not come from a lead but from %q", h.GetId(), h.GetSenderSubject())
	}
	l, err := inHand(ctx, tx, id)
	if err != nil {
		return err
	}
	if l == nil || l.HandoffID != h.GetId() {
		return nil // the lead has been offered anew since
	}
	now, decision := d.Clock.Now(), h.GetDecision()
	switch h.GetState() {
	case handoffv1.State_STATE_ACCEPTED, handoffv1.State_STATE_FULFILLED:
		return d.settle(ctx, tx, l, l.Accept(now))
	case handoffv1.State_STATE_RETURNED, handoffv1.State_STATE_EXPIRED, handoffv1.State_STATE_RECALLED:
		code := decision.GetReason()
		if code == "" {
			code = strings.TrimPrefix(h.GetState().String(), "STATE_")
		}
		return d.settle(ctx, tx, l, l.SendBack(code, decision.GetNote(), decision.GetMissing(), now))
	case handoffv1.State_STATE_REJECTED:
		wakeAt := timeOf(decision.GetWakeAt())
		if wakeAt == nil {
			at := now.AddDate(0, 0, int(reason.GetWakeAfterDays()))
			wakeAt = &at
		}
		return d.settle(ctx, tx, l, l.end(d, reason.GetAction(), decision.GetReason(), decision.GetNote(), wakeAt, now))
	}
	return nil
}

type inHandKey struct{}

// BeforeHooks reads the leads of several handoffs at once.
func (d *Desk) BeforeHooks(ctx context.Context, tx store.Tx, handoffs []*handoffv1.Handoff) (context.Context, error) {
	var ids []string
	for _, h := range handoffs {
		if id, ok := strings.CutPrefix(h.GetSenderSubject(), "lead/"); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return hold(ctx, tx, ids)
}

// hold reads and locks several leads at once, for inHand.
func hold(ctx context.Context, tx store.Tx, ids []string) (context.Context, error) {
	leads, err := lock(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Lead{}
	for _, l := range leads {
		byID[l.ID] = l
	}
	return context.WithValue(ctx, inHandKey{}, byID), nil
}

// inHand is a locked lead, read now if it was not read with others; nil when there is none.
func inHand(ctx context.Context, tx store.Tx, id string) (*Lead, error) {
	if byID, ok := ctx.Value(inHandKey{}).(map[string]*Lead); ok && byID[id] != nil {
		return byID[id], nil
	}
	leads, err := lock(ctx, tx, []string{id})
	if err != nil || len(leads) == 0 {
		return nil, err
	}
	return leads[0], nil
}

// OnResubmitted lets the lead follow an offer that is made again, and refuses where it has moved on since.
func (d *Desk) OnResubmitted(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
	id, ok := strings.CutPrefix(h.GetSenderSubject(), "lead/")
	if !ok {
		return fmt.Errorf("lead: handoff %s does not come from a lead but from %q", h.GetId(), h.GetSenderSubject())
	}
	l, err := inHand(ctx, tx, id)
	if err != nil || l == nil {
		return err
	}
	if err := l.OfferAgain(h.GetId(), access.ActorOf(ctx), d.Clock.Now()); err != nil {
		return err
	}
	return d.settle(ctx, tx, l, true)
}

// end applies a reason: back to be warmed, back to be completed, or away.
func (l *Lead) end(d *Desk, action handoffv1.Reason_Action, reason, note string, wakeAt *time.Time, now time.Time) bool {
	switch action {
	case handoffv1.Reason_ACTION_RECYCLE:
		return l.Recycle(d.Model, reason, note, wakeAt, now)
	case handoffv1.Reason_ACTION_RETURN:
		return l.SendBack(reason, note, nil, now)
	}
	return l.PutAway(reason, note, now)
}

// settle saves a lead that something was done to.
func (d *Desk) settle(ctx context.Context, tx store.Tx, l *Lead, changed bool) error {
	if !changed {
		return nil
	}
	if err := d.save(ctx, tx, l); err != nil {
		return err
	}
	return d.planWake(ctx, tx, l)
}

// Types are the events that Follow has a use for, by department.
var (
	InsideSalesEvents = []string{"tasuki.insidesales.v1.LeadRecycled", "tasuki.insidesales.v1.LeadDisqualified"}
	FieldSalesEvents  = []string{"tasuki.fieldsales.v1.MeetingVerdict", "tasuki.fieldsales.v1.OpportunityClosed"}
)

// Follow takes in what became of leads in other departments. Journeys that did not begin here are passed over.
func (d *Desk) Follow(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
	data, err := ev.GetData().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("lead: event %s: %w", ev.GetId(), err)
	}
	now := d.Clock.Now()
	switch e := data.(type) {
	case *insidesalesv1.LeadRecycled:
		return d.onLead(ctx, tx, e.GetJourneyId(), e.GetMqlHandoffId(), func(l *Lead) bool {
			return l.Recycle(d.Model, e.GetReason(), e.GetNote(), timeOf(e.GetWakeAt()), now)
		})
	case *insidesalesv1.LeadDisqualified:
		return d.onLead(ctx, tx, e.GetJourneyId(), e.GetMqlHandoffId(), func(l *Lead) bool {
			return l.PutAway(e.GetReason(), e.GetNote(), now)
		})
	case *fieldsalesv1.MeetingVerdict:
		if !e.GetAccepted() {
			return nil // inside sales goes on with it
		}
		return d.onLead(ctx, tx, e.GetJourneyId(), e.GetMqlHandoffId(), func(l *Lead) bool { return l.MeetingAccepted(now) })
	case *fieldsalesv1.OpportunityClosed:
		return d.onLead(ctx, tx, e.GetJourneyId(), e.GetMqlHandoffId(), func(l *Lead) bool {
			if e.GetWon() {
				return l.Win(now)
			}
			return l.end(d, e.GetAction(), e.GetReason(), e.GetNote(), timeOf(e.GetWakeAt()), now)
		})
	}
	return nil
}

// onLead runs fn on the lead of a journey, unless the event belongs to an earlier offer of it.
func (d *Desk) onLead(ctx context.Context, tx store.Tx, journeyID, handoffID string, fn func(*Lead) bool) error {
	if journeyID == "" {
		return nil
	}
	l, err := byJourney(ctx, tx, journeyID)
	if err != nil || l == nil || handoffID != "" && handoffID != l.HandoffID {
		return err
	}
	return d.settle(ctx, tx, l, fn(l))
}

func timeOf(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime().Truncate(time.Microsecond)
	return &at
}
