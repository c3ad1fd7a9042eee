// Package person is the aggregate of people: who they are, what they agreed to, which records are one human being, and who
// is to be forgotten.
package person

import (
	"slices"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Person is a human being that marketing met.
type Person struct {
	ID, MatchKey          string
	Full, Family, Given   string
	FamilyKana, GivenKana string
	Mail, Phone, Title    string
	Consents              []people.Consent
	MergedInto            string
	// ToldAt is since when other departments are told of the consents; nil: none of them has heard of the person.
	ToldAt    *time.Time
	Version   int64
	CreatedAt time.Time
}

// identified tells whether the person is known by a mail address.
func (p *Person) identified() bool { return strings.HasPrefix(p.MatchKey, "m:") }

// Rules by which one of two people stays.
const (
	RuleIdentified = "IDENTIFIED"
	RuleOlder      = "OLDER"
	RuleLowerID    = "LOWER_ID"
)

// Survivor tells which of two people stays in a merge, whatever their order, and by which rule: one with a mail address
// before one without, then the older, then the one with the lower id.
func Survivor(a, b *Person) (stays, goes *Person, rule string) {
	switch {
	case a.identified() != b.identified():
		rule = RuleIdentified
		if b.identified() {
			a, b = b, a
		}
	case !a.CreatedAt.Equal(b.CreatedAt):
		rule = RuleOlder
		if b.CreatedAt.Before(a.CreatedAt) {
			a, b = b, a
		}
	default:
		rule = RuleLowerID
		if b.ID < a.ID {
			a, b = b, a
		}
	}
	return a, b, rule
}

// Absorb takes in what a merged person was: what was empty is filled, and of the consents the more restrictive stay.
func (p *Person) Absorb(gone *Person) {
	take := func(to *string, value string) {
		if *to == "" {
			*to = value
		}
	}
	if p.Full == "" {
		p.Full, p.Family, p.Given, p.FamilyKana, p.GivenKana = gone.Full, gone.Family, gone.Given, gone.FamilyKana, gone.GivenKana
	}
	take(&p.FamilyKana, gone.FamilyKana)
	take(&p.GivenKana, gone.GivenKana)
	take(&p.Mail, gone.Mail)
	take(&p.Phone, gone.Phone)
	take(&p.Title, gone.Title)
	p.Consents = people.Strictest(p.Consents, gone.Consents)
	p.Version++
}

// Record is one entry of the ledger of consents.
type Record struct {
	ID, PersonID string
	people.Consent
	TextVersion, Method, Address, Evidence string
	Source, ActorID                        string
	RecordedAt                             time.Time
}

// Hear takes a word into account, and tells whether something else holds now.
func (p *Person) Hear(c people.Consent) bool {
	now, changed := people.Heed(p.Consents, c)
	if changed {
		p.Consents = now
		p.Version++
	}
	return changed
}

// channels are those that a withdrawal without a channel means: mail, phone, and all that there was a word on.
func (p *Person) channels() []string {
	all := []string{people.Mail, people.Phone}
	for _, c := range p.Consents {
		if !slices.Contains(all, c.Channel) {
			all = append(all, c.Channel)
		}
	}
	return all
}

// Answer is what a department has made of an erasure.
type Answer struct {
	Department string
	At         *time.Time
	Erased     []Count
}

// Count is how many rows of a table were erased.
type Count struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// Erasure is the forgetting of a person.
type Erasure struct {
	ID, PersonID, Reason string
	By                   access.Actor
	CreatedAt            time.Time
	CompletedAt          *time.Time
	Answers              []Answer
}

// NewErasure asks departments to forget a person.
func NewErasure(personID, reason string, departments []string, by access.Actor, now time.Time) *Erasure {
	e := &Erasure{ID: party.NewID(), PersonID: personID, Reason: reason, By: by, CreatedAt: now}
	for _, d := range departments {
		e.Answers = append(e.Answers, Answer{Department: d})
	}
	slices.SortFunc(e.Answers, func(a, b Answer) int { return strings.Compare(a.Department, b.Department) })
	return e
}

// Acknowledge takes in that a department has erased. The first answer counts; one of a department that nobody waited for is
// kept too. It tells whether anything changed.
func (e *Erasure) Acknowledge(department string, erased []Count, now time.Time) bool {
	i := slices.IndexFunc(e.Answers, func(a Answer) bool { return a.Department == department })
	if i < 0 {
		e.Answers = append(e.Answers, Answer{Department: department})
		i = len(e.Answers) - 1
	}
	if e.Answers[i].At != nil {
		return false
	}
	e.Answers[i].At, e.Answers[i].Erased = &now, erased
	if e.CompletedAt == nil && !slices.ContainsFunc(e.Answers, func(a Answer) bool { return a.At == nil }) {
		e.CompletedAt = &now
	}
	return true
}

// notErased is what a command on a person who was erased lacks.
func notErased(command string) error { return problem.GuardNotMet(command, "not_erased") }
