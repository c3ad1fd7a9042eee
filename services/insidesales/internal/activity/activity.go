// Package activity is what inside sales does with a prospect, and what the prospect does in return.
package activity

import (
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
)

// Kind is what it was.
type Kind string

// The kinds.
const (
	Call           Kind = "CALL"
	Email          Kind = "EMAIL"
	FormSubmission Kind = "FORM_SUBMISSION"
	WebMeeting     Kind = "WEB_MEETING"
	Note           Kind = "NOTE"
)

// Direction is who began it; empty for a note.
type Direction string

// The directions.
const (
	Outbound Direction = "OUTBOUND"
	Inbound  Direction = "INBOUND"
)

// Result is what came of it; empty while nothing has, and for a note.
type Result string

// The results.
const (
	Connected   Result = "CONNECTED"
	NoAnswer    Result = "NO_ANSWER"
	LeftMessage Result = "LEFT_MESSAGE"
	WrongNumber Result = "WRONG_NUMBER"
	Replied     Result = "REPLIED"
	Sent        Result = "SENT"
	Bounced     Result = "BOUNCED"
	Blocked     Result = "BLOCKED"
)

// Activity is one contact with a prospect, or a note about one. It is never changed.
type Activity struct {
	ID, WorkItemID, JourneyID, PersonID string
	Kind                                Kind
	Direction                           Direction
	Result                              Result
	Note                                string
	OccurredAt                          time.Time
	Actor                               access.Actor
	CreatedAt                           time.Time
}

// Touches tells whether we reached out, which is the first action that a handoff obliges to.
func (a Activity) Touches() bool { return a.Kind != Note && a.Direction == Outbound }

// Reaches tells whether we spoke with the person: by the result, or because a web meeting took place.
func (a Activity) Reaches() bool {
	switch a.Result {
	case Connected, Replied:
		return a.Kind != Note
	case "":
		return a.Kind == WebMeeting
	}
	return false
}
