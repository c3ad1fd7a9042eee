package workitem

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/tasuki-project/tasuki/services/insidesales/internal/activity"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const columns = `id, version, state, entered_at, source, journey_id, person_id, account_id, person, company, mail, queue,
	assignee, hot, notes, offer, answers, mql_handoff_id, meeting_handoff_id, next_action_at, last_activity_at, reason,
	reason_note, wake_at, outcome, outcome_reason, opportunity_id, created_at, updated_at`

type row struct {
	ID               string                      `db:"id"`
	Version          int64                       `db:"version"`
	State            string                      `db:"state"`
	EnteredAt        time.Time                   `db:"entered_at"`
	Source           string                      `db:"source"`
	JourneyID        string                      `db:"journey_id"`
	PersonID         string                      `db:"person_id"`
	AccountID        *string                     `db:"account_id"`
	Person           store.JSON[party.Person]    `db:"person"`
	Company          store.JSON[Company]         `db:"company"`
	Mail             string                      `db:"mail"`
	Queue            string                      `db:"queue"`
	Assignee         string                      `db:"assignee"`
	Hot              bool                        `db:"hot"`
	Notes            string                      `db:"notes"`
	Offer            store.JSON[json.RawMessage] `db:"offer"`
	Answers          store.JSON[Answers]         `db:"answers"`
	MQLHandoffID     *string                     `db:"mql_handoff_id"`
	MeetingHandoffID *string                     `db:"meeting_handoff_id"`
	NextActionAt     *time.Time                  `db:"next_action_at"`
	LastActivityAt   *time.Time                  `db:"last_activity_at"`
	Reason           string                      `db:"reason"`
	ReasonNote       string                      `db:"reason_note"`
	WakeAt           *time.Time                  `db:"wake_at"`
	Outcome          string                      `db:"outcome"`
	OutcomeReason    string                      `db:"outcome_reason"`
	OpportunityID    *string                     `db:"opportunity_id"`
	CreatedAt        time.Time                   `db:"created_at"`
	UpdatedAt        time.Time                   `db:"updated_at"`

	Told store.JSON[[]people.Consent] `db:"told"`
}

// selected is every row with what marketing told last of the person's consents.
const selected = `SELECT ` + columns + `, (SELECT c.consents FROM person_consents AS c
	WHERE c.person_id = CAST(work_items.person_id AS TEXT)) AS told FROM work_items`

func (r row) item() *WorkItem {
	return &WorkItem{
		ID: r.ID, Version: r.Version, State: State(r.State), EnteredAt: r.EnteredAt, Source: Source(r.Source),
		JourneyID: r.JourneyID, Person: r.Person.V, Company: r.Company.V, Queue: r.Queue, Assignee: r.Assignee, Hot: r.Hot,
		Notes: r.Notes, Offer: r.Offer.V, Answers: r.Answers.V, MQLHandoffID: text(r.MQLHandoffID),
		MeetingHandoffID: text(r.MeetingHandoffID), NextActionAt: r.NextActionAt, LastActivityAt: r.LastActivityAt,
		Reason: r.Reason, ReasonNote: r.ReasonNote, WakeAt: r.WakeAt, Outcome: Outcome(r.Outcome),
		OutcomeReason: r.OutcomeReason, OpportunityID: text(r.OpportunityID), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		Told: r.Told.V,
	}
}

// args are the values of columns, in order.
func (w *WorkItem) args() []any {
	return []any{
		w.ID, w.Version, string(w.State), w.EnteredAt, string(w.Source), w.JourneyID, w.Person.ID, null(w.Company.ID),
		store.JSONOf(w.Person), store.JSONOf(w.Company), w.mail(), w.Queue, w.Assignee, w.Hot, w.Notes,
		store.JSONOf(json.RawMessage(w.Offer)), store.JSONOf(w.Answers), null(w.MQLHandoffID), null(w.MeetingHandoffID),
		w.NextActionAt, w.LastActivityAt, w.Reason, w.ReasonNote, w.WakeAt, string(w.Outcome), w.OutcomeReason,
		null(w.OpportunityID), w.CreatedAt, w.UpdatedAt,
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Store keeps work items with their history and activities, and tells the feed.
type Store struct{ events *event.Log }

// NewStore makes a store that tells events.
func NewStore(events *event.Log) *Store { return &Store{events: events} }

func one(ctx context.Context, tx store.Tx, where string, lock bool, args ...any) (*WorkItem, error) {
	sql := selected + ` WHERE ` + where
	if lock {
		sql += tx.Dialect().ForUpdate()
	}
	r, err := store.Get[row](ctx, tx, sql, args...)
	if err != nil {
		return nil, err
	}
	return r.item(), nil
}

// Get reads a work item. RESOURCE_NOT_FOUND when there is none.
func (s *Store) Get(ctx context.Context, tx store.Tx, id string) (*WorkItem, error) {
	return found(id)(one(ctx, tx, `id = $1`, false, id))
}

// ForUpdate reads a work item to change it, as the client last saw it.
func (s *Store) ForUpdate(ctx context.Context, tx store.Tx, id string, m etag.Matcher) (*WorkItem, error) {
	w, err := found(id)(one(ctx, tx, `id = $1`, true, id))
	if err != nil {
		return nil, err
	}
	return w, m.Check(w.Version)
}

func found(id string) func(*WorkItem, error) (*WorkItem, error) {
	return func(w *WorkItem, err error) (*WorkItem, error) {
		if errors.Is(err, store.ErrNoRows) {
			return nil, problem.NotFound("work-item", id)
		}
		return w, err
	}
}

// ForHandoff reads the work item of an MQL handoff to change it; nil when there is none yet.
func (s *Store) ForHandoff(ctx context.Context, tx store.Tx, handoffID string) (*WorkItem, error) {
	return orNil(one(ctx, tx, `mql_handoff_id = $1`, true, handoffID))
}

// ForHandoffs reads the work items of MQL handoffs to change them, by handoff.
func (s *Store) ForHandoffs(ctx context.Context, tx store.Tx, handoffIDs []string) (map[string]*WorkItem, error) {
	d := tx.Dialect()
	rows, err := store.Select[row](ctx, tx, selected+` WHERE `+d.InUUID("mql_handoff_id", 1)+` ORDER BY mql_handoff_id`+d.ForUpdate(), d.Strings(handoffIDs))
	if err != nil {
		return nil, err
	}
	items := make(map[string]*WorkItem, len(rows))
	for _, r := range rows {
		w := r.item()
		items[w.MQLHandoffID] = w
	}
	return items, nil
}

// ForMeeting reads the work item whose last meeting was offered by this handoff, to change it; nil when there is none.
func (s *Store) ForMeeting(ctx context.Context, tx store.Tx, handoffID string) (*WorkItem, error) {
	return orNil(one(ctx, tx, `meeting_handoff_id = $1`, true, handoffID))
}

// ForOpportunity reads the work item that became this opportunity, to change it; nil when there is none.
func (s *Store) ForOpportunity(ctx context.Context, tx store.Tx, id string) (*WorkItem, error) {
	return orNil(one(ctx, tx, `opportunity_id = $1`, true, id))
}

func orNil(w *WorkItem, err error) (*WorkItem, error) {
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	return w, err
}

// LastWithMail reads the newest work item of a person by the normalised mail address; nil when there is none.
func (s *Store) LastWithMail(ctx context.Context, tx store.Tx, mail string) (*WorkItem, error) {
	return orNil(one(ctx, tx, `mail = $1 ORDER BY created_at DESC, id DESC LIMIT 1`, false, mail))
}

var columnNames = strings.FieldsFunc(columns, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })

// What marketing says of the prospect is most of a row, and changes with a new attempt only.
const (
	update = `UPDATE work_items SET version = $2, state = $3, entered_at = $4, queue = $5, assignee = $6, hot = $7, notes = $8,
		answers = $9, meeting_handoff_id = $10, next_action_at = $11, last_activity_at = $12, reason = $13, reason_note = $14, wake_at = $15,
		outcome = $16, outcome_reason = $17, opportunity_id = $18, updated_at = $19 WHERE id = $1`
	refill = `UPDATE work_items SET person_id = $2, account_id = $3, person = $4, company = $5, mail = $6, offer = $7 WHERE id = $1`
)

func (w *WorkItem) queueUpdate(tx store.Tx) {
	tx.Queue(update, w.ID, w.Version, string(w.State), w.EnteredAt, w.Queue, w.Assignee, w.Hot, w.Notes, store.JSONOf(w.Answers),
		null(w.MeetingHandoffID), w.NextActionAt, w.LastActivityAt, w.Reason, w.ReasonNote, w.WakeAt, string(w.Outcome), w.OutcomeReason,
		null(w.OpportunityID), w.UpdatedAt)
	if w.refilled {
		tx.Queue(refill, w.ID, w.Person.ID, null(w.Company.ID), store.JSONOf(w.Person), store.JSONOf(w.Company), w.mail(),
			store.JSONOf(json.RawMessage(w.Offer)))
	}
}

// mail is the address that prospects are found by.
func (w *WorkItem) mail() string {
	mail, _ := party.NormalizeMail(w.Person.Mail)
	return mail
}

var transitions = history.Table[State]{Name: "work_item_transitions", Key: "work_item_id"}

// Save queues what happened to a work item since it was read: the row, which must have been read for update, transitions,
// activities and events. Nothing is queued when nothing happened.
func (s *Store) Save(ctx context.Context, tx store.Tx, w *WorkItem) error {
	facts := w.takeFacts()
	if len(facts) == 0 {
		return nil
	}
	if facts[0].Kind == FactCreated {
		tx.Append("work_items", columnNames, w.args()...)
	} else {
		w.queueUpdate(tx)
	}
	offer, err := offerOf(w)
	if err != nil {
		return err
	}
	w.refilled = false
	var events []event.Event
	for _, f := range facts {
		switch f.Kind {
		case FactCreated, FactMoved:
			transitions.Append(tx, w.ID, f.After.Version, f.Transition)
		case FactActivity:
			activity.Insert(tx, f.Activity)
		}
		events = append(events, eventsOf(f, offer)...)
	}
	return s.events.Append(ctx, tx, events...)
}

// Transitions reads the history of a work item, oldest first.
func (s *Store) Transitions(ctx context.Context, tx store.Tx, id string) ([]Transition, error) {
	return transitions.List(ctx, tx, id)
}
