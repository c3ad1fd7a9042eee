package lead

import (
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

// What other departments make of a lead comes back as events of several feeds, which may overtake one another: field sales'
// verdict can be here before inside sales' acceptance. So these steps catch up on what must have happened before, and do
// nothing when the lead has moved on. Each tells whether it did something.

// Accept records that inside sales took the lead.
func (l *Lead) Accept(now time.Time) bool {
	if l.State != Offered {
		return false
	}
	l.move(Accepted, handoffs, "", "", now)
	return true
}

// SendBack records that an offer was returned, has expired or was recalled: the lead waits as MQL to be completed.
func (l *Lead) SendBack(reason, note string, missing []string, now time.Time) bool {
	if l.State != Offered {
		return false
	}
	l.move(MQL, handoffs, reason, note, now)
	l.Missing = missing
	return true
}

// OfferAgain records that an offer that came back is made again. A lead that was offered anew or put away since is not.
func (l *Lead) OfferAgain(handoffID string, by access.Actor, now time.Time) error {
	if l.State != MQL || l.HandoffID != handoffID {
		return problem.IllegalTransition("lead", string(l.State), "resubmit", Legal(l.State))
	}
	l.move(Offered, by, l.QualifyingAction, "", now)
	return nil
}

// Recycle records that the lead came back: not now. Its interest begins anew, its fit stays.
func (l *Lead) Recycle(m *scoring.Model, reason, note string, wakeAt *time.Time, now time.Time) bool {
	if l.State != Offered && l.State != Accepted && l.State != SQL {
		return false
	}
	l.move(Recycled, handoffs, reason, note, now)
	l.Score = l.Score.Base(now)
	l.rescore(m, now)
	l.Hot, l.QualifyingAction = false, ""
	l.RecycleCount++
	l.LastReason, l.WakeAt = reason, wakeAt
	return true
}

// PutAway records that another department put the lead away for good.
func (l *Lead) PutAway(reason, note string, now time.Time) bool {
	if l.State != Offered && l.State != Accepted && l.State != SQL {
		return false
	}
	l.LastReason = reason
	l.move(Disqualified, handoffs, reason, note, now)
	return true
}

// MeetingAccepted records that field sales accepted the meeting.
func (l *Lead) MeetingAccepted(now time.Time) bool {
	l.Accept(now)
	if l.State != Accepted {
		return false
	}
	l.move(SQL, handoffs, "", "", now)
	return true
}

// Win records that the deal was won.
func (l *Lead) Win(now time.Time) bool {
	l.MeetingAccepted(now)
	if l.State != SQL {
		return false
	}
	l.move(Customer, handoffs, "", "", now)
	return true
}

// Wake brings a recycled lead back when its date has come.
func (l *Lead) Wake(now time.Time) bool {
	if l.State != Recycled || l.WakeAt == nil || now.Before(*l.WakeAt) {
		return false
	}
	l.move(Nurturing, alarm, "WAKE_DATE", "", now)
	return true
}
