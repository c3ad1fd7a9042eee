package opportunity

import (
	"time"

	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Create opens a deal in the first stage. The caller has filled in what it is about.
func Create(o Opportunity, stages pipeline.Stages, actor access.Actor, now time.Time) *Opportunity {
	o.State, o.Stage = Open, stages.First().Code
	o.EnteredAt, o.StageEnteredAt, o.CreatedAt, o.UpdatedAt = now, now, now, now
	o.Version = 1
	o.Contact = o.Contact.Named()
	o.record(Fact{Kind: FactCreated, Transition: Transition{To: o.place(), At: now, Actor: actor}})
	return &o
}

func (o *Opportunity) place() Place { return Place{State: o.State, Stage: o.Stage} }

func (o *Opportunity) record(f Fact) {
	f.After = *o
	f.After.facts = nil
	o.facts = append(o.facts, f)
}

// moved records that the deal came from another place. Everything else about the change is in o already.
func (o *Opportunity) moved(kind FactKind, from Place, actor access.Actor, reason, note string, now time.Time) {
	inFrom := max(now.Sub(o.EnteredAt), 0) // a clock that was set back takes no time
	o.EnteredAt = now
	if o.Stage != from.Stage || kind == FactReopened {
		o.StageEnteredAt = now
	}
	o.Version++
	o.UpdatedAt = now
	o.record(Fact{Kind: kind, Transition: Transition{
		From: from, To: o.place(), At: now, Actor: actor, Reason: reason, Note: note, InFrom: inFrom,
	}})
}

func (o *Opportunity) updated(changed []string, now time.Time) {
	if len(changed) == 0 {
		return
	}
	o.Version++
	o.UpdatedAt = now
	o.record(Fact{Kind: FactUpdated, Changed: changed})
}

// Edit is a change of fields; nil leaves a field as it is.
type Edit struct {
	Name, Owner, Competitor, ExpansionRoom, ProposalRoom *string
	Amount                                               *money.Amount
	ExpectedClose                                        *civil.Date
	Contact                                              *party.Person
}

// Change makes an edit.
func (o *Opportunity) Change(e Edit, now time.Time) error {
	if err := o.Check(Update); err != nil {
		return err
	}
	var changed []string
	set(&changed, "name", &o.Name, e.Name)
	set(&changed, "amount", &o.Amount, e.Amount)
	set(&changed, "expected_close_date", &o.ExpectedClose, e.ExpectedClose)
	set(&changed, "owner", &o.Owner, e.Owner)
	set(&changed, "competitor", &o.Competitor, e.Competitor)
	set(&changed, "expansion_room", &o.ExpansionRoom, e.ExpansionRoom)
	set(&changed, "proposal_room", &o.ProposalRoom, e.ProposalRoom)
	if e.Contact != nil {
		contact := e.Contact.Named()
		set(&changed, "contact", &o.Contact, &contact)
	}
	o.updated(changed, now)
	return nil
}

func set[T comparable](changed *[]string, name string, field, value *T) {
	if value != nil && *field != *value {
		*field = *value
		*changed = append(*changed, name)
	}
}

func inTheFuture(path string, at, now time.Time) error {
	if at.After(now) {
		return nil
	}
	return problem.Invalid(problem.Field(path, "must lie in the future").Ja("未来の日時を指定してください。"))
}

// Agree notes what was agreed to happen next.
func (o *Opportunity) Agree(n NextAction, now time.Time) error {
	if err := o.Check(SetNextAction); err != nil {
		return err
	}
	if err := inTheFuture("due_at", n.DueAt, now); err != nil {
		return err
	}
	if o.Next.Description != n.Description || !o.Next.DueAt.Equal(n.DueAt) {
		o.Next = n
		o.updated([]string{"next_action"}, now)
	}
	return nil
}

// MoveTo moves the deal to another stage. A nil next keeps what was agreed before.
func (o *Opportunity) MoveTo(code, reason string, next *NextAction, stages pipeline.Stages, actor access.Actor, now time.Time) error {
	if err := o.Check(MoveStage); err != nil {
		return err
	}
	target, known := stages.Get(code)
	if !known {
		return problem.Invalid(problem.Field("stage", "is no stage; see ListStages").Ja("存在しないステージです。"))
	}
	if code == o.Stage {
		return problem.Invalid(problem.Field("stage", "is the stage in which the deal is already").Ja("すでにこのステージです。"))
	}
	agreed := o.Next
	if next != nil {
		if err := inTheFuture("next_action.due_at", next.DueAt, now); err != nil {
			return err
		}
		agreed = *next
	}
	var missing []problem.Violation
	if !agreed.ahead(now) {
		missing = append(missing, problem.Field("next_action", "agree with the customer on what happens next, and when").
			Ja("顧客と合意した次のアクションと期日（未来）を入力してください。"))
	}
	if target.NeedsAmount && o.Amount.Currency == "" {
		missing = append(missing, problem.Field("amount", "this stage needs the expected amount").Ja("このステージには金額が必要です。"))
	}
	if target.NeedsCloseDate && o.ExpectedClose == "" {
		missing = append(missing, problem.Field("expected_close_date", "this stage needs the expected close date").
			Ja("このステージには受注予定日が必要です。"))
	}
	if from, _ := stages.Get(o.Stage); target.Position < from.Position && reason == "" {
		missing = append(missing, problem.Field("reason", "going back needs a reason").Ja("前のステージに戻すには理由が必要です。"))
	}
	if len(missing) > 0 {
		return unmet(MoveStage, missing)
	}
	from := o.place()
	o.Stage, o.Next = code, agreed
	o.moved(FactMoved, from, actor, reason, "", now)
	return nil
}

// Rest lets the deal rest until then.
func (o *Opportunity) Rest(until time.Time, actor access.Actor, note string, now time.Time) error {
	to, err := o.next(Hold)
	if err != nil {
		return err
	}
	if err := inTheFuture("until", until, now); err != nil {
		return err
	}
	from := o.place()
	o.State, o.HoldUntil = to, &until
	o.moved(FactHeld, from, actor, "", note, now)
	return nil
}

// WakeUp opens a deal that rests.
func (o *Opportunity) WakeUp(actor access.Actor, note string, now time.Time) error {
	to, err := o.next(Resume)
	if err != nil {
		return err
	}
	from := o.place()
	o.State, o.HoldUntil = to, nil
	o.moved(FactResumed, from, actor, "", note, now)
	return nil
}

// OpenAgain opens a lost deal in the first stage.
func (o *Opportunity) OpenAgain(reason string, stages pipeline.Stages, actor access.Actor, now time.Time) error {
	to, err := o.next(Reopen)
	if err != nil {
		return err
	}
	from := o.place()
	o.State, o.Stage = to, stages.First().Code
	o.Loss, o.ClosedAt, o.CycleDays, o.Next = Loss{}, nil, 0, NextAction{}
	o.moved(FactReopened, from, actor, reason, "", now)
	return nil
}
