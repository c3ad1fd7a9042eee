package feedback

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Store keeps the records.
type Store struct {
	events *event.Log
	clock  clock.Clock
}

// NewStore makes a store that tells events.
func NewStore(events *event.Log, c clock.Clock) *Store { return &Store{events: events, clock: c} }

// message keeps a message of the contract in a JSON column. Fields that a later version has added are passed over by an
// older program.
type message struct{ proto.Message }

func (m message) MarshalJSON() ([]byte, error) { return protojson.Marshal(m.Message) }

func parse[M proto.Message](raw json.RawMessage) (M, error) {
	var none M
	m, _ := none.ProtoReflect().New().Interface().(M)
	return m, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(raw, m)
}

// Add queues a record with the event that tells of it.
func (s *Store) Add(ctx context.Context, tx store.Tx, r Record, told proto.Message) error {
	tx.Queue(`INSERT INTO feedback_records (id, type, customer_id, journey_id, record_key, revision, kinds, score, at, record, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		r.ID, string(r.Type), r.CustomerID, r.JourneyID, r.Key, r.Revision, r.Kinds, r.Score, r.At, store.JSONOf(message{r.Message}),
		s.clock.Now())
	for _, p := range r.Who {
		customer.Mention(tx, r.CustomerID, p, s.clock.Now())
	}
	return s.events.Append(ctx, tx, event.Event{Subject: Subject(r.ID), SubjectVersion: 1, JourneyID: r.JourneyID, Data: told})
}

// Subject is how events name a record. Each is a subject of its own: none waits for another.
func Subject(id string) string { return "feedback/" + id }

// Only lets one transaction at a time add records of a key, and see what the one before has added.
func (s *Store) Only(tx store.Tx, t Type, key string) { store.Lock(tx, "feedback:"+string(t)+":"+key) }

// revisions reads the records of a key, oldest first.
func revisions[M proto.Message](ctx context.Context, tx store.Tx, t Type, key string) ([]M, error) {
	rows, err := store.Select[store.JSON[json.RawMessage]](ctx, tx, `SELECT record FROM feedback_records
		WHERE type = $1 AND record_key = $2 AND record_key <> '' ORDER BY revision`, string(t), key)
	if err != nil {
		return nil, err
	}
	list := make([]M, len(rows))
	for i, row := range rows {
		if list[i], err = parse[M](row.V); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// latest is the newest record of a key; nil when there is none.
func latest[M proto.Message](ctx context.Context, tx store.Tx, t Type, key string) (M, error) {
	var none M
	list, err := revisions[M](ctx, tx, t, key)
	if err != nil || len(list) == 0 {
		return none, err
	}
	return list[len(list)-1], nil
}

// Filter selects records; empty fields select all.
type Filter struct {
	Type       Type
	CustomerID string
	// Kinds: the record has one of these bits.
	Kinds        int64
	From, Before *time.Time
}

// row is a record as lists read it.
type row struct {
	ID     string
	At     time.Time
	Record store.JSON[json.RawMessage]
}

// selectRows reads at most limit records, newest first. Of a rating only the last revision counts.
func selectRows(ctx context.Context, tx store.Tx, f Filter, after *page.After, limit int) ([]row, error) {
	var w store.Where
	w.And(`r.type = ?`, string(f.Type))
	if f.Type == HandoverQuality {
		w.And(`NOT EXISTS (SELECT 1 FROM feedback_records n WHERE n.type = r.type AND n.record_key = r.record_key
			AND n.record_key <> '' AND n.revision > r.revision)`)
	}
	if f.CustomerID != "" {
		w.And(`r.customer_id = ?`, f.CustomerID)
	}
	if f.Kinds != 0 {
		w.And(`(r.kinds & ?) <> 0`, f.Kinds)
	}
	if f.From != nil {
		w.And(`r.at >= ?`, *f.From)
	}
	if f.Before != nil {
		w.And(`r.at < ?`, *f.Before)
	}
	if after != nil {
		w.And(`(r.at, r.id) < (?, ?)`, after.At, after.ID)
	}
	sql, args := w.Select(`SELECT r.id, r.at, r.record FROM feedback_records r`, `ORDER BY r.at DESC, r.id DESC LIMIT ?`, limit)
	return store.Select[row](ctx, tx, sql, args...)
}

// deal is what a rating of a handover is about.
type deal struct{ CustomerID, JourneyID, OpportunityID string }

// dealOf finds the deal of an accepted CLOSED_WON handoff; false when there is none.
func dealOf(ctx context.Context, tx store.Tx, handoffID string) (deal, bool, error) {
	d, err := store.Get[deal](ctx, tx, `SELECT CAST(d.customer_id AS TEXT) AS customer_id, d.journey_id,
		COALESCE(s.opportunity_id, '') AS opportunity_id
		FROM handover_documents d LEFT JOIN customer_subscriptions s ON s.handoff_id = d.handoff_id WHERE d.handoff_id = $1`, handoffID)
	if errors.Is(err, store.ErrNoRows) {
		return d, false, nil
	}
	return d, err == nil, err
}
