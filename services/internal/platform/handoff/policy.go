package handoff

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/bizclock"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// clockName is a Clock of the contract as tables and jobs store it.
type clockName string

const (
	acceptClock      clockName = "ACCEPT"
	firstActionClock clockName = "FIRST_ACTION"
	pickUpClock      clockName = "PICK_UP"
)

// The steps of the contract's BreachStep, as tables store them. noted is a breach on which the policy does nothing.
const (
	noted    = ""
	reassign = "REASSIGN"
	escalate = "ESCALATE"
	expire   = "EXPIRE"
)

// policyStep is what is done when a clock has run out; the JSON is that of handoff_policies.steps.
type policyStep struct {
	Clock clockName `json:"clock"`
	// After is in business minutes after the due time.
	After int64    `json:"after,omitempty"`
	Step  string   `json:"step"`
	To    []string `json:"to,omitempty"`
}

type policyRow struct {
	Code, Kind        string
	Hot               bool
	Calendar          string
	AcceptWithin      int64
	FirstActionWithin int64
	GapsWithin        int64
	UndeliveredAfter  int64
	Steps             string
	Version           int64
	Config            string
}

const selectPolicies = `SELECT p.code, p.kind, p.hot, p.calendar, p.accept_within, p.first_action_within, p.gaps_within,
	p.undelivered_after, p.steps, p.version, c.config FROM handoff_policies p JOIN handoff_calendars c ON c.name = p.calendar`

// policy is a row with what it says in text made ready.
type policy struct {
	policyRow
	steps    []policyStep
	business *bizclock.Calendar
}

func (row policyRow) read() (*policy, error) {
	p := &policy{policyRow: row}
	if err := json.Unmarshal([]byte(row.Steps), &p.steps); err != nil {
		return nil, fmt.Errorf("handoff: steps of policy %s: %w", row.Code, err)
	}
	var err error
	if p.business, err = calendarOf(row.Config); err != nil {
		return nil, fmt.Errorf("handoff: calendar %s: %w", row.Calendar, err)
	}
	return p, nil
}

// calendars are those that were made of a configuration before: a calendar never changes, and making one costs more than
// asking it.
var calendars sync.Map

func calendarOf(config string) (*bizclock.Calendar, error) {
	if c, ok := calendars.Load(config); ok {
		return c.(*bizclock.Calendar), nil
	}
	var cfg bizclock.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return nil, err
	}
	c, err := bizclock.New(cfg)
	if err != nil {
		return nil, err
	}
	calendars.Store(config, c)
	return c, nil
}

// policyFor is the policy of a handoff: the one it names, else the one of its kind for what is as hot as it is, else that
// of the kind. Nil when the kind has none: then no clock runs.
func policyFor(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) (*policy, error) {
	rows, err := policiesOf(ctx, tx, kindName(h.GetKind()))
	if err != nil {
		return nil, err
	}
	best, rank := policyRow{}, 0
	for _, row := range rows {
		fit := 0
		switch hot := h.GetPayload().GetMql().GetHot(); {
		case row.Code == h.GetPolicy():
			fit = 3
		case row.Hot == hot:
			fit = 2
		case !row.Hot:
			fit = 1
		}
		if fit > rank {
			best, rank = row, fit
		}
	}
	if rank == 0 {
		return nil, nil
	}
	return best.read()
}

// policiesKey is that of the policies of a kind in the notes of a transaction.
type policiesKey string

func policiesOf(ctx context.Context, tx store.Tx, kind string) ([]policyRow, error) {
	if rows, ok := tx.Notes()[policiesKey(kind)].([]policyRow); ok {
		return rows, nil
	}
	rows, err := store.Select[policyRow](ctx, tx, selectPolicies+` WHERE p.kind = $1 ORDER BY p.hot, p.code`, kind)
	if err == nil {
		tx.Notes()[policiesKey(kind)] = rows
	}
	return rows, err
}

// forgetPolicies is for whoever changes policies or calendars.
func forgetPolicies(tx store.Tx) {
	maps.DeleteFunc(tx.Notes(), func(key, _ any) bool { _, is := key.(policiesKey); return is })
}

func minutes(n int64) time.Duration { return time.Duration(n) * time.Minute }

// of are the steps of a clock, in the order of the policy. A clock without any is noted when it runs out.
func (p *policy) of(clock clockName) []policyStep {
	var out []policyStep
	for _, s := range p.steps {
		if s.Clock == clock {
			out = append(out, s)
		}
	}
	if out == nil {
		out = []policyStep{{Clock: clock, Step: noted}}
	}
	return out
}

// acceptDue is when an offer that arrives now must be decided; zero when no clock runs. The verdict on a meeting is due
// after its end.
func (p *policy) acceptDue(h *handoffv1.Handoff, now time.Time) time.Time {
	if p == nil || p.AcceptWithin == 0 {
		return time.Time{}
	}
	if ends := h.GetPayload().GetMeeting().GetEndsAt(); ends != nil && ends.AsTime().After(now) {
		now = ends.AsTime()
	}
	return p.business.Add(now, minutes(p.AcceptWithin))
}

// resumed is when an offer must be decided whose clock stood still while it was returned: what was left then is left now.
// A clock that had run out before begins again: that breach is on the books of the earlier attempt.
func (p *policy) resumed(h *handoffv1.Handoff, due, returned, now time.Time) time.Time {
	if p == nil || p.AcceptWithin == 0 || due.IsZero() || !due.After(returned) || h.GetPayload().GetMeeting() != nil {
		return p.acceptDue(h, now)
	}
	return p.business.Resume(due, returned, now)
}

// firstActionDue is when the first action is due after an acceptance now; zero when no clock runs.
func (p *policy) firstActionDue(now time.Time) time.Time {
	if p == nil || p.FirstActionWithin == 0 {
		return time.Time{}
	}
	return p.business.Add(now, minutes(p.FirstActionWithin))
}
