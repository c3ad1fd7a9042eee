package handoff

import "slices"

// State is where a handoff stands, as tables store it: the value of the contract's State without its prefix.
type State string

// The states. No handoff is in the state None: it is where the first transition comes from.
const (
	None      State = ""
	Offered   State = "OFFERED"
	Accepted  State = "ACCEPTED"
	Fulfilled State = "FULFILLED"
	Rejected  State = "REJECTED"
	Returned  State = "RETURNED"
	Recalled  State = "RECALLED"
	Expired   State = "EXPIRED"
)

// Command is what can be done to a handoff.
type Command string

// The commands.
const (
	Assign   Command = "assign"
	Accept   Command = "accept"
	Reject   Command = "reject"
	Return   Command = "return"
	Recall   Command = "recall"
	Expire   Command = "expire"
	Fulfil   Command = "fulfil"
	Resubmit Command = "resubmit"
)

// Side is the ledger that a row belongs to.
type Side string

// The sides.
const (
	Out Side = "OUT"
	In  Side = "IN"
)

// arrow is one legal transition.
type arrow struct {
	from    State
	command Command
	to      State
	// decides is set where the command is a decision on the attempt.
	decides bool
}

// arrows is the state machine. Both ledgers follow it; see commands for who may give which command.
var arrows = []arrow{
	{Offered, Assign, Offered, false},
	{Offered, Accept, Accepted, true},
	{Offered, Reject, Rejected, true},
	{Offered, Return, Returned, true},
	{Offered, Recall, Recalled, true},
	{Offered, Expire, Expired, true},
	{Accepted, Assign, Accepted, false},
	{Accepted, Fulfil, Fulfilled, false},
	{Returned, Resubmit, Offered, false},
	{Expired, Resubmit, Offered, false},
}

// commands are what people and clocks may do on each side. Recalling is asked for on the sender's side and happens on the
// receiver's; what happened there is then applied to the sender's row along the same arrows.
var commands = map[Side][]Command{
	In:  {Assign, Accept, Reject, Return, Expire, Fulfil},
	Out: {Recall, Resubmit},
}

// next is the state after a command; ok is false when the command is not legal in this state.
func next(from State, c Command) (to State, ok bool) {
	for _, a := range arrows {
		if a.from == from && a.command == c {
			return a.to, true
		}
	}
	return None, false
}

// decides reports whether the command is a decision: exactly one of those wins for each attempt.
func decides(c Command) bool {
	return slices.ContainsFunc(arrows, func(a arrow) bool { return a.command == c && a.decides })
}

// legal are the commands that are possible on a side in a state, in the order of the table. The clock's are left out.
func legal(side Side, from State) []string {
	var out []string
	for _, a := range arrows {
		if a.from == from && a.command != Expire && slices.Contains(commands[side], a.command) {
			out = append(out, string(a.command))
		}
	}
	return out
}

// leadsTo is the command that leads from one state to another; ok is false when there is no such arrow.
func leadsTo(from, to State) (c Command, ok bool) {
	for _, a := range arrows {
		if a.from == from && a.to == to && a.command != Assign {
			return a.command, true
		}
	}
	return "", false
}
