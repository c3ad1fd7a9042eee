// Package lead is the aggregate of leads: people who showed interest, and how far each has come.
//
// lead.go and capture.go are the rules, without I/O. book.go and write.go are the SQL; desk.go runs what happens to leads
// inside a transaction; server.go, convert.go and follow.go are the doors: RPCs, and events of other departments.
package lead

import (
	"slices"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

// State is where a lead stands, as tables store it.
type State string

// The states.
const (
	Captured     State = "CAPTURED"
	MAL          State = "MAL"
	Excluded     State = "EXCLUDED"
	Nurturing    State = "NURTURING"
	MQL          State = "MQL"
	Offered      State = "OFFERED"
	Accepted     State = "ACCEPTED"
	SQL          State = "SQL"
	Customer     State = "CUSTOMER"
	Recycled     State = "RECYCLED"
	Disqualified State = "DISQUALIFIED"
)

// States are all states, in the order of the journey.
func States() []State {
	return []State{Captured, MAL, Excluded, Nurturing, MQL, Offered, Accepted, SQL, Customer, Recycled, Disqualified}
}

// Command is what people may do to a lead, by the name that the REST path uses.
type Command string

// The commands.
const (
	Screen     Command = "screen"
	Include    Command = "include"
	Qualify    Command = "qualify"
	Disqualify Command = "disqualify"
)

// commands says in which states each command is legal.
var commands = map[Command][]State{
	Screen:     {Captured, MAL, Nurturing, Recycled},
	Include:    {Excluded},
	Qualify:    {MAL, Nurturing, Recycled, MQL},
	Disqualify: {Captured, MAL, Excluded, Nurturing, MQL, Recycled},
}

// Legal are the commands that are legal in a state, in alphabetical order.
func Legal(s State) []string {
	var legal []string
	for command, states := range commands {
		if slices.Contains(states, s) {
			legal = append(legal, string(command))
		}
	}
	slices.Sort(legal)
	return legal
}

// Automatic steps act under these names.
var (
	screening = access.System("screening")
	scorer    = access.System("scoring")
	handoffs  = access.System("handoff")
	alarm     = access.System("wake-up")
)

// Transition is one change of state.
type Transition = history.Transition[State]

// Touch is one contact with our marketing.
type Touch struct {
	Channel  string    `json:"c,omitempty"`
	Campaign string    `json:"p,omitempty"`
	Action   string    `json:"a,omitempty"`
	At       time.Time `json:"t"`
}

// Exclusion is why a lead was excluded.
type Exclusion struct {
	RuleID       string    `json:"rule"`
	Kind         string    `json:"kind"`
	Domain       string    `json:"domain"`
	At           time.Time `json:"at"`
	Overturned   bool      `json:"overturned,omitempty"`
	OverturnNote string    `json:"note,omitempty"`
}

// Rule is an exclusion rule as screening sees it.
type Rule struct{ ID, Kind, Domain string }

// Consent is what a person agreed to for one channel.
type Consent = people.Consent

// Lead is a person's interest, and how far it has come.
type Lead struct {
	ID, JourneyID string
	State         State
	StateSince    time.Time
	Person        Person
	Company       Company
	Source        string
	First, Last   Touch
	TouchCount    int64
	Score         scoring.Score
	// QualifyingAction is an action, "score" or "manual"; empty before it qualified.
	QualifyingAction   string
	Hot                bool
	Missing            []string
	Exclusion          *Exclusion
	HandoffID, ChainID string
	RecycleCount       int64
	LastReason         string
	WakeAt             *time.Time
	ImportID, Notes    string
	// Signals are what customer success told of the customer it became; nil before.
	Signals *Signals
	// Referral is the customer that named the person first; nil when none did.
	Referral  *Referral
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time

	transitionCount int64
	// What has happened since it was read.
	transitions []Transition
	heard       []Signal
	isNew       bool
	// ready: it qualified, or was completed, by this command. Only then it is offered: a lead that came back returned waits.
	ready bool
}

func (l *Lead) move(to State, by access.Actor, reason, note string, now time.Time) {
	t := Transition{From: l.State, To: to, At: now, Actor: by, Reason: reason, Note: note}
	if l.State != "" {
		t.InFrom = max(0, now.Sub(l.StateSince))
	}
	l.transitions = append(l.transitions, t)
	l.State, l.StateSince = to, now
	if to != MQL {
		l.Missing = nil
	}
	if to != Recycled {
		l.WakeAt = nil
	}
}

func (l *Lead) check(c Command) error {
	if !slices.Contains(commands[c], l.State) {
		return problem.IllegalTransition("lead", string(l.State), string(c), Legal(l.State))
	}
	return nil
}

// Screen passes a lead, or excludes it when rule is not nil. A rule that a person overturned for this lead passes it.
func (l *Lead) Screen(rule *Rule, now time.Time) error {
	if err := l.check(Screen); err != nil {
		return err
	}
	switch {
	case rule != nil && !(l.Exclusion != nil && l.Exclusion.Overturned && l.Exclusion.RuleID == rule.ID):
		l.Exclusion = &Exclusion{RuleID: rule.ID, Kind: rule.Kind, Domain: rule.Domain, At: now}
		l.move(Excluded, screening, rule.Kind, rule.Domain, now)
	case l.State == Captured:
		l.move(MAL, screening, "", "", now)
	}
	return nil
}

// screenable tells whether screening applies to the state.
func (l *Lead) screenable() bool { return slices.Contains(commands[Screen], l.State) }

// Include overturns the exclusion.
func (l *Lead) Include(by access.Actor, note string, now time.Time) error {
	if err := l.check(Include); err != nil {
		return err
	}
	if l.Exclusion != nil {
		l.Exclusion.Overturned, l.Exclusion.OverturnNote = true, note
	}
	l.move(MAL, by, "OVERTURNED", note, now)
	return nil
}

// Qualify makes an MQL of the lead by hand; an MQL stays one.
func (l *Lead) Qualify(by access.Actor, reason, note string, now time.Time) error {
	if err := l.check(Qualify); err != nil {
		return err
	}
	if reason == "" {
		reason = "manual"
	}
	if l.State != MQL {
		l.QualifyingAction, l.Hot = "manual", false
		l.move(MQL, by, reason, note, now)
	}
	if note != "" {
		l.addNotes(note)
	}
	l.Missing, l.ready = l.missingForOffer(), true
	return nil
}

// Disqualify puts the lead away by hand.
func (l *Lead) Disqualify(by access.Actor, reason, note string, now time.Time) error {
	if err := l.check(Disqualify); err != nil {
		return err
	}
	l.LastReason = reason
	l.move(Disqualified, by, reason, note, now)
	return nil
}

// Consider qualifies the lead when the last action is of high intent, or its score reaches the thresholds. It tells
// whether it did.
func (l *Lead) Consider(m *scoring.Model, action string, now time.Time) bool {
	if l.State != MAL && l.State != Nurturing && l.State != Recycled {
		return false
	}
	switch {
	case m.HighIntent(action):
		l.QualifyingAction, l.Hot = action, true
	case m.Qualifies(l.Score.AtTime(m, now)):
		l.QualifyingAction, l.Hot = "score", false
	default:
		return false
	}
	l.move(MQL, scorer, l.QualifyingAction, "", now)
	l.Missing, l.ready = l.missingForOffer(), true
	return true
}

// Offer records that an MQL was offered.
func (l *Lead) Offer(handoffID, chainID string, by access.Actor, now time.Time) {
	l.HandoffID, l.ChainID = handoffID, chainID
	l.move(Offered, by, l.QualifyingAction, "", now)
}

// missingForOffer are the paths without which inside sales cannot work.
func (l *Lead) missingForOffer() []string {
	var missing []string
	if l.Person.Name.Full == "" {
		missing = append(missing, "person.name")
	}
	if l.Person.Mail == "" && l.Person.Phone == "" {
		missing = append(missing, "person.mail")
	}
	if l.Company.Name == "" {
		missing = append(missing, "company.name")
	}
	return missing
}

// stillMissing is missingForOffer and what a receiver named, as far as it is still empty.
func (l *Lead) stillMissing() []string {
	missing := l.missingForOffer()
	empty := map[string]bool{
		"person.name": l.Person.Name.Full == "", "person.mail": l.Person.Mail == "", "person.phone": l.Person.Phone == "",
		"person.title": l.Person.Title == "", "company.name": l.Company.Name == "", "company.domain": l.Company.Domain == "",
		"company.industry": l.Company.Industry == "", "company.employees": l.Company.Employees == 0,
	}
	for _, path := range l.Missing {
		if empty[path] && !slices.Contains(missing, path) {
			missing = append(missing, path)
		}
	}
	return missing
}

// rescore brings the score to now, with the fit as it is.
func (l *Lead) rescore(m *scoring.Model, now time.Time) {
	l.Score = l.Score.AtTime(m, now).WithFit(m.Fit(scoring.Facts{
		Employees: l.Company.Employees, Industry: l.Company.Industry, Title: l.Person.Title, Mail: l.Person.mailKey(),
	}))
}

// maxNotes is the limit of the contract, in characters.
const maxNotes = 10000

func (l *Lead) addNotes(notes string) {
	if notes == "" {
		return
	}
	if l.Notes != "" {
		notes = l.Notes + "\n" + notes
	}
	l.Notes = clip(notes, maxNotes)
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	if r := []rune(s); len(r) > limit {
		return string(r[:limit])
	}
	return s
}
