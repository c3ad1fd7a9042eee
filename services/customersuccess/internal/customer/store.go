package customer

import (
	"context"
	"errors"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const columns = `id, version, account_id, journey_id, person_id, company_name, company_domain, company_industry, company_employees,
	state, state_since, rule_tier, rule_code, override_tier, override_until, override_why, promising, csm, currency, churned_date,
	open_gaps, created_at, updated_at, open_flags`

const placeholders = `$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
	$24`

var transitions = history.Table[State]{Name: "customer_transitions", Key: "customer_id"}

// why is what is kept of an override besides its tier and end.
type why struct {
	Note string       `json:"note"`
	By   access.Actor `json:"by"`
	At   time.Time    `json:"at"`
}

func (c *Customer) args() []any {
	var tier, until string
	var because *why
	if o := c.Override; o != nil {
		tier, until, because = string(o.Tier), string(o.Until), &why{Note: o.Note, By: o.By, At: o.At}
	}
	return []any{
		c.ID, c.Version, c.AccountID, c.JourneyID, c.PersonID, c.Company.Name, c.Company.Domain, c.Company.Industry, c.Company.Employees,
		string(c.State), c.StateSince, string(c.Rule.Tier), c.Rule.Rule, tier, until, store.JSONOf(because), c.Promising, c.CSM,
		c.Currency, string(c.ChurnedDate), c.OpenGaps, c.CreatedAt, c.UpdatedAt, c.OpenFlags,
	}
}

func read(row store.Row) (*Customer, error) {
	c := &Customer{}
	var o Override
	var because store.JSON[*why]
	err := row.Scan(&c.ID, &c.Version, &c.AccountID, &c.JourneyID, &c.PersonID, &c.Company.Name, &c.Company.Domain,
		&c.Company.Industry, &c.Company.Employees, &c.State, &c.StateSince, &c.Rule.Tier, &c.Rule.Rule, &o.Tier, &o.Until, &because,
		&c.Promising, &c.CSM, &c.Currency, &c.ChurnedDate, &c.OpenGaps, &c.CreatedAt, &c.UpdatedAt,
		&c.OpenFlags)
	if err != nil {
		return nil, err
	}
	if because.V != nil {
		o.Note, o.By, o.At = because.V.Note, because.V.By, because.V.At
		c.Override = &o
	}
	return c, nil
}

// Store keeps customers.
type Store struct {
	events *event.Log
	clock  clock.Clock
}

// NewStore makes a store that tells events.
func NewStore(events *event.Log, c clock.Clock) *Store { return &Store{events: events, clock: c} }

// Get reads a customer. RESOURCE_NOT_FOUND when there is none.
func (s *Store) Get(ctx context.Context, tx store.Tx, id string) (*Customer, error) {
	return found(id)(read(tx.QueryRow(ctx, `SELECT `+columns+` FROM customers WHERE id = $1`, id)))
}

// ForUpdate reads a customer to change it, as the client last saw it. Whoever changes subscriptions or plans of a customer
// locks the customer first.
func (s *Store) ForUpdate(ctx context.Context, tx store.Tx, id string, m etag.Matcher) (*Customer, error) {
	c, err := found(id)(read(tx.QueryRow(ctx, `SELECT `+columns+` FROM customers WHERE id = $1`+tx.Dialect().ForUpdate(), id)))
	if err != nil {
		return nil, err
	}
	return c, m.Check(c.Version)
}

func found(id string) func(*Customer, error) (*Customer, error) {
	return func(c *Customer, err error) (*Customer, error) {
		if errors.Is(err, store.ErrNoRows) {
			return nil, problem.NotFound("customer", id)
		}
		return c, err
	}
}

// ForDeal reads the customer of an account, or of a journey where the account is not known, to change it; nil when there
// is none. Until the transaction ends nobody else can look for the same one.
func (s *Store) ForDeal(ctx context.Context, tx store.Tx, accountID, journeyID string) (*Customer, error) {
	column, key := "account_id", accountID
	if key == "" {
		column, key = "journey_id", journeyID
	}
	store.Lock(tx, "customer:"+column+":"+key)
	c, err := read(tx.QueryRow(ctx, `SELECT `+columns+` FROM customers WHERE `+column+` = $1 ORDER BY created_at, id LIMIT 1`+
		tx.Dialect().ForUpdate(), key))
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	return c, err
}

// Save queues the row, which must have been read for update, its transitions with their events, and the further facts.
// It does nothing when nothing happened.
func (s *Store) Save(ctx context.Context, tx store.Tx, c *Customer, facts ...Fact) error {
	if !c.dirty && len(facts) == 0 {
		return nil
	}
	c.touch(s.clock.Now())
	c.dirty = false
	if c.Version == 1 {
		tx.Queue(`INSERT INTO customers (`+columns+`) VALUES (`+placeholders+`)`, c.args()...)
	} else {
		tx.Queue(`UPDATE customers SET (`+columns+`) = (`+placeholders+`) WHERE id = $1`, c.args()...)
	}
	list := make([]event.Event, 0, len(facts)+len(c.moved))
	for _, t := range c.moved {
		transitions.Append(tx, c.ID, c.Version, t)
		if t.From != "" {
			list = append(list, s.event(c, c.JourneyID, stateChanged(c, t)))
		}
	}
	c.moved = nil
	for _, f := range facts {
		journey := f.JourneyID
		if journey == "" {
			journey = c.JourneyID
		}
		list = append(list, s.event(c, journey, f.Data))
	}
	return s.events.Append(ctx, tx, list...)
}

// Filter selects customers; empty fields select all.
type Filter struct {
	States                 []string
	Tier                   Tier
	CSM, JourneyID, Domain string
	// Flagged keeps those with an open flag.
	Flagged bool
}

// List reads at most limit customers, newest first.
func (s *Store) List(ctx context.Context, tx store.Tx, f Filter, after *page.After, limit int) ([]*Customer, error) {
	var w store.Where
	w.In(tx.Dialect(), "state", f.States)
	if f.Tier != "" {
		w.And(`CASE WHEN override_tier <> '' AND (override_until = '' OR override_until >= ?) THEN override_tier ELSE rule_tier END = ?`,
			string(civil.DateOf(s.clock.Now())), string(f.Tier))
	}
	if f.CSM != "" {
		w.And(`csm = ?`, f.CSM)
	}
	if f.Flagged {
		w.And(`open_flags > 0`)
	}
	if f.Domain != "" {
		w.And(`company_domain = ?`, f.Domain)
	}
	if f.JourneyID != "" {
		w.And(`(journey_id = ? OR id IN (SELECT customer_id FROM handover_documents WHERE journey_id = ?))`, f.JourneyID, f.JourneyID)
	}
	if after != nil {
		w.And(`(created_at, id) < (?, ?)`, after.At, after.ID)
	}
	sql, args := w.Select(`SELECT `+columns+` FROM customers`, `ORDER BY created_at DESC, id DESC LIMIT ?`, limit)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*Customer
	for rows.Next() {
		c, err := read(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}
