package onboarding

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const columns = `id, version, customer_id, journey_id, handoff_id, template, state, state_since, start_date, due_date, next_due,
	kickoff_at, completed_at, created_at, updated_at`

const placeholders = `$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15`

var transitions = history.Table[State]{Name: "onboarding_plan_transitions", Key: "plan_id"}

// defaultTemplate is the one that plans are made from.
const defaultTemplate = "default"

// Store keeps plans and templates.
type Store struct {
	events *event.Log
	clock  clock.Clock
}

// NewStore makes a store that tells events.
func NewStore(events *event.Log, c clock.Clock) *Store { return &Store{events: events, clock: c} }

// orNil is a time for a column that may be NULL.
func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func (p *Plan) args() []any {
	return []any{
		p.ID, p.Version, p.CustomerID, p.JourneyID, p.HandoffID, p.Template, string(p.State), p.StateSince, string(p.StartDate),
		string(p.DueDate()), string(p.NextDue()), orNil(p.KickoffAt), orNil(p.CompletedAt), p.CreatedAt, p.UpdatedAt,
	}
}

// Open makes the plan of a customer from the default template.
func (s *Store) Open(ctx context.Context, tx store.Tx, customerID, journeyID, handoffID string, start civil.Date) error {
	templates, err := s.Templates(ctx, tx, defaultTemplate, "", 1)
	if err != nil {
		return err
	}
	if len(templates) == 0 {
		return problem.NotFound("onboarding-template", defaultTemplate)
	}
	p := NewPlan(templates[0], start, access.ActorOf(ctx), s.clock.Now())
	p.ID, p.CustomerID, p.JourneyID, p.HandoffID = party.NewID(), customerID, journeyID, handoffID
	return s.Save(ctx, tx, p)
}

// Cancel ends the running plan of a customer, if there is one.
func (s *Store) Cancel(ctx context.Context, tx store.Tx, customerID, reason, note string) error {
	list, err := s.selectAll(ctx, tx, `SELECT `+columns+` FROM onboarding_plans WHERE customer_id = $1 AND state IN ('PLANNED', 'IN_PROGRESS')`+
		tx.Dialect().ForUpdate(), customerID)
	if err != nil {
		return err
	}
	for _, p := range list {
		if err := p.Cancel(access.ActorOf(ctx), reason, note, s.clock.Now()); err != nil {
			return err
		}
		if err := s.Save(ctx, tx, p, cancelled(p)); err != nil {
			return err
		}
	}
	return nil
}

// Get reads a plan with its milestones. RESOURCE_NOT_FOUND when there is none.
func (s *Store) Get(ctx context.Context, tx store.Tx, id string) (*Plan, error) {
	return s.one(ctx, tx, id, "")
}

// ForUpdate reads a plan to change it, as the client last saw it. Commands that change the customer too lock that first.
func (s *Store) ForUpdate(ctx context.Context, tx store.Tx, id string, m etag.Matcher) (*Plan, error) {
	p, err := s.one(ctx, tx, id, tx.Dialect().ForUpdate())
	if err != nil {
		return nil, err
	}
	return p, m.Check(p.Version)
}

// CustomerOf is the customer of a plan, which never changes.
func (s *Store) CustomerOf(ctx context.Context, tx store.Tx, id string) (string, error) {
	var customerID string
	err := tx.QueryRow(ctx, `SELECT customer_id FROM onboarding_plans WHERE id = $1`, id).Scan(&customerID)
	if errors.Is(err, store.ErrNoRows) {
		return "", problem.NotFound("onboarding-plan", id)
	}
	return customerID, err
}

func (s *Store) one(ctx context.Context, tx store.Tx, id, lock string) (*Plan, error) {
	list, err := s.selectAll(ctx, tx, `SELECT `+columns+` FROM onboarding_plans WHERE id = $1`+lock, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, problem.NotFound("onboarding-plan", id)
	}
	return list[0], nil
}

// Save queues the plan, which must have been read for update, its milestones, transitions and events.
func (s *Store) Save(ctx context.Context, tx store.Tx, p *Plan, facts ...proto.Message) error {
	p.dirty = false
	if p.Version == 1 {
		tx.Queue(`INSERT INTO onboarding_plans (`+columns+`) VALUES (`+placeholders+`)`, p.args()...)
	} else {
		tx.Queue(`UPDATE onboarding_plans SET (`+columns+`) = (`+placeholders+`) WHERE id = $1`, p.args()...)
	}
	for i, m := range p.Milestones {
		tx.Queue(`INSERT INTO onboarding_milestones (plan_id, position, code, label_ja, label_en, owner_side, due_days, mandatory,
			due_date, state, decided_at, actor_kind, actor_id, actor_name, note)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
			ON CONFLICT (plan_id, code) DO UPDATE SET due_date = EXCLUDED.due_date, state = EXCLUDED.state, decided_at = EXCLUDED.decided_at,
			actor_kind = EXCLUDED.actor_kind, actor_id = EXCLUDED.actor_id, actor_name = EXCLUDED.actor_name, note = EXCLUDED.note`,
			p.ID, i+1, m.Code, m.LabelJa, m.LabelEn, string(m.Side), m.DueDays, m.Mandatory, string(m.DueDate), string(m.State),
			orNil(m.DecidedAt), string(m.DecidedBy.Kind), m.DecidedBy.ID, m.DecidedBy.Name, m.Note)
	}
	for _, t := range p.moved {
		transitions.Append(tx, p.ID, p.Version, t)
	}
	p.moved = nil
	events := make([]event.Event, len(facts))
	for i, data := range facts {
		events[i] = event.Event{Subject: "onboarding-plan/" + p.ID, SubjectVersion: p.Version, JourneyID: p.JourneyID, Data: data}
	}
	return s.events.Append(ctx, tx, events...)
}

// Filter selects plans; empty fields select all.
type Filter struct {
	CustomerID string
	States     []string
	// OverdueOn keeps those with an open milestone past its due date on that day.
	OverdueOn civil.Date
}

// List reads at most limit plans, newest first.
func (s *Store) List(ctx context.Context, tx store.Tx, f Filter, after *page.After, limit int) ([]*Plan, error) {
	var w store.Where
	if f.CustomerID != "" {
		w.And(`customer_id = ?`, f.CustomerID)
	}
	w.In(tx.Dialect(), "state", f.States)
	if f.OverdueOn != "" { // plans that have ended have no next due date
		w.And(`next_due <> '' AND next_due < ?`, string(f.OverdueOn))
	}
	if after != nil {
		w.And(`(created_at, id) < (?, ?)`, after.At, after.ID)
	}
	sql, args := w.Select(`SELECT `+columns+` FROM onboarding_plans`, `ORDER BY created_at DESC, id DESC LIMIT ?`, limit)
	return s.selectAll(ctx, tx, sql, args...)
}

func (s *Store) selectAll(ctx context.Context, tx store.Tx, sql string, args ...any) ([]*Plan, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*Plan
	var ids []string
	byID := map[string]*Plan{}
	for rows.Next() {
		p := &Plan{}
		var kickoff, completed *time.Time
		var due, next string // computed from the milestones
		if err := rows.Scan(&p.ID, &p.Version, &p.CustomerID, &p.JourneyID, &p.HandoffID, &p.Template, &p.State, &p.StateSince,
			&p.StartDate, &due, &next, &kickoff, &completed, &p.CreatedAt, &p.UpdatedAt); err != nil {
			return nil, err
		}
		p.KickoffAt, p.CompletedAt = orZero(kickoff), orZero(completed)
		list, ids, byID[p.ID] = append(list, p), append(ids, p.ID), p
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return list, err
	}
	rows.Close()
	return list, fillMilestones(ctx, tx, ids, byID)
}

func fillMilestones(ctx context.Context, tx store.Tx, ids []string, byID map[string]*Plan) error {
	d := tx.Dialect()
	rows, err := tx.Query(ctx, `SELECT plan_id, code, label_ja, label_en, owner_side, due_days, mandatory, due_date, state, decided_at,
		actor_kind, actor_id, actor_name, note FROM onboarding_milestones WHERE `+d.InUUID("plan_id", 1)+` ORDER BY plan_id, position`,
		d.Strings(ids))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var of string
		var m Milestone
		var decided *time.Time
		if err := rows.Scan(&of, &m.Code, &m.LabelJa, &m.LabelEn, &m.Side, &m.DueDays, &m.Mandatory, &m.DueDate, &m.State, &decided,
			&m.DecidedBy.Kind, &m.DecidedBy.ID, &m.DecidedBy.Name, &m.Note); err != nil {
			return err
		}
		m.DecidedAt = orZero(decided)
		byID[of].Milestones = append(byID[of].Milestones, m)
	}
	return rows.Err()
}

// Templates reads at most limit templates by code: the one with the code, or with an empty code those after the given one.
func (s *Store) Templates(ctx context.Context, tx store.Tx, code, after string, limit int) ([]Template, error) {
	rows, err := tx.Query(ctx, `SELECT t.code, t.label_ja, t.label_en, m.code, m.label_ja, m.label_en, m.owner_side, m.due_days, m.mandatory
		FROM (SELECT code, label_ja, label_en FROM onboarding_templates WHERE ($1 = '' OR code = $1) AND code > $2 ORDER BY code LIMIT $3) t
		JOIN onboarding_template_milestones m ON m.template = t.code ORDER BY t.code, m.position`, code, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Template
	for rows.Next() {
		var t Template
		var m TemplateMilestone
		if err := rows.Scan(&t.Code, &t.LabelJa, &t.LabelEn, &m.Code, &m.LabelJa, &m.LabelEn, &m.Side, &m.DueDays, &m.Mandatory); err != nil {
			return nil, err
		}
		if len(list) == 0 || list[len(list)-1].Code != t.Code {
			list = append(list, t)
		}
		last := &list[len(list)-1]
		last.Milestones = append(last.Milestones, m)
	}
	return list, rows.Err()
}
