// Package customer has the companies that bought: their life, tier, handover documents and subscriptions.
package customer

import (
	"slices"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// State of a customer.
type State string

// The states.
const (
	HandedOver State = "HANDED_OVER"
	Onboarding State = "ONBOARDING"
	Adoption   State = "ADOPTION"
	Retention  State = "RETENTION"
	Churned    State = "CHURNED"
)

// Command moves a customer, by the name that clients see.
type Command string

// The commands.
const (
	cmdStart    Command = "startOnboarding"
	cmdComplete Command = "completeOnboarding"
	cmdRetain   Command = "markRetained"
	cmdCancel   Command = "cancel"
	cmdBack     Command = "reactivate"
)

// arrows are all changes of state there are. cancel leads to CHURNED only when nothing stays active.
var arrows = map[State]map[Command]State{
	HandedOver: {cmdStart: Onboarding, cmdCancel: Churned},
	Onboarding: {cmdComplete: Adoption, cmdCancel: Churned},
	Adoption:   {cmdRetain: Retention, cmdCancel: Churned},
	Retention:  {cmdCancel: Churned},
	Churned:    {cmdBack: Onboarding},
}

// Company is what is known of the company.
type Company struct {
	Name, Domain, Industry string
	// Employees is 0 when not known.
	Employees int32
}

// Override is a tier that a person set against the rule.
type Override struct {
	Tier  Tier
	Note  string
	Until civil.Date // last day on which it counts; empty means for good
	By    access.Actor
	At    time.Time
}

// Customer is a company that bought.
type Customer struct {
	ID string
	// AccountID is unique; empty where field sales named none. Then JourneyID tells customers apart.
	AccountID, JourneyID, PersonID string
	Company                        Company
	State                          State
	StateSince                     time.Time
	Rule                           Decision
	Override                       *Override
	// Promising: the handover names room to expand or to propose more.
	Promising   bool
	CSM         string
	Currency    string
	ChurnedDate civil.Date
	// OpenGaps is how many gaps the handover documents have.
	OpenGaps int32
	// OpenFlags is how many reasons to look at it nobody has looked at.
	OpenFlags int64
	// Version counts saves; it is the etag.
	Version              int64
	CreatedAt, UpdatedAt time.Time

	moved []history.Transition[State]
	dirty bool // changed since it was read; the version is the next already
}

// touch notes that the customer changes: what is made of it from now on carries its next version.
func (c *Customer) touch(now time.Time) {
	c.UpdatedAt = now
	if !c.dirty {
		c.dirty = true
		c.Version++
	}
}

// Create makes the customer in its first state.
func (c *Customer) Create(actor access.Actor, note string, now time.Time) {
	c.touch(now)
	c.State, c.StateSince, c.CreatedAt = HandedOver, now, now
	c.moved = append(c.moved, history.Transition[State]{To: HandedOver, At: now, Actor: actor, Note: note})
}

// can reports whether the command is legal now, as an ILLEGAL_TRANSITION that names those that are.
func (c *Customer) can(command Command) error {
	if _, ok := arrows[c.State][command]; ok {
		return nil
	}
	var legal []string
	for name := range arrows[c.State] {
		legal = append(legal, string(name))
	}
	slices.Sort(legal)
	return problem.IllegalTransition("customer", string(c.State), string(command), legal)
}

func (c *Customer) move(command Command, actor access.Actor, reason, note string, now time.Time) error {
	if err := c.can(command); err != nil {
		return err
	}
	c.touch(now)
	to := arrows[c.State][command]
	c.moved = append(c.moved, history.Transition[State]{
		From: c.State, To: to, At: now, Actor: actor, Reason: reason,
		Note: note, InFrom: now.Sub(c.StateSince),
	})
	c.State, c.StateSince = to, now
	return nil
}

// StartOnboarding records that the kickoff was held. A customer that came back is in ONBOARDING already, and stays there.
func (c *Customer) StartOnboarding(actor access.Actor, note string, now time.Time) error {
	if c.State == Onboarding {
		return nil
	}
	return c.move(cmdStart, actor, "", note, now)
}

// CompleteOnboarding records that the mandatory milestones are done.
func (c *Customer) CompleteOnboarding(actor access.Actor, note string, now time.Time) error {
	return c.move(cmdComplete, actor, "", note, now)
}

// MarkRetained records that the product is a habit.
func (c *Customer) MarkRetained(actor access.Actor, note string, now time.Time) error {
	return c.move(cmdRetain, actor, "", note, now)
}

// CanCancel reports whether a subscription may be cancelled.
func (c *Customer) CanCancel() error { return c.can(cmdCancel) }

// Churn records that the last subscription ended, and which day is the first without any.
func (c *Customer) Churn(actor access.Actor, reason, note string, ended civil.Date, now time.Time) error {
	if err := c.move(cmdCancel, actor, reason, note, now); err != nil {
		return err
	}
	c.ChurnedDate = ended
	return nil
}

// Reactivate records that a churned customer came back.
func (c *Customer) Reactivate(actor access.Actor, note string, now time.Time) error {
	if err := c.move(cmdBack, actor, "", note, now); err != nil {
		return err
	}
	c.ChurnedDate = ""
	return nil
}

// SetCSM says who looks after the customer; empty means nobody.
func (c *Customer) SetCSM(csm string, now time.Time) {
	c.touch(now)
	c.CSM = csm
}

// SetCompany corrects what is known of the company.
func (c *Customer) SetCompany(company Company, now time.Time) {
	c.touch(now)
	c.Company = company
}

// SetOverride sets a tier against the rule; nil ends the override.
func (c *Customer) SetOverride(o *Override, now time.Time) {
	c.touch(now)
	c.Override = o
}

// Assess looks at the tier rule anew. committedMRR is in minor units of the customer's currency.
func (c *Customer) Assess(committedMRR int64) {
	c.Rule = Decide(committedMRR, c.Currency, c.Company.Employees)
}

// Tier is the one that counts on the day: the override while there is one, else the rule's.
func (c *Customer) Tier(day civil.Date) Tier {
	if o := c.OverrideOn(day); o != nil {
		return o.Tier
	}
	return c.Rule.Tier
}

// OverrideOn is the override that counts on the day; nil when there is none.
func (c *Customer) OverrideOn(day civil.Date) *Override {
	if o := c.Override; o != nil && (o.Until == "" || o.Until >= day) {
		return o
	}
	return nil
}
