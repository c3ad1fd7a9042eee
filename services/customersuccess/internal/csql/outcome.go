package csql

import (
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
)

// What sales does comes back twice: decisions by the handoff's ledger, the end of the deal by an event. The two may overtake
// one another, and both may come again. So these steps catch up on what must have happened before, and do nothing when the
// expansion has moved on. Each tells whether it did something.

// Actions of reasons, as the contract names them.
const (
	recycle = "RECYCLE"
	goBack  = "RETURN"
)

// timer is who brings an expansion back on its date.
var timer = access.System("wake-up")

// IsAccepted records that sales made a deal of it.
func (c *Csql) IsAccepted(opportunityID string, actor access.Actor, note string, at, now time.Time) bool {
	if _, ok := c.next(Accept); !ok {
		return false
	}
	c.OpportunityID, c.Outcome = opportunityID, Outcome{}
	c.move(Accept, actor, "", note, at, now)
	return true
}

// IsRefused records that sales did not want it. The reason's action decides: RETURN sends it back to be completed, RECYCLE
// lets it rest until its wake date, anything else ends it.
func (c *Csql) IsRefused(o Outcome, actor access.Actor, at, now time.Time) bool {
	if o.Action == goBack {
		return c.CameBack(o, actor, at, now)
	}
	if _, ok := c.next(Reject); !ok {
		return false
	}
	if o.Action != recycle {
		o.WakeAt = nil
	}
	o.Missing = nil
	c.Outcome = o
	c.move(Reject, actor, o.Reason, o.Note, at, now)
	return true
}

// CameBack records that it is here again before a decision in its favour: something is missing, nobody decided in time, or
// it was recalled.
func (c *Csql) CameBack(o Outcome, actor access.Actor, at, now time.Time) bool {
	if _, ok := c.next(SendBack); !ok {
		return false
	}
	o.WakeAt = nil
	c.Outcome = o
	c.move(SendBack, actor, o.Reason, o.Note, at, now)
	return true
}

// IsWon records that the customer bought.
func (c *Csql) IsWon(opportunityID string, mrr money.Amount, actor access.Actor, note string, at, now time.Time) bool {
	c.IsAccepted(opportunityID, actor, "", at, now)
	if _, ok := c.next(Win); !ok || c.OpportunityID != opportunityID {
		return false
	}
	c.WonMRR, c.Outcome = mrr, Outcome{Note: note}
	c.move(Win, actor, "", note, at, now)
	return true
}

// IsLost records that the deal was lost.
func (c *Csql) IsLost(opportunityID string, o Outcome, actor access.Actor, at, now time.Time) bool {
	c.IsAccepted(opportunityID, actor, "", at, now)
	if _, ok := c.next(Lose); !ok || c.OpportunityID != opportunityID {
		return false
	}
	o.Missing = nil
	c.Outcome = o
	c.move(Lose, actor, o.Reason, o.Note, at, now)
	return true
}

// IsReopened records that sales works on the lost deal again.
func (c *Csql) IsReopened(opportunityID string, actor access.Actor, note string, at, now time.Time) bool {
	if _, ok := c.next(Reopen); !ok || c.OpportunityID != opportunityID {
		return false
	}
	c.Outcome = Outcome{}
	c.move(Reopen, actor, "", note, at, now)
	return true
}

// IsAwake brings a refused expansion back on its wake date, as a draft whose evidence is to be looked at anew.
func (c *Csql) IsAwake(now time.Time) bool {
	if _, ok := c.next(Wake); !ok || c.WakeAt == nil || now.Before(*c.WakeAt) {
		return false
	}
	c.Action, c.WakeAt = "", nil // the reason stays to be read
	c.move(Wake, timer, "WAKE_DATE", "", now, now)
	return true
}
