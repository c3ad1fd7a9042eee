package opportunity

import (
	"context"
	"errors"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const columns = `id, version, account_id, journey_id, person_id, name, type, state, stage, entered_at, stage_entered_at,
	owner, amount_minor, amount_currency, expected_close, contact, competitor, expansion_room, proposal_room, next_action,
	next_action_due, brief, source_handoff_id, source_fulfilled, mql_handoff_id, hold_until, loss_reason, loss_action,
	loss_note, lost_to, wake_at, handover_id, handover_state, handover_missing, closed_at, cycle_days, created_at, updated_at`

const values = `$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
	$25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38`

// selected is every row with the name of its account and the consents of its contact, and without a join, so that a lock takes the deal alone.
const selected = `SELECT ` + columns + `,
	(SELECT a.name FROM accounts AS a WHERE a.id = opportunities.account_id) AS account_name,
	(SELECT c.consents FROM person_consents AS c WHERE c.person_id = CAST(opportunities.person_id AS TEXT)) AS told
	FROM opportunities`

type row struct {
	ID, AccountID, AccountName, JourneyID   string
	PersonID                                *string
	Version                                 int64
	Name, Type, State, Stage                string
	EnteredAt, StageEnteredAt               time.Time
	Owner                                   string
	AmountMinor                             int64
	AmountCurrency, ExpectedClose           string
	Contact                                 store.JSON[party.Person]
	Competitor, ExpansionRoom, ProposalRoom string
	NextAction                              string
	NextActionDue                           *time.Time
	Brief                                   store.JSON[Brief]
	SourceHandoffID                         *string
	SourceFulfilled                         bool
	MQLHandoffID                            *string `db:"mql_handoff_id"`
	HoldUntil                               *time.Time
	LossReason, LossAction, LossNote        string
	LostTo                                  string
	WakeAt                                  *time.Time
	HandoverID                              *string
	HandoverState                           string
	HandoverMissing                         store.JSON[[]string]
	ClosedAt                                *time.Time
	CycleDays                               int64
	CreatedAt, UpdatedAt                    time.Time
	Told                                    store.JSON[[]people.Consent]
}

func (r row) opportunity() *Opportunity {
	o := &Opportunity{
		ID: r.ID, Version: r.Version, AccountID: r.AccountID, AccountName: r.AccountName, JourneyID: r.JourneyID, PersonID: text(r.PersonID), Name: r.Name,
		Type: Type(r.Type), State: State(r.State), Stage: r.Stage, EnteredAt: r.EnteredAt, StageEnteredAt: r.StageEnteredAt,
		Owner: r.Owner, Amount: money.Amount{Minor: r.AmountMinor, Currency: r.AmountCurrency},
		ExpectedClose: civil.Date(r.ExpectedClose), Contact: r.Contact.V, Competitor: r.Competitor,
		ExpansionRoom: r.ExpansionRoom, ProposalRoom: r.ProposalRoom, Next: NextAction{Description: r.NextAction},
		Brief: r.Brief.V, SourceHandoffID: text(r.SourceHandoffID), SourceFulfilled: r.SourceFulfilled,
		MQLHandoffID: text(r.MQLHandoffID), HoldUntil: r.HoldUntil,
		Loss:     Loss{Reason: r.LossReason, Action: r.LossAction, To: r.LostTo, Note: r.LossNote, WakeAt: r.WakeAt},
		Handover: Handover{ID: text(r.HandoverID), State: r.HandoverState, Missing: r.HandoverMissing.V},
		ClosedAt: r.ClosedAt, CycleDays: int32(r.CycleDays), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		Told: r.Told.V,
	}
	if r.NextActionDue != nil {
		o.Next.DueAt = *r.NextActionDue
	}
	return o
}

// args are the values of columns, in order.
func (o *Opportunity) args() []any {
	var due *time.Time
	if o.Next.Description != "" {
		due = &o.Next.DueAt
	}
	missing := o.Handover.Missing
	if missing == nil {
		missing = []string{}
	}
	return []any{
		o.ID, o.Version, o.AccountID, o.JourneyID, null(o.PersonID), o.Name, string(o.Type), string(o.State), o.Stage,
		o.EnteredAt, o.StageEnteredAt, o.Owner, o.Amount.Minor, o.Amount.Currency, string(o.ExpectedClose),
		store.JSONOf(o.Contact), o.Competitor, o.ExpansionRoom, o.ProposalRoom, o.Next.Description, due, store.JSONOf(o.Brief),
		null(o.SourceHandoffID), o.SourceFulfilled, null(o.MQLHandoffID), o.HoldUntil, o.Loss.Reason, o.Loss.Action,
		o.Loss.Note, o.Loss.To, o.Loss.WakeAt, null(o.Handover.ID), o.Handover.State, store.JSONOf(missing), o.ClosedAt,
		int64(o.CycleDays), o.CreatedAt, o.UpdatedAt,
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// null is an id column's value: NULL for none.
func null(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// Get reads a deal. RESOURCE_NOT_FOUND when there is none.
func Get(ctx context.Context, tx store.Tx, id string) (*Opportunity, error) {
	return one(ctx, tx, id, "")
}

// ForUpdate reads a deal to change it, as the client last saw it.
func ForUpdate(ctx context.Context, tx store.Tx, id string, m etag.Matcher) (*Opportunity, error) {
	o, err := one(ctx, tx, id, tx.Dialect().ForUpdate())
	if err != nil {
		return nil, err
	}
	return o, m.Check(o.Version)
}

func one(ctx context.Context, tx store.Tx, id, lock string) (*Opportunity, error) {
	r, err := store.Get[row](ctx, tx, selected+` WHERE id = $1`+lock, id)
	if errors.Is(err, store.ErrNoRows) {
		return nil, problem.NotFound("opportunity", id)
	}
	if err != nil {
		return nil, err
	}
	return r.opportunity(), nil
}

const (
	insert = `INSERT INTO opportunities (` + columns + `) VALUES (` + values + `)`
	update = `UPDATE opportunities SET (` + columns + `) = (` + values + `) WHERE id = $1`
)

var transitions = history.Table[State]{
	Name: "opportunity_transitions", Key: "opportunity_id", Extra: []string{"from_stage", "to_stage"},
}

// Save queues what happened to a deal since it was read: the row, which must have been read for update, its transitions, and
// the events that tell makes of each fact. Nothing is queued when nothing happened.
func Save(ctx context.Context, tx store.Tx, log *event.Log, o *Opportunity, tell func(Fact) event.Event) error {
	facts := o.facts
	o.facts = nil
	if len(facts) == 0 {
		return nil
	}
	if facts[0].Kind == FactCreated {
		tx.Queue(insert, o.args()...)
	} else {
		tx.Queue(update, o.args()...)
	}
	events := make([]event.Event, len(facts))
	for i, f := range facts {
		if f.Kind != FactUpdated {
			transitions.Append(tx, o.ID, f.After.Version, f.Transition.row())
		}
		events[i] = tell(f)
	}
	return log.Append(ctx, tx, events...)
}

func (t Transition) row() history.Transition[State] {
	return history.Transition[State]{
		From: t.From.State, To: t.To.State, At: t.At, Actor: t.Actor, Reason: t.Reason, Note: t.Note, InFrom: t.InFrom,
		Extra: []string{t.From.Stage, t.To.Stage},
	}
}

// History reads every change of state or stage, the oldest first.
func History(ctx context.Context, tx store.Tx, id string) ([]Transition, error) {
	rows, err := transitions.List(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	out := make([]Transition, len(rows))
	for i, r := range rows {
		out[i] = Transition{
			From: Place{State: r.From, Stage: r.Extra[0]}, To: Place{State: r.To, Stage: r.Extra[1]},
			At: r.At, Actor: r.Actor, Reason: r.Reason, Note: r.Note, InFrom: r.InFrom,
		}
	}
	return out, nil
}
