// Package workitem is what inside sales has on its table: a prospect, from the offer of marketing to the meeting that is
// handed to field sales, or back to marketing.
package workitem

import (
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
)

// Source is where a work item came from.
type Source string

// The sources.
const (
	MQL           Source = "MQL"
	SelfGenerated Source = "SELF_GENERATED"
)

// Outcome is what became of the opportunity; empty while it is not known.
type Outcome string

// The outcomes.
const (
	Won  Outcome = "WON"
	Lost Outcome = "LOST"
)

// Queues that are taken when none is named: SDR 反響型 for what marketing hands over, BDR 新規開拓型 for what we find.
const (
	QueueSDR = "sdr"
	QueueBDR = "bdr"
)

// Company is where the prospect works.
type Company struct {
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Domain    string `json:"domain,omitempty"`
	Industry  string `json:"industry,omitempty"`
	Employees int32  `json:"employees,omitempty"`
}

// Answers is what we found out.
type Answers struct {
	Issue     string `json:"issue,omitempty"`
	Budget    string `json:"budget,omitempty"`
	Authority string `json:"authority,omitempty"`
	Need      string `json:"need,omitempty"`
	Timeline  string `json:"timeline,omitempty"`
}

// With is a with the answers of b laid over; an empty one keeps what was known.
func (a Answers) With(b Answers) Answers {
	over := func(known, told string) string {
		if told = strings.TrimSpace(told); told != "" {
			return told
		}
		return known
	}
	return Answers{
		Issue: over(a.Issue, b.Issue), Budget: over(a.Budget, b.Budget), Authority: over(a.Authority, b.Authority),
		Need: over(a.Need, b.Need), Timeline: over(a.Timeline, b.Timeline),
	}
}

// bantNeeded is how many of budget, authority, need and timeline must be known to qualify.
const bantNeeded = 2

// Missing are the answers without which a prospect is not qualified: the issue, and all that is not known of budget,
// authority, need and timeline while fewer than two are.
func (a Answers) Missing() []string {
	var missing, unknown []string
	if a.Issue == "" {
		missing = append(missing, "issue")
	}
	for _, q := range []struct{ name, answer string }{
		{"budget", a.Budget}, {"authority", a.Authority}, {"need", a.Need}, {"timeline", a.Timeline},
	} {
		if q.answer == "" {
			unknown = append(unknown, q.name)
		}
	}
	if 4-len(unknown) < bantNeeded {
		missing = append(missing, unknown...)
	}
	return missing
}

// WorkItem is one prospect on the table.
type WorkItem struct {
	ID string
	// Version counts the changes, from 1; a command with two transitions makes two.
	Version   int64
	State     State
	EnteredAt time.Time // since when it is in State
	Source    Source
	JourneyID string
	Person    party.Person
	Company   Company
	Queue     string
	Assignee  string
	Hot       bool
	Notes     string
	// Offer is what marketing handed over (MqlPayload as JSON); nil for self-generated ones. The rules do not look inside.
	Offer []byte
	// Told are the person's consents as marketing told last; what came with the offer may be older.
	Told             []people.Consent
	Answers          Answers
	MQLHandoffID     string
	MeetingHandoffID string
	NextActionAt     *time.Time
	LastActivityAt   *time.Time
	Reason           string
	ReasonNote       string
	WakeAt           *time.Time
	Outcome          Outcome
	OutcomeReason    string
	OpportunityID    string
	CreatedAt        time.Time
	UpdatedAt        time.Time

	facts []Fact
	// refilled: what marketing says of the prospect is not what was read.
	refilled bool
}
