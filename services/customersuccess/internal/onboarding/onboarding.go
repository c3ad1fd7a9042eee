// Package onboarding has the plans that lead a customer from the kickoff to the first value.
package onboarding

import (
	"slices"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// State of a plan.
type State string

// The states of a plan.
const (
	Planned    State = "PLANNED"
	InProgress State = "IN_PROGRESS"
	Completed  State = "COMPLETED"
	Cancelled  State = "CANCELLED"
)

// MilestoneState is the state of a milestone.
type MilestoneState string

// The states of a milestone.
const (
	Open    MilestoneState = "OPEN"
	Done    MilestoneState = "DONE"
	Skipped MilestoneState = "SKIPPED"
)

// Side is on which side of the table the owner of a milestone sits.
type Side string

// The sides.
const (
	Vendor   Side = "VENDOR"
	Customer Side = "CUSTOMER"
)

// Milestones with a meaning of their own.
const (
	Kickoff    = "KICKOFF"     // done by starting the plan
	FirstValue = "FIRST_VALUE" // without it no plan is complete
)

type command string

const (
	cmdStart    command = "start"
	cmdDone     command = "completeMilestone"
	cmdSkip     command = "skipMilestone"
	cmdComplete command = "complete"
	cmdCancel   command = "cancel"
)

// arrows are all commands that a plan takes, and where they lead.
var arrows = map[State]map[command]State{
	Planned:    {cmdStart: InProgress, cmdCancel: Cancelled},
	InProgress: {cmdDone: InProgress, cmdSkip: InProgress, cmdComplete: Completed, cmdCancel: Cancelled},
}

// byPeople are the commands that a client can send; a plan is cancelled with its customer.
var byPeople = []command{cmdStart, cmdDone, cmdSkip, cmdComplete}

// TemplateMilestone is a milestone of a template.
type TemplateMilestone struct {
	Code             string
	LabelJa, LabelEn string
	Side             Side
	DueDays          int
	Mandatory        bool
}

// Template is a list of milestones that plans are made from.
type Template struct {
	Code             string
	LabelJa, LabelEn string
	Milestones       []TemplateMilestone
}

// Milestone is one thing that has to happen.
type Milestone struct {
	TemplateMilestone
	DueDate   civil.Date
	State     MilestoneState
	DecidedAt time.Time // zero while open
	DecidedBy access.Actor
	Note      string
}

// Overdue reports whether the milestone is open on a day after its due date.
func (m *Milestone) Overdue(day civil.Date) bool { return m.State == Open && m.DueDate < day }

// Plan is what has to happen until the customer gets value.
type Plan struct {
	ID, CustomerID, JourneyID string
	// HandoffID is empty after a reactivation.
	HandoffID            string
	Template             string
	State                State
	StateSince           time.Time
	StartDate            civil.Date
	KickoffAt            time.Time // zero before
	CompletedAt          time.Time // zero before
	Milestones           []Milestone
	Version              int64
	CreatedAt, UpdatedAt time.Time

	moved []history.Transition[State]
	dirty bool // changed since it was read; the version is the next already
}

// touch notes that the plan changes: what is made of it from now on carries its next version.
func (p *Plan) touch(now time.Time) {
	p.UpdatedAt = now
	if !p.dirty {
		p.dirty = true
		p.Version++
	}
}

// NewPlan makes a plan from a template. Due dates count from start, until the kickoff says better.
func NewPlan(t Template, start civil.Date, actor access.Actor, now time.Time) *Plan {
	p := &Plan{Template: t.Code, State: Planned, StateSince: now, CreatedAt: now}
	p.touch(now)
	for _, m := range t.Milestones {
		p.Milestones = append(p.Milestones, Milestone{TemplateMilestone: m, State: Open})
	}
	p.schedule(start)
	p.moved = append(p.moved, history.Transition[State]{To: Planned, At: now, Actor: actor})
	return p
}

func (p *Plan) schedule(start civil.Date) {
	p.StartDate = start
	for i := range p.Milestones {
		p.Milestones[i].DueDate = start.AddDays(p.Milestones[i].DueDays)
	}
}

// DueDate is the day by which all mandatory milestones should be done.
func (p *Plan) DueDate() civil.Date {
	due := p.StartDate
	for _, m := range p.Milestones {
		if m.Mandatory {
			due = max(due, m.DueDate)
		}
	}
	return due
}

// NextDue is the earliest due date of the open milestones; empty when the plan has ended or none is open.
func (p *Plan) NextDue() civil.Date {
	var next civil.Date
	if p.State != Planned && p.State != InProgress {
		return ""
	}
	for _, m := range p.Milestones {
		if m.State == Open && (next == "" || m.DueDate < next) {
			next = m.DueDate
		}
	}
	return next
}

// Overdue reports whether an open milestone of a running plan is past its due date.
func (p *Plan) Overdue(day civil.Date) bool { next := p.NextDue(); return next != "" && next < day }

func (p *Plan) can(c command) error {
	if _, ok := arrows[p.State][c]; ok {
		return nil
	}
	var legal []string
	for _, name := range byPeople {
		if _, ok := arrows[p.State][name]; ok {
			legal = append(legal, string(name))
		}
	}
	return problem.IllegalTransition("onboarding-plan", string(p.State), string(c), legal)
}

func (p *Plan) move(c command, actor access.Actor, reason, note string, now time.Time) error {
	if err := p.can(c); err != nil {
		return err
	}
	to := arrows[p.State][c]
	p.moved = append(p.moved, history.Transition[State]{
		From: p.State, To: to, At: now, Actor: actor, Reason: reason,
		Note: note, InFrom: now.Sub(p.StateSince),
	})
	p.touch(now)
	p.State, p.StateSince = to, now
	return nil
}

// Start records that the kickoff was held. Due dates count from its day from now on, and the KICKOFF milestone is done.
func (p *Plan) Start(kickoff time.Time, actor access.Actor, note string, now time.Time) error {
	if err := p.can(cmdStart); err != nil {
		return err
	}
	if err := notAfter("kickoff_at", kickoff, now); err != nil {
		return err
	}
	if err := p.move(cmdStart, actor, "", note, now); err != nil {
		return err
	}
	p.KickoffAt = kickoff
	p.schedule(civil.DateOf(kickoff))
	if m, err := p.milestone(Kickoff); err == nil && m.State == Open {
		m.State, m.DecidedAt, m.DecidedBy, m.Note = Done, kickoff, actor, note
	}
	return nil
}

// CompleteMilestone records that a milestone was reached, in whatever order.
func (p *Plan) CompleteMilestone(code string, at time.Time, actor access.Actor, note string, now time.Time) (*Milestone, error) {
	m, err := p.decide(cmdDone, code)
	if err != nil {
		return nil, err
	}
	if err := notAfter("completed_at", at, now); err != nil {
		return nil, err
	}
	m.State, m.DecidedAt, m.DecidedBy, m.Note = Done, at, actor, note
	p.touch(now)
	return m, nil
}

// SkipMilestone leaves out an optional milestone.
func (p *Plan) SkipMilestone(code string, actor access.Actor, note string, now time.Time) (*Milestone, error) {
	m, err := p.decide(cmdSkip, code)
	if err != nil {
		return nil, err
	}
	if m.Mandatory {
		return nil, problem.GuardNotMet(string(cmdSkip), "optional_milestone").With("milestone", code)
	}
	m.State, m.DecidedAt, m.DecidedBy, m.Note = Skipped, now, actor, note
	p.touch(now)
	return m, nil
}

func (p *Plan) decide(c command, code string) (*Milestone, error) {
	m, err := p.milestone(code)
	if err != nil {
		return nil, err
	}
	if err := p.can(c); err != nil {
		return nil, err
	}
	if m.State != Open {
		return nil, problem.IllegalTransition("milestone", string(m.State), string(c), nil).With("milestone", code)
	}
	return m, nil
}

func (p *Plan) milestone(code string) (*Milestone, error) {
	i := slices.IndexFunc(p.Milestones, func(m Milestone) bool { return m.Code == code })
	if i < 0 {
		return nil, problem.NotFound("milestone", code)
	}
	return &p.Milestones[i], nil
}

// Complete ends the plan. Every mandatory milestone must be done, and FIRST_VALUE even where a template forgot to make it
// mandatory.
func (p *Plan) Complete(actor access.Actor, note string, now time.Time) error {
	if err := p.can(cmdComplete); err != nil {
		return err
	}
	var missing []string
	for _, m := range p.Milestones {
		if (m.Mandatory || m.Code == FirstValue) && m.State != Done {
			missing = append(missing, m.Code)
		}
	}
	if len(missing) > 0 {
		return problem.GuardNotMet("completeOnboarding", missing...)
	}
	if err := p.move(cmdComplete, actor, "", note, now); err != nil {
		return err
	}
	p.CompletedAt = now
	return nil
}

// Cancel ends the plan because the customer churned.
func (p *Plan) Cancel(actor access.Actor, reason, note string, now time.Time) error {
	return p.move(cmdCancel, actor, reason, note, now)
}

func notAfter(field string, t, now time.Time) error {
	if t.After(now) {
		return problem.Invalid(problem.Field(field, "must not be in the future").Ja("未来の日時は指定できません。"))
	}
	return nil
}
