// Package pipeline has the stages of a deal and the reasons for losing one. Both are data.
package pipeline

import (
	"slices"
	"time"
)

// Stage is a step on the way of an open deal.
type Stage struct {
	Code               string
	Position           int64
	ProbabilityPercent int64
	ForecastCategory   string
	LabelJa, LabelEn   string
	NeedsAmount        bool
	NeedsCloseDate     bool
	CanWin             bool
}

// Stages are all stages in their order; there is always at least one.
type Stages []Stage

// First is the stage in which deals begin.
func (s Stages) First() Stage { return s[0] }

// Get finds a stage by its code.
func (s Stages) Get(code string) (Stage, bool) {
	i := slices.IndexFunc(s, func(st Stage) bool { return st.Code == code })
	if i < 0 {
		return Stage{}, false
	}
	return s[i], true
}

// Codes are the codes in order.
func (s Stages) Codes() []string {
	codes := make([]string, len(s))
	for i, st := range s {
		codes[i] = st.Code
	}
	return codes
}

// Winning are the codes of the stages from which a deal can be won.
func (s Stages) Winning() []string {
	var codes []string
	for _, st := range s {
		if st.CanWin {
			codes = append(codes, st.Code)
		}
	}
	return codes
}

// Action is what happens to the lead of a lost deal.
type Action string

// The actions.
const (
	Recycle Action = "RECYCLE"
	Archive Action = "ARCHIVE"
	None    Action = "NONE"
)

// Reason is why a deal was lost, and what happens then.
type Reason struct {
	Code             string
	LabelJa, LabelEn string
	Action           Action
	WakeAfterDays    int64
}

// WakeAt is when a lead that was lost at t should be looked at again; nil when it should not.
func (r Reason) WakeAt(t time.Time) *time.Time {
	if r.Action != Recycle {
		return nil
	}
	at := t.AddDate(0, 0, int(r.WakeAfterDays))
	return &at
}

// Reasons are all close reasons by code.
type Reasons []Reason

// Get finds a reason by its code.
func (r Reasons) Get(code string) (Reason, bool) {
	i := slices.IndexFunc(r, func(x Reason) bool { return x.Code == code })
	if i < 0 {
		return Reason{}, false
	}
	return r[i], true
}

// Codes are the codes in order.
func (r Reasons) Codes() []string {
	codes := make([]string, len(r))
	for i, x := range r {
		codes[i] = x.Code
	}
	return codes
}
