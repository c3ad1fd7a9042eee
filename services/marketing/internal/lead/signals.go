package lead

import (
	"time"
)

// SignalKind is what customer success tells of the customer that a lead became.
type SignalKind string

// The kinds, as the contract names them.
const (
	SignalNPS           SignalKind = "NPS"
	SignalAdvocate      SignalKind = "ADVOCATE"
	SignalAdvocateEnded SignalKind = "ADVOCATE_ENDED"
	SignalReferral      SignalKind = "REFERRAL"
	SignalGoodFit       SignalKind = "GOOD_FIT"
	SignalPoorFit       SignalKind = "POOR_FIT"
	SignalChurned       SignalKind = "CHURNED"
	SignalReturned      SignalKind = "RETURNED"
)

// Signal is one thing that customer success told.
type Signal struct {
	Seq        int64
	Kind       SignalKind
	CustomerID string
	// Score is the one of NPS.
	Score            *int32
	Reasons          []string
	Note, ReferralID string
	At               time.Time
}

// Signals are what customer success told last.
type Signals struct {
	// Count is how many signals came.
	Count         int64      `json:"n"`
	CustomerID    string     `json:"customer"`
	NPS           *int32     `json:"nps,omitempty"`
	Verbatim      string     `json:"verbatim,omitempty"`
	NPSAt         *time.Time `json:"nps_at,omitempty"`
	Advocate      bool       `json:"advocate,omitempty"`
	AdvocateAt    *time.Time `json:"advocate_at,omitempty"`
	Fit           string     `json:"fit,omitempty"` // GOOD or POOR
	FitReasons    []string   `json:"fit_reasons,omitempty"`
	FitAt         *time.Time `json:"fit_at,omitempty"`
	ChurnedAt     *time.Time `json:"churned_at,omitempty"`
	ChurnReason   string     `json:"churn_reason,omitempty"`
	ReferralCount int32      `json:"referrals,omitempty"`
}

// Referral says which customer named a person.
type Referral struct {
	ReferralID string    `json:"referral"`
	CustomerID string    `json:"customer"`
	AccountID  string    `json:"account,omitempty"`
	JourneyID  string    `json:"journey,omitempty"`
	PersonID   string    `json:"person,omitempty"`
	At         time.Time `json:"at"`
}

// Hear takes in a signal. Signals are shown: they change neither state nor score. What happened later counts, whichever
// came first; leaving and coming back are told in their order.
func (l *Lead) Hear(s Signal) {
	if l.Signals == nil {
		l.Signals = &Signals{}
	}
	sum := l.Signals
	sum.Count++
	s.Seq, sum.CustomerID = sum.Count, s.CustomerID
	switch s.Kind {
	case SignalNPS:
		if !before(s.At, sum.NPSAt) {
			sum.NPS, sum.Verbatim, sum.NPSAt = s.Score, s.Note, &s.At
		}
	case SignalAdvocate, SignalAdvocateEnded:
		if !before(s.At, sum.AdvocateAt) {
			sum.Advocate, sum.AdvocateAt = s.Kind == SignalAdvocate, &s.At
		}
	case SignalGoodFit, SignalPoorFit:
		if !before(s.At, sum.FitAt) {
			sum.Fit, sum.FitReasons, sum.FitAt = "GOOD", s.Reasons, &s.At
			if s.Kind == SignalPoorFit {
				sum.Fit = "POOR"
			}
		}
	case SignalReferral:
		sum.ReferralCount++
	case SignalChurned:
		sum.ChurnedAt, sum.ChurnReason = &s.At, ""
		if len(s.Reasons) > 0 {
			sum.ChurnReason = s.Reasons[0]
		}
	case SignalReturned:
		sum.ChurnedAt, sum.ChurnReason = nil, ""
	}
	l.heard = append(l.heard, s)
}

func before(at time.Time, last *time.Time) bool { return last != nil && at.Before(*last) }
