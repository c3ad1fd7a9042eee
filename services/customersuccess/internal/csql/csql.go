// Package csql has the expansions that customers ask for: noted and qualified here, sold by sales.
package csql

import (
	"slices"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// State is where an expansion stands.
type State string

// The states.
const (
	Draft     State = "DRAFT"
	Qualified State = "QUALIFIED"
	Offered   State = "OFFERED"
	Accepted  State = "ACCEPTED"
	Rejected  State = "REJECTED"
	Returned  State = "RETURNED"
	Won       State = "WON"
	Lost      State = "LOST"
	Dropped   State = "DROPPED"
)

// States are all states.
func States() []State {
	return []State{Draft, Qualified, Offered, Accepted, Rejected, Returned, Won, Lost, Dropped}
}

// Command moves an expansion, by the name that clients see where they can give it.
type Command string

// The commands. Those after Drop come with handoffs, events and timers.
const (
	Update   Command = "update"
	Qualify  Command = "qualify"
	Offer    Command = "offer"
	Drop     Command = "drop"
	Accept   Command = "accept"
	Reject   Command = "reject"
	SendBack Command = "sendBack"
	Win      Command = "win"
	Lose     Command = "lose"
	Reopen   Command = "reopen"
	Wake     Command = "wake"
)

// Commands are all commands.
func Commands() []Command {
	return []Command{Update, Qualify, Offer, Drop, Accept, Reject, SendBack, Win, Lose, Reopen, Wake}
}

type arrow struct {
	command Command
	to      State
}

// machine has every arrow there is; what is not here is illegal.
var machine = map[State][]arrow{
	Draft:     {{Update, Draft}, {Qualify, Qualified}, {Drop, Dropped}},
	Qualified: {{Update, Qualified}, {Offer, Offered}, {Drop, Dropped}},
	Offered:   {{Accept, Accepted}, {Reject, Rejected}, {SendBack, Returned}},
	Accepted:  {{Win, Won}, {Lose, Lost}},
	Rejected:  {{Wake, Draft}},
	Returned:  {{Update, Returned}, {Offer, Offered}, {Drop, Dropped}},
	Won:       {},
	Lost:      {{Reopen, Accepted}},
	Dropped:   {},
}

// Type is how a customer would buy more: UPSELL or CROSS_SELL.
type Type string

// Company is what was known of the company when the expansion was noted.
type Company struct {
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Domain    string `json:"domain,omitempty"`
	Industry  string `json:"industry,omitempty"`
	Employees int32  `json:"employees,omitempty"`
}

// Outcome is what sales, or the drop, said last.
type Outcome struct {
	Reason, Action, Note string
	// Missing is what sales misses, while RETURNED.
	Missing []string
	// WakeAt is when it should be looked at again; nil means never.
	WakeAt *time.Time
}

// Csql is one expansion.
type Csql struct {
	ID, CustomerID, AccountID, JourneyID string
	Company                              Company
	State                                State
	StateSince                           time.Time
	Content
	Owner string
	// HandoffID is empty before the first offer; Queue is where it was offered.
	HandoffID, Queue string
	Outcome
	OpportunityID string
	WonMRR        money.Amount
	// Version counts the facts; it is the etag.
	Version              int64
	CreatedAt, UpdatedAt time.Time

	facts []Fact
}

// Fact is something that happened since the expansion was read, for its history and the feed. Each makes one version.
type Fact struct {
	// After is the expansion right after it.
	After Csql
	// Moved is nil where the state stayed.
	Moved *history.Transition[State]
}

// Create notes an expansion. The caller has filled in what it is about.
func Create(c Csql, actor access.Actor, now time.Time) *Csql {
	c.State, c.StateSince, c.CreatedAt, c.UpdatedAt, c.Version = Draft, now, now, now, 1
	c.facts = []Fact{{After: c, Moved: &history.Transition[State]{To: Draft, At: now, Actor: actor}}}
	return &c
}

// Legal are the commands that people can give now.
func (c *Csql) Legal() []string {
	var legal []string
	for _, a := range machine[c.State] {
		switch a.command {
		case Update, Qualify, Offer, Drop:
			legal = append(legal, string(a.command))
		}
	}
	slices.Sort(legal)
	return legal
}

// Check is the error that names what is legal when the command is not.
func (c *Csql) Check(command Command) error {
	if _, ok := c.next(command); ok {
		return nil
	}
	return problem.IllegalTransition("csql", string(c.State), string(command), c.Legal())
}

func (c *Csql) next(command Command) (State, bool) {
	for _, a := range machine[c.State] {
		if a.command == command {
			return a.to, true
		}
	}
	return "", false
}

// move follows an arrow that is there. at is when it counts, which may be before now when sales decided it.
func (c *Csql) move(command Command, actor access.Actor, reason, note string, at, now time.Time) {
	to, _ := c.next(command)
	if at.IsZero() || at.After(now) {
		at = now
	}
	at = latest(at, c.StateSince)
	t := history.Transition[State]{
		From: c.State, To: to, At: at, Actor: actor, Reason: reason, Note: note, InFrom: at.Sub(c.StateSince),
	}
	c.State, c.StateSince, c.UpdatedAt = to, at, now
	c.Version++
	c.facts = append(c.facts, Fact{After: c.bare(), Moved: &t})
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// bare is a copy without what happened to it.
func (c *Csql) bare() Csql {
	out := *c
	out.facts = nil
	return out
}

// Change replaces what is known of the expansion. What is QUALIFIED must stay so.
func (c *Csql) Change(to Content, now time.Time) error {
	if err := c.Check(Update); err != nil {
		return err
	}
	if c.State == Qualified {
		if lacks := to.Unmet(now); len(lacks) > 0 {
			return notMet(Update, lacks)
		}
	}
	if c.Content.equal(to) {
		return nil
	}
	c.Content, c.UpdatedAt = to, now
	c.Version++
	c.facts = append(c.facts, Fact{After: c.bare()})
	return nil
}

// Qualify records that the expansion is worth sales' time. customer is what keeps the customer from being sold to.
func (c *Csql) Qualify(customer []problem.Violation, actor access.Actor, note string, now time.Time) error {
	if err := c.Check(Qualify); err != nil {
		return err
	}
	if lacks := append(c.Unmet(now), customer...); len(lacks) > 0 {
		return notMet(Qualify, lacks)
	}
	c.Outcome = Outcome{}
	c.move(Qualify, actor, "", note, now, now)
	return nil
}

// CanOffer tells why the expansion cannot be offered now: not from here, or what made it qualified no longer holds.
func (c *Csql) CanOffer(customer []problem.Violation, now time.Time) error {
	if err := c.Check(Offer); err != nil {
		return err
	}
	if lacks := append(c.Unmet(now), customer...); len(lacks) > 0 {
		return notMet(Offer, lacks)
	}
	return nil
}

// IsOffered records that sales has the expansion to decide on, with the handoff and its queue.
func (c *Csql) IsOffered(handoffID, queue string, actor access.Actor, note string, now time.Time) error {
	if err := c.Check(Offer); err != nil {
		return err
	}
	c.HandoffID, c.Queue, c.Outcome = handoffID, queue, Outcome{}
	c.move(Offer, actor, "", note, now, now)
	return nil
}

// GiveUp ends an expansion that sales does not have.
func (c *Csql) GiveUp(reason, note string, actor access.Actor, now time.Time) error {
	if err := c.Check(Drop); err != nil {
		return err
	}
	c.Outcome = Outcome{Reason: reason, Note: note}
	c.move(Drop, actor, reason, note, now, now)
	return nil
}
