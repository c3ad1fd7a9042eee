package workitem

import (
	"slices"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// State is where a work item stands.
type State string

// The states, in the order of the work.
const (
	New            State = "NEW"
	Assigned       State = "ASSIGNED"
	Accepted       State = "ACCEPTED"
	Rejected       State = "REJECTED"
	Returned       State = "RETURNED"
	Working        State = "WORKING"
	Connected      State = "CONNECTED"
	Qualified      State = "QUALIFIED"
	MeetingOffered State = "MEETING_OFFERED"
	HandedOver     State = "HANDED_OVER"
	Recycled       State = "RECYCLED"
	Disqualified   State = "DISQUALIFIED"
)

// States are all states.
func States() []State {
	return []State{
		New, Assigned, Accepted, Rejected, Returned, Working, Connected, Qualified, MeetingOffered, HandedOver,
		Recycled, Disqualified,
	}
}

// Ended tells whether nothing more is done with a work item here. A RETURNED one only waits for its sender.
func (s State) Ended() bool {
	return s == Rejected || s == HandedOver || s == Recycled || s == Disqualified
}

// Undecided tells whether nobody has accepted yet.
func (s State) Undecided() bool { return s == New || s == Assigned }

// Command is what moves a work item.
type Command string

// The commands. Those without a verb that people can use come with handoffs.
const (
	Assign       Command = "assign"
	Unassign     Command = "unassign"
	Accept       Command = "accept"
	Reject       Command = "reject"
	Return       Command = "return"
	TakeBack     Command = "takeBack"
	Reoffer      Command = "reoffer"
	Touch        Command = "touch"
	Reach        Command = "reach"
	Qualify      Command = "qualify"
	OfferMeeting Command = "offerMeeting"
	// ReofferMeeting is the next attempt of a meeting that was returned or has expired.
	ReofferMeeting Command = "reofferMeeting"
	HandOver       Command = "handOver"
	RefuseMeeting  Command = "refuseMeeting"
	Recycle        Command = "recycle"
	Disqualify     Command = "disqualify"
)

const logActivity = "logActivity"

type arrow struct {
	command Command
	to      State
}

// machine has every arrow of the states; what is not here is illegal.
var machine = map[State][]arrow{
	New: {
		{Assign, Assigned},
		{Accept, Accepted},
		{Reject, Rejected},
		{Return, Returned},
		{TakeBack, Returned},
		{Reoffer, New},
	},
	Assigned: {
		{Unassign, New},
		{Accept, Accepted},
		{Reject, Rejected},
		{Return, Returned},
		{TakeBack, Returned},
		{Reoffer, New},
	},
	Returned:  {{Reoffer, New}},
	Accepted:  {{Touch, Working}, {Recycle, Recycled}, {Disqualify, Disqualified}},
	Working:   {{Reach, Connected}, {ReofferMeeting, MeetingOffered}, {Recycle, Recycled}, {Disqualify, Disqualified}},
	Connected: {{Qualify, Qualified}, {ReofferMeeting, MeetingOffered}, {Recycle, Recycled}, {Disqualify, Disqualified}},
	Qualified: {
		{OfferMeeting, MeetingOffered},
		{ReofferMeeting, MeetingOffered},
		{Recycle, Recycled},
		{Disqualify, Disqualified},
	},
	MeetingOffered: {{HandOver, HandedOver}, {RefuseMeeting, Working}},
}

// can tells whether a command has an arrow now.
func (w *WorkItem) can(c Command) bool {
	return slices.ContainsFunc(machine[w.State], func(a arrow) bool { return a.command == c })
}

// next is the state after a command, or the error that names what is legal instead.
func (w *WorkItem) next(c Command) (State, error) {
	for _, a := range machine[w.State] {
		if a.command == c {
			return a.to, nil
		}
	}
	return "", w.illegal(string(c))
}

func (w *WorkItem) illegal(command string) error {
	return problem.IllegalTransition("work-item", string(w.State), command, w.Legal())
}

// Legal are the commands that people can give now, by the verbs of the contract; accept, reject and return are given at
// the handoff desk.
func (w *WorkItem) Legal() []string {
	var legal []string
	for _, a := range machine[w.State] {
		switch a.command {
		case Accept, Reject, Return:
			if w.Source == MQL {
				legal = append(legal, string(a.command))
			}
		case Assign, Unassign, Qualify, OfferMeeting, Recycle, Disqualify:
			legal = append(legal, string(a.command))
		}
	}
	if !w.State.Ended() && w.State != Returned {
		legal = append(legal, logActivity, string(Assign))
	}
	for i, c := range legal {
		if c == string(Unassign) {
			legal[i] = string(Assign)
		}
	}
	slices.Sort(legal)
	return slices.Compact(legal)
}
