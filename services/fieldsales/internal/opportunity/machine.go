package opportunity

import "github.com/tasuki-project/tasuki/services/internal/platform/problem"

// State is where a deal stands; while it is open, its stage says more.
type State string

// The states.
const (
	Open       State = "OPEN"
	OnHold     State = "ON_HOLD"
	ClosedLost State = "CLOSED_LOST"
	ClosedWon  State = "CLOSED_WON"
)

// States are all states.
func States() []State { return []State{Open, OnHold, ClosedLost, ClosedWon} }

// Command is what people do with a deal, by the verbs of the contract.
type Command string

// The commands.
const (
	Update        Command = "update"
	MoveStage     Command = "moveStage"
	SetNextAction Command = "setNextAction"
	CloseLost     Command = "closeLost"
	CloseWon      Command = "closeWon"
	Hold          Command = "hold"
	Resume        Command = "resume"
	Reopen        Command = "reopen"
)

// Commands are all commands.
func Commands() []Command {
	return []Command{Update, MoveStage, SetNextAction, CloseLost, CloseWon, Hold, Resume, Reopen}
}

type arrow struct {
	command Command
	to      State
}

// machine has every arrow of the states; what is not here is illegal. A won deal is final.
var machine = map[State][]arrow{
	Open: {
		{Update, Open},
		{MoveStage, Open},
		{SetNextAction, Open},
		{CloseLost, ClosedLost},
		{CloseWon, ClosedWon},
		{Hold, OnHold},
	},
	OnHold:     {{Update, OnHold}, {CloseLost, ClosedLost}, {Hold, OnHold}, {Resume, Open}},
	ClosedLost: {{Reopen, Open}},
	ClosedWon:  {},
}

// Legal are the commands that people can give now.
func (o *Opportunity) Legal() []string {
	legal := make([]string, 0, len(machine[o.State]))
	for _, a := range machine[o.State] {
		legal = append(legal, string(a.command))
	}
	return legal
}

// Check is the error that names what is legal when the command is not.
func (o *Opportunity) Check(c Command) error {
	_, err := o.next(c)
	return err
}

func (o *Opportunity) next(c Command) (State, error) {
	for _, a := range machine[o.State] {
		if a.command == c {
			return a.to, nil
		}
	}
	return "", problem.IllegalTransition("opportunity", string(o.State), string(c), o.Legal())
}

// unmet says which conditions of a command are missing, with what to do about each.
func unmet(c Command, missing []problem.Violation) error {
	paths := make([]string, len(missing))
	for i, v := range missing {
		paths[i] = v.Field
	}
	err := problem.GuardNotMet(string(c), paths...)
	err.Violations = missing
	return err
}
