package scoring

import (
	"math"
	"slices"
	"time"
)

// Share is what one rule gives.
type Share struct {
	Rule   string  `json:"r"`
	Points float64 `json:"p"`
}

// Score is what a lead scored at a time.
type Score struct {
	Fit []Share `json:"f,omitempty"`
	// Behaviour has a share per action, as it counted at At.
	Behaviour []Share   `json:"b,omitempty"`
	At        time.Time `json:"t"`
}

// negligible is a share that no longer shows.
const negligible = 0.05

// FitPoints is the fit; it does not fade.
func (s Score) FitPoints() float64 { return sum(s.Fit) }

// BehaviourPoints is the interest shown, capped, as it counted at s.At.
func (s Score) BehaviourPoints(m *Model) float64 { return min(m.BehaviourCap, sum(s.Behaviour)) }

func sum(shares []Share) float64 {
	total := 0.0
	for _, share := range shares {
		total += share.Points
	}
	return total
}

// AtTime is the score as it counts at t; before s.At it is the score itself.
func (s Score) AtTime(m *Model, t time.Time) Score {
	if !t.After(s.At) {
		return s
	}
	faded := Score{Fit: s.Fit, At: t}
	by := m.fading(t.Sub(s.At))
	for _, share := range s.Behaviour {
		if p := share.Points * by; p >= negligible {
			faded.Behaviour = append(faded.Behaviour, Share{Rule: share.Rule, Points: p})
		}
	}
	return faded
}

// WithAction adds an action that was done at `at` to the score at now.
func (s Score) WithAction(m *Model, action string, at, now time.Time) Score {
	next := s.AtTime(m, now)
	age := max(0, next.At.Sub(at))
	points := m.action(action).Points * m.fading(age)
	if points < negligible {
		return next
	}
	rule := ruleOfAction(m, action)
	next.Behaviour = slices.Clone(next.Behaviour)
	for i := range next.Behaviour {
		if next.Behaviour[i].Rule == rule {
			next.Behaviour[i].Points = min(m.BehaviourCap, next.Behaviour[i].Points+points)
			return next
		}
	}
	next.Behaviour = append(next.Behaviour, Share{Rule: rule, Points: points})
	return next
}

// WithFit replaces the fit.
func (s Score) WithFit(fit []Share) Score {
	s.Fit = fit
	return s
}

// Base is the score of a lead that came back: the fit stays, the interest begins anew.
func (s Score) Base(now time.Time) Score { return Score{Fit: s.Fit, At: now} }

func (m *Model) fading(age time.Duration) float64 {
	return math.Exp2(-float64(age) / float64(m.HalfLife))
}
