package subscription

import (
	"context"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const columns = `id, customer_id, journey_id, handoff_id, opportunity_id, state, currency, mrr, start_date, end_date,
	renewal_date, signed_date, term_months, notice_days, special_terms, cancel_reason, cancel_note, created_at, updated_at`

func read(rows store.Rows) (*Subscription, error) {
	s := &Subscription{}
	return s, rows.Scan(&s.ID, &s.CustomerID, &s.JourneyID, &s.HandoffID, &s.OpportunityID, &s.State, &s.Currency, &s.MRR,
		&s.StartDate, &s.EndDate, &s.RenewalDate, &s.SignedDate, &s.TermMonths, &s.NoticeDays, &s.SpecialTerms,
		&s.CancelReason, &s.CancelNote, &s.CreatedAt, &s.UpdatedAt)
}

// Insert queues a new subscription with its items.
func Insert(tx store.Tx, s *Subscription) {
	tx.Queue(`INSERT INTO customer_subscriptions (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
		$14, $15, $16, $17, $18, $19)`,
		s.ID, s.CustomerID, s.JourneyID, s.HandoffID, s.OpportunityID, string(s.State), s.Currency, s.MRR,
		string(s.StartDate), string(s.EndDate), string(s.RenewalDate), string(s.SignedDate), s.TermMonths, s.NoticeDays,
		s.SpecialTerms, s.CancelReason, s.CancelNote, s.CreatedAt, s.UpdatedAt)
	for i, item := range s.Items {
		tx.Queue(`INSERT INTO customer_subscription_items (id, subscription_id, position, product, quantity, unit_price, discount,
			interval_months) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			item.ID, s.ID, i, item.Product, item.Quantity, item.UnitPrice, item.Discount, item.IntervalMonths)
	}
}

// SaveEnd queues what a cancellation changed.
func SaveEnd(tx store.Tx, s *Subscription) {
	tx.Queue(`UPDATE customer_subscriptions SET state = $2, end_date = $3, cancel_reason = $4, cancel_note = $5, updated_at = $6
		WHERE id = $1`, s.ID, string(s.State), string(s.EndDate), s.CancelReason, s.CancelNote, s.UpdatedAt)
}

// Load reads all subscriptions of a customer, oldest first. To change them lock the customer first.
func Load(ctx context.Context, tx store.Tx, customerID string) (*Book, error) {
	list, err := selectAll(ctx, tx, `SELECT `+columns+` FROM customer_subscriptions WHERE customer_id = $1 ORDER BY created_at, id`, customerID)
	if err != nil {
		return nil, err
	}
	return &Book{Subscriptions: list}, nil
}

// List reads at most limit subscriptions of a customer, newest first; states empty means all.
func List(ctx context.Context, tx store.Tx, customerID string, states []string, after *page.After, limit int) ([]*Subscription, error) {
	var w store.Where
	w.And(`customer_id = ?`, customerID)
	w.In(tx.Dialect(), "state", states)
	past(&w, after)
	sql, args := w.Select(`SELECT `+columns+` FROM customer_subscriptions`, `ORDER BY created_at DESC, id DESC LIMIT ?`, limit)
	return selectAll(ctx, tx, sql, args...)
}

func past(w *store.Where, after *page.After) {
	if after != nil {
		w.And(`(created_at, id) < (?, ?)`, after.At, after.ID)
	}
}

func selectAll(ctx context.Context, tx store.Tx, sql string, args ...any) ([]*Subscription, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*Subscription
	byID := map[string]*Subscription{}
	var ids []string
	for rows.Next() {
		s, err := read(rows)
		if err != nil {
			return nil, err
		}
		list, ids, byID[s.ID] = append(list, s), append(ids, s.ID), s
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return list, err
	}
	rows.Close()
	return list, fillItems(ctx, tx, ids, byID)
}

func fillItems(ctx context.Context, tx store.Tx, ids []string, byID map[string]*Subscription) error {
	d := tx.Dialect()
	rows, err := tx.Query(ctx, `SELECT subscription_id, id, product, quantity, unit_price, discount, interval_months
		FROM customer_subscription_items WHERE `+d.InUUID("subscription_id", 1)+` ORDER BY subscription_id, position`, d.Strings(ids))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var of string
		var i Item
		if err := rows.Scan(&of, &i.ID, &i.Product, &i.Quantity, &i.UnitPrice, &i.Discount, &i.IntervalMonths); err != nil {
			return err
		}
		byID[of].Items = append(byID[of].Items, i)
	}
	return rows.Err()
}

const movementColumns = `id, customer_id, subscription_id, journey_id, kind, amount, currency, effective_date, reason, created_at,
	actor_kind, actor_id, actor_name`

// Record queues a line of the ledger.
func Record(tx store.Tx, m Movement) {
	tx.Queue(`INSERT INTO mrr_movements (`+movementColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		m.ID, m.CustomerID, m.SubscriptionID, m.JourneyID, string(m.Kind), m.Amount, m.Currency, string(m.EffectiveDate), m.Reason,
		m.CreatedAt, string(m.Actor.Kind), m.Actor.ID, m.Actor.Name)
}

// MovementFilter selects lines of the ledger; empty fields select all.
type MovementFilter struct {
	CustomerID string
	Kinds      []string
	// From is the first effective date, Before the one after the last.
	From, Before civil.Date
}

// Movements reads at most limit lines of the ledger, newest first.
func Movements(ctx context.Context, tx store.Tx, f MovementFilter, after *page.After, limit int) ([]Movement, error) {
	var w store.Where
	if f.CustomerID != "" {
		w.And(`customer_id = ?`, f.CustomerID)
	}
	if f.From != "" {
		w.And(`effective_date >= ?`, string(f.From))
	}
	if f.Before != "" {
		w.And(`effective_date < ?`, string(f.Before))
	}
	w.In(tx.Dialect(), "kind", f.Kinds)
	past(&w, after)
	sql, args := w.Select(`SELECT `+movementColumns+` FROM mrr_movements`, `ORDER BY created_at DESC, id DESC LIMIT ?`, limit)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Movement
	for rows.Next() {
		var m Movement
		var actor access.Actor
		if err := rows.Scan(&m.ID, &m.CustomerID, &m.SubscriptionID, &m.JourneyID, &m.Kind, &m.Amount, &m.Currency, &m.EffectiveDate,
			&m.Reason, &m.CreatedAt, &actor.Kind, &actor.ID, &actor.Name); err != nil {
			return nil, err
		}
		m.Actor = actor
		list = append(list, m)
	}
	return list, rows.Err()
}

// Totals are the sums of a customer's ledger, in minor units a month.
type Totals struct {
	// Current counts what is effective by the day, Committed everything.
	Current, Committed int64
}

// Sum adds up the ledgers of customers.
func Sum(ctx context.Context, tx store.Tx, customerIDs []string, day civil.Date) (map[string]Totals, error) {
	totals := map[string]Totals{}
	if len(customerIDs) == 0 {
		return totals, nil
	}
	d := tx.Dialect()
	rows, err := tx.Query(ctx, `SELECT customer_id, CAST(SUM(CASE WHEN effective_date <= $2 THEN amount ELSE 0 END) AS BIGINT),
		CAST(SUM(amount) AS BIGINT) FROM mrr_movements WHERE `+d.InUUID("customer_id", 1)+` GROUP BY customer_id`,
		d.Strings(customerIDs), string(day))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var t Totals
		if err := rows.Scan(&id, &t.Current, &t.Committed); err != nil {
			return nil, err
		}
		totals[id] = t
	}
	return totals, rows.Err()
}
