package csql

import (
	"context"
	"strings"
	"time"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// opportunities is how field sales names what it has made of a handoff.
const opportunities = "opportunity/"

// Hooks let expansions follow their handoffs and deals, in the transactions of the handoff engine, of subscriptions and of
// timers.
type Hooks struct {
	db        *store.DB
	clock     clock.Clock
	csqls     *Store
	customers *customer.Store
	jobs      *jobs.Jobs
}

// NewHooks makes the hooks, and registers the job that wakes refused expansions.
func NewHooks(db *store.DB, c clock.Clock, csqls *Store, customers *customer.Store, j *jobs.Jobs) *Hooks {
	k := &Hooks{db: db, clock: c, csqls: csqls, customers: customers, jobs: j}
	jobs.Register(j, k.wake)
	return k
}

// Kind is what customer success does with the expansions that it hands over.
func (k *Hooks) Kind() handoff.KindConfig {
	return handoff.KindConfig{
		Kind: handoffv1.Kind_KIND_CSQL, From: access.CustomerSuccess, To: access.FieldSales,
		OnDecision: k.decided, OnResubmitted: k.resubmitted,
	}
}

// decided takes in what sales decided. Decisions on earlier handoffs no longer matter.
func (k *Hooks) decided(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, reason *handoffv1.Reason) error {
	c, err := k.csqls.ForHandoff(ctx, tx, h.GetId())
	if err != nil || c == nil {
		return err
	}
	d, now := h.GetDecision(), k.clock.Now()
	at := timeOf(d.GetAt())
	actor := access.ActorFromProto(d.GetBy())
	if actor.IsZero() {
		actor = access.ActorOf(ctx)
	}
	o := Outcome{Reason: d.GetReason(), Note: d.GetNote(), Missing: d.GetMissing(), WakeAt: timeOrNil(d.GetWakeAt())}
	switch state := h.GetState(); state {
	case handoffv1.State_STATE_ACCEPTED, handoffv1.State_STATE_FULFILLED:
		c.IsAccepted(strings.TrimPrefix(h.GetReceiverSubject(), opportunities), actor, d.GetNote(), at, now)
	case handoffv1.State_STATE_REJECTED:
		o.Action = strings.TrimPrefix(reason.GetAction().String(), "ACTION_")
		if o.Action == recycle && o.WakeAt == nil {
			wake := now.AddDate(0, 0, int(reason.GetWakeAfterDays()))
			o.WakeAt = &wake
		}
		c.IsRefused(o, actor, at, now)
		if c.State == Rejected && c.WakeAt != nil {
			if err := k.jobs.Insert(ctx, tx, wakeArgs{CsqlID: c.ID}, jobs.Opts{RunAt: *c.WakeAt}); err != nil {
				return err
			}
		}
	case handoffv1.State_STATE_RETURNED, handoffv1.State_STATE_RECALLED, handoffv1.State_STATE_EXPIRED:
		o.Reason = strings.TrimPrefix(state.String(), "STATE_")
		c.CameBack(o, actor, at, now)
	}
	return k.csqls.Save(ctx, tx, c)
}

// resubmitted lets the expansion follow a handoff that is offered again, and refuses where it must not be sold any more.
func (k *Hooks) resubmitted(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
	c, err := k.csqls.ForHandoff(ctx, tx, h.GetId())
	if err != nil || c == nil {
		return err
	}
	now := k.clock.Now()
	b, err := buyerOf(ctx, tx, k.customers, c.CustomerID, now)
	if err != nil {
		return err
	}
	if err := c.CanOffer(b.unmet(), now); err != nil {
		return err
	}
	if err := c.IsOffered(h.GetId(), h.GetQueue(), access.ActorOf(ctx), "", now); err != nil {
		return err
	}
	return k.csqls.Save(ctx, tx, c)
}

// Outcomes reads what became of the deals at field sales.
func (k *Hooks) Outcomes() event.Subscription {
	return event.Subscription{
		Name: "customer-success.csqls.from.field-sales", Source: access.FieldSales.String(), Handler: k.heard,
		Types: []string{"tasuki.fieldsales.v1.OpportunityClosed", "tasuki.fieldsales.v1.OpportunityReopened"},
	}
}

// heard takes in the end of a deal. The MRR ledger is not touched here: it moves when the CLOSED_WON handoff of the deal is
// accepted, which names the contract.
func (k *Hooks) heard(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
	msg, err := ev.GetData().UnmarshalNew()
	if err != nil {
		return err
	}
	var c *Csql
	at, now, actor := timeOf(ev.GetAt()), k.clock.Now(), access.ActorFromProto(ev.GetActor())
	switch m := msg.(type) {
	case *fieldsalesv1.OpportunityClosed:
		if c, err = k.csqls.ForHandoff(ctx, tx, m.GetSourceHandoffId()); c == nil {
			return err // a deal that did not come from here
		}
		if m.GetWon() {
			mrr, err := money.FromProto(m.GetMrr())
			if err != nil {
				return err
			}
			c.IsWon(m.GetOpportunityId(), mrr, actor, m.GetNote(), at, now)
			break
		}
		c.IsLost(m.GetOpportunityId(), Outcome{
			Reason: m.GetReason(), Action: strings.TrimPrefix(m.GetAction().String(), "ACTION_"), Note: m.GetNote(),
			WakeAt: timeOrNil(m.GetWakeAt()),
		}, actor, at, now)
	case *fieldsalesv1.OpportunityReopened:
		if c, err = k.csqls.ForHandoff(ctx, tx, m.GetOpportunity().GetSourceHandoffId()); c == nil {
			return err
		}
		c.IsReopened(m.GetOpportunity().GetId(), actor, m.GetReason(), at, now)
	default:
		return nil
	}
	return k.csqls.Save(ctx, tx, c)
}

// wakeArgs is the timer of an expansion that was refused for now.
type wakeArgs struct {
	CsqlID string `json:"csql_id"`
}

// Kind implements jobs.Args.
func (wakeArgs) Kind() string { return "csql.wake" }

// wake brings a refused expansion back on its date. It may run again, and too early.
func (k *Hooks) wake(ctx context.Context, job *jobs.Job[wakeArgs]) error {
	early, err := store.Write(ctx, k.db, func(tx store.Tx) (time.Duration, error) {
		c, err := k.csqls.ForUpdate(ctx, tx, job.Args.CsqlID, etag.Match(""))
		if err != nil {
			return 0, err
		}
		now := k.clock.Now()
		if !c.IsAwake(now) {
			if c.State == Rejected && c.WakeAt != nil { // our clock is behind the one of the database
				return max(time.Second, c.WakeAt.Sub(now)), nil
			}
			return 0, nil
		}
		return 0, k.csqls.Save(ctx, tx, c)
	})
	if err == nil && early > 0 {
		return jobs.Again(early)
	}
	return err
}
