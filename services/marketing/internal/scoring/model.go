// Package scoring says how well a lead fits and how much interest it showed, and why.
//
//	score(t) = fit + min(cap, Σ pointsᵢ × 0.5^((t − tᵢ) ÷ half-life))
//
// The model is data; today there is one, in code. All actions share one half-life, so a score can be brought forward in
// time without looking at the touches again.
package scoring

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tasuki-project/tasuki/services/internal/platform/party"
)

// Label is a text for people in both languages.
type Label struct{ Ja, En string }

// Band gives points from a number of employees on.
type Band struct {
	Rule   string
	From   int
	Points float64
	Label  Label
}

// Words gives points to a title that contains one of the words, in lower case. Latin words count as whole words only.
type Words struct {
	Rule   string
	Words  []string
	Points float64
	Label  Label
}

// Action gives points to something that a person did.
type Action struct {
	Points float64
	// HighIntent qualifies a lead whatever its score.
	HighIntent bool
	Label      Label
}

// Model is the rules of scoring.
type Model struct {
	// FitThreshold and BehaviourThreshold qualify a lead when both are reached.
	FitThreshold, BehaviourThreshold float64
	// HalfLife is after how long an action counts half.
	HalfLife time.Duration
	// BehaviourCap is the most that all actions together give.
	BehaviourCap float64
	// Employees are the bands, the largest first.
	Employees []Band
	// Titles are tried in order; the first that matches counts.
	Titles []Words
	// Industry, CompanyMail and FreeMail give points when the industry is known, and by the domain of the mail address.
	Industry, CompanyMail, FreeMail float64
	// FreeMailDomains are where everybody can have an address.
	FreeMailDomains map[string]bool
	// Actions are what people do; OtherAction stands for those that are not listed.
	Actions     map[string]Action
	OtherAction Action
}

// Facts are what the fit is judged by.
type Facts struct {
	Employees             int
	Industry, Title, Mail string
}

// Fit judges how well a lead fits. Rules that give nothing are left out.
func (m *Model) Fit(f Facts) []Share {
	var shares []Share
	add := func(rule string, points float64) {
		if points != 0 {
			shares = append(shares, Share{Rule: rule, Points: points})
		}
	}
	for _, band := range m.Employees {
		if f.Employees >= band.From {
			add(band.Rule, band.Points)
			break
		}
	}
	if f.Industry != "" {
		add(ruleIndustry, m.Industry)
	}
	title := strings.ToLower(party.Fold(f.Title))
titles:
	for _, rule := range m.Titles {
		for _, word := range rule.Words {
			if contains(title, word) {
				add(rule.Rule, rule.Points)
				break titles
			}
		}
	}
	if domain := party.MailDomain(f.Mail); domain != "" {
		if m.FreeMailDomains[domain] {
			add(ruleFreeMail, m.FreeMail)
		} else {
			add(ruleCompanyMail, m.CompanyMail)
		}
	}
	return shares
}

// HighIntent tells whether an action qualifies by itself.
func (m *Model) HighIntent(action string) bool { return m.Actions[action].HighIntent }

// Qualifies tells whether a score reaches both thresholds.
func (m *Model) Qualifies(s Score) bool {
	return s.FitPoints() >= m.FitThreshold && s.BehaviourPoints(m) >= m.BehaviourThreshold
}

// IsFreeMail tells whether everybody can have an address in the domain.
func (m *Model) IsFreeMail(domain string) bool { return m.FreeMailDomains[domain] }

func (m *Model) action(name string) Action {
	if a, ok := m.Actions[name]; ok {
		return a
	}
	return m.OtherAction
}

// contains finds a word in a title: Japanese anywhere, Latin only by itself, so that "director" holds no CTO.
func contains(title, word string) bool {
	for from := 0; ; {
		i := strings.Index(title[from:], word)
		if i < 0 {
			return false
		}
		begin := from + i
		end := begin + len(word)
		latin := word[0] < utf8.RuneSelf
		if !latin || (begin == 0 || !isLatin(title[begin-1])) && (end == len(title) || !isLatin(title[end])) {
			return true
		}
		from = begin + 1
	}
}

func isLatin(c byte) bool { return c >= 'a' && c <= 'z' }
