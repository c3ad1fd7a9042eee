// Package opportunity is a deal with an account, from the first meeting to the signature or a reason why not.
package opportunity

import (
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
)

// Type is what kind of deal it is.
type Type string

// The types.
const (
	TypeNew       Type = "NEW"
	TypeUpsell    Type = "UPSELL"
	TypeCrossSell Type = "CROSS_SELL"
	TypeRenewal   Type = "RENEWAL"
)

// Answers is what inside sales found out.
type Answers struct {
	Issue     string `json:"issue,omitempty"`
	Budget    string `json:"budget,omitempty"`
	Authority string `json:"authority,omitempty"`
	Need      string `json:"need,omitempty"`
	Timeline  string `json:"timeline,omitempty"`
}

// Touch is one contact with our marketing.
type Touch struct {
	Channel  string    `json:"channel,omitempty"`
	Campaign string    `json:"campaign,omitempty"`
	Action   string    `json:"action,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

// Brief is what came with the handoff that a deal was made from.
type Brief struct {
	Answers    *Answers `json:"answers,omitempty"`
	FirstTouch *Touch   `json:"first_touch,omitempty"`
	LastTouch  *Touch   `json:"last_touch,omitempty"`
	Notes      string   `json:"notes,omitempty"`
	// CustomerID and ExpectedMRR come with a CSQL.
	CustomerID  string       `json:"customer_id,omitempty"`
	ExpectedMRR money.Amount `json:"expected_mrr,omitzero"`
}

// NextAction is what was agreed to happen next; without a description there is none.
type NextAction struct {
	Description string
	DueAt       time.Time
}

// ahead tells whether there is something to do in the future.
func (n NextAction) ahead(now time.Time) bool { return n.Description != "" && n.DueAt.After(now) }

// Loss is why a deal was lost.
type Loss struct {
	Reason string
	Action string
	To     string // the competitor; empty for nobody
	Note   string
	WakeAt *time.Time
}

// Handover is the handoff to customer success.
type Handover struct {
	ID string
	// State is that of the handoff; empty before the deal is won.
	State   string
	Missing []string
}

// Opportunity is a deal with one account.
type Opportunity struct {
	ID        string
	Version   int64
	AccountID string
	// AccountName is for people; the account owns it.
	AccountName string
	JourneyID   string
	// PersonID is the person of the journey, who stays the same when the contact changes; empty when not known.
	PersonID       string
	Name           string
	Type           Type
	State          State
	Stage          string
	EnteredAt      time.Time // since when it is in State and Stage
	StageEnteredAt time.Time
	Owner          string
	Amount         money.Amount
	ExpectedClose  civil.Date
	Contact        party.Person
	Competitor     string
	ExpansionRoom  string
	ProposalRoom   string
	Next           NextAction
	Brief          Brief
	// SourceHandoffID is the MEETING or CSQL it was made from. SourceFulfilled tells that its first action was done.
	SourceHandoffID string
	SourceFulfilled bool
	MQLHandoffID    string
	HoldUntil       *time.Time
	Loss            Loss
	Handover        Handover
	ClosedAt        *time.Time
	CycleDays       int32
	CreatedAt       time.Time
	UpdatedAt       time.Time
	// Told are the contact's consents as marketing told last.
	Told []people.Consent

	facts []Fact
}

// FactKind is what kind of thing happened.
type FactKind int

// The kinds of facts.
const (
	FactCreated FactKind = iota + 1
	FactUpdated
	FactMoved
	FactHeld
	FactResumed
	FactReopened
	FactClosed
)

// Fact is something that happened to a deal since it was read, for its history and the feed. Each makes one version.
type Fact struct {
	Kind FactKind
	// After is the deal right after it.
	After Opportunity
	// Transition is set unless the kind is FactUpdated.
	Transition Transition
	// Changed names the fields of a FactUpdated, in the words of the contract.
	Changed []string
}

// Place is where a deal stands; the zero value is nowhere.
type Place struct {
	State State
	Stage string
}

// String is the place as history shows it, for instance `OPEN/PROPOSAL`.
func (p Place) String() string {
	if p.State == "" {
		return ""
	}
	return string(p.State) + "/" + p.Stage
}

// Transition is one change of state or stage.
type Transition struct {
	From, To     Place
	At           time.Time
	Actor        access.Actor
	Reason, Note string
	InFrom       time.Duration
}
