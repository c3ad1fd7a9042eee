package csql

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const columns = `id, version, customer_id, account_id, journey_id, company, state, state_since, expansion_type, product,
	expected_minor, expected_currency, evidence, owner, handoff_id, queue, reason, action, note, missing, wake_at,
	opportunity_id, won_minor, won_currency, created_at, updated_at`

const placeholders = `$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
	$24, $25, $26`

var transitions = history.Table[State]{Name: "csql_transitions", Key: "csql_id"}

func (c *Csql) args() []any {
	missing := c.Missing
	if missing == nil {
		missing = []string{}
	}
	return []any{
		c.ID, c.Version, c.CustomerID, c.AccountID, c.JourneyID, store.JSONOf(c.Company), string(c.State), c.StateSince,
		string(c.Type), c.Product, c.Expected.Minor, c.Expected.Currency, store.JSONOf(c.Evidence), c.Owner, c.HandoffID, c.Queue,
		c.Reason, c.Action, c.Note, store.JSONOf(missing), c.WakeAt, c.OpportunityID, c.WonMRR.Minor, c.WonMRR.Currency,
		c.CreatedAt, c.UpdatedAt,
	}
}

func read(row store.Row) (*Csql, error) {
	c := &Csql{}
	var company store.JSON[Company]
	var evidence store.JSON[Evidence]
	var missing store.JSON[[]string]
	err := row.Scan(&c.ID, &c.Version, &c.CustomerID, &c.AccountID, &c.JourneyID, &company, &c.State, &c.StateSince, &c.Type,
		&c.Product, &c.Expected.Minor, &c.Expected.Currency, &evidence, &c.Owner, &c.HandoffID, &c.Queue, &c.Reason, &c.Action,
		&c.Note, &missing, &c.WakeAt, &c.OpportunityID, &c.WonMRR.Minor, &c.WonMRR.Currency, &c.CreatedAt, &c.UpdatedAt)
	if err != nil {
		return nil, err
	}
	c.Company, c.Evidence = company.V, evidence.V
	if len(missing.V) > 0 {
		c.Missing = missing.V
	}
	return c, nil
}

// Store keeps expansions.
type Store struct {
	events *event.Log
}

// NewStore makes a store that tells events.
func NewStore(events *event.Log) *Store { return &Store{events: events} }

// Get reads an expansion. RESOURCE_NOT_FOUND when there is none.
func (s *Store) Get(ctx context.Context, tx store.Tx, id string) (*Csql, error) {
	return s.one(ctx, tx, "id = $1", id, "")
}

// ForUpdate reads an expansion to change it, as the client last saw it.
func (s *Store) ForUpdate(ctx context.Context, tx store.Tx, id string, m etag.Matcher) (*Csql, error) {
	c, err := s.one(ctx, tx, "id = $1", id, tx.Dialect().ForUpdate())
	if err != nil {
		return nil, err
	}
	return c, m.Check(c.Version)
}

// ForHandoff reads the expansion that a handoff is about, to change it; nil when none is: it was offered anew since, or did
// not come from here.
func (s *Store) ForHandoff(ctx context.Context, tx store.Tx, handoffID string) (*Csql, error) {
	if handoffID == "" {
		return nil, nil
	}
	c, err := s.one(ctx, tx, "handoff_id = $1", handoffID, tx.Dialect().ForUpdate())
	if errors.Is(err, problem.NotFound("", "")) {
		return nil, nil
	}
	return c, err
}

func (s *Store) one(ctx context.Context, tx store.Tx, condition, key, lock string) (*Csql, error) {
	c, err := read(tx.QueryRow(ctx, `SELECT `+columns+` FROM csqls WHERE `+condition+lock, key))
	if errors.Is(err, store.ErrNoRows) {
		return nil, problem.NotFound("csql", key)
	}
	return c, err
}

// Save queues what happened since the expansion was read for update: the row, its transitions and their events. Nothing is
// queued when nothing happened.
func (s *Store) Save(ctx context.Context, tx store.Tx, c *Csql) error {
	facts := c.facts
	c.facts = nil
	if len(facts) == 0 {
		return nil
	}
	if facts[0].After.Version == 1 {
		tx.Queue(`INSERT INTO csqls (`+columns+`) VALUES (`+placeholders+`)`, c.args()...)
	} else {
		tx.Queue(`UPDATE csqls SET (`+columns+`) = (`+placeholders+`) WHERE id = $1`, c.args()...)
	}
	events := make([]event.Event, len(facts))
	for i, f := range facts {
		if f.Moved != nil {
			transitions.Append(tx, c.ID, f.After.Version, *f.Moved)
		}
		events[i] = event.Event{Subject: Subject(c.ID), SubjectVersion: f.After.Version, JourneyID: c.JourneyID, Data: told(f)}
	}
	return s.events.Append(ctx, tx, events...)
}

// Filter selects expansions; empty fields select all.
type Filter struct {
	States                             []string
	CustomerID, Owner, Type, HandoffID string
}

// List reads at most limit expansions, newest first.
func (s *Store) List(ctx context.Context, tx store.Tx, f Filter, after *page.After, limit int) ([]*Csql, error) {
	var w store.Where
	w.In(tx.Dialect(), "state", f.States)
	if f.CustomerID != "" {
		w.And(`customer_id = ?`, f.CustomerID)
	}
	if f.Owner != "" {
		w.And(`owner = ?`, f.Owner)
	}
	if f.Type != "" {
		w.And(`expansion_type = ?`, f.Type)
	}
	if f.HandoffID != "" {
		w.And(`handoff_id = ?`, f.HandoffID)
	}
	if after != nil {
		w.And(`(created_at, id) < (?, ?)`, after.At, after.ID)
	}
	sql, args := w.Select(`SELECT `+columns+` FROM csqls`, `ORDER BY created_at DESC, id DESC LIMIT ?`, limit)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*Csql
	for rows.Next() {
		c, err := read(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// told is the event of a fact.
func told(f Fact) proto.Message {
	p := f.After.proto()
	switch {
	case f.Moved == nil:
		return &pb.CsqlUpdated{Csql: p}
	case f.Moved.From == "":
		return &pb.CsqlCreated{Csql: p}
	}
	return changed(f, p)
}

// Subject is how events and handoffs name an expansion.
func Subject(id string) string { return "csql/" + id }
