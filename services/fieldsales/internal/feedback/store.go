package feedback

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// message keeps a record of the contract in a JSON column.
type message struct{ *fieldsalesv1.CustomerFeedback }

func (m message) MarshalJSON() ([]byte, error) { return protojson.Marshal(m.CustomerFeedback) }

// optional is an id column's value: NULL for none.
func optional(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// save queues a record. One that is there already gives way to a newer revision, and stays otherwise.
func save(tx store.Tx, f *fieldsalesv1.CustomerFeedback, revision int64, p Profile, now time.Time) {
	tx.Queue(`INSERT INTO customer_feedback (id, account_id, opportunity_id, customer_id, kinds, rating, reason, revision, industry_key,
		size_band, at, record, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (id) DO UPDATE SET rating = EXCLUDED.rating, revision = EXCLUDED.revision, at = EXCLUDED.at, record = EXCLUDED.record
		WHERE customer_feedback.revision < EXCLUDED.revision`,
		f.GetId(), optional(f.GetAccountId()), optional(f.GetOpportunityId()), f.GetCustomerId(), bits(f.GetKinds()...), int64(f.GetRating()),
		f.GetReason(), revision, p.Industry, p.Size, f.GetAt().AsTime(), store.JSONOf(message{f}), now)
	for _, product := range p.Products {
		tx.Queue(`INSERT INTO customer_feedback_products (product_key, feedback_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
			product, f.GetId())
	}
}

// Filter selects records; empty fields select all.
type Filter struct {
	AccountID, OpportunityID string
	Kinds                    int64
	From, Before             *time.Time
}

// After is where a list goes on: behind the record with these values.
type After struct {
	Matches int64
	At      time.Time
	ID      string
}

// row is a record as lists read it, with the name of its account and what it agrees in.
type row struct {
	ID                         string
	At                         time.Time
	Record                     store.JSON[json.RawMessage]
	AccountName                string
	Industry, Size, Product, N int64
}

const columns = `f.id, f.at, f.record, COALESCE(a.name, '') AS account_name`

const from = ` FROM customer_feedback f LEFT JOIN accounts a ON a.id = f.account_id`

// list reads at most limit records, newest first.
func list(ctx context.Context, tx store.Tx, f Filter, after *After, limit int) ([]row, error) {
	var w store.Where
	if f.AccountID != "" {
		w.And(`f.account_id = ?`, f.AccountID)
	}
	if f.OpportunityID != "" {
		w.And(`f.opportunity_id = ?`, f.OpportunityID)
	}
	if f.Kinds != 0 {
		w.And(`(f.kinds & ?) <> 0`, f.Kinds)
	}
	if f.From != nil {
		w.And(`f.at >= ?`, *f.From)
	}
	if f.Before != nil {
		w.And(`f.at < ?`, *f.Before)
	}
	if after != nil {
		w.And(`(f.at, f.id) < (?, ?)`, after.At, after.ID)
	}
	sql, args := w.Select(`SELECT `+columns+`, 0 AS industry, 0 AS size, 0 AS product, 0 AS n`+from, `ORDER BY f.at DESC, f.id DESC LIMIT ?`, limit)
	return store.Select[row](ctx, tx, sql, args...)
}

// similar reads at most limit records of other accounts that agree with the profile, those that agree in most first. It
// looks at every record that agrees: they are as many as people write, not as machines measure.
func similar(ctx context.Context, tx store.Tx, p Profile, accountID string, kinds int64, after *After, limit int) ([]row, error) {
	if p.none() {
		return nil, nil
	}
	var inner, w store.Where
	d := tx.Dialect()
	products := `SELECT feedback_id FROM customer_feedback_products WHERE ` + d.In("product_key", 1)
	inner.Arg(d.Strings(p.Products))
	industry, size := inner.Arg(p.Industry), inner.Arg(p.Size)
	inner.And(`f.account_id IS NULL OR f.account_id <> ?`, accountID)
	inner.And(`(f.industry_key <> '' AND f.industry_key = ` + industry + `) OR (f.size_band > 0 AND f.size_band = ` + size +
		`) OR f.id IN (` + products + `)`)
	if kinds != 0 {
		inner.And(`(f.kinds & ?) <> 0`, kinds)
	}
	sql, args := inner.Select(`SELECT `+columns+`,
		CASE WHEN f.industry_key <> '' AND f.industry_key = `+industry+` THEN 1 ELSE 0 END AS industry,
		CASE WHEN f.size_band > 0 AND f.size_band = `+size+` THEN 1 ELSE 0 END AS size,
		CASE WHEN f.id IN (`+products+`) THEN 1 ELSE 0 END AS product`+from, ``)
	for _, arg := range args {
		w.Arg(arg)
	}
	if after != nil {
		w.And(`(n, at, id) < (?, ?, ?)`, after.Matches, after.At, after.ID)
	}
	sql, args = w.Select(`SELECT * FROM (SELECT s.*, s.industry + s.size + s.product AS n FROM (`+sql+`) s) s2`,
		`ORDER BY n DESC, at DESC, id DESC LIMIT ?`, limit)
	return store.Select[row](ctx, tx, sql, args...)
}

// marks reads what the summary of an account is made of, in the order in which it came.
func marks(ctx context.Context, tx store.Tx, accountID string) ([]Mark, error) {
	return store.Select[Mark](ctx, tx, `SELECT customer_id, kinds, rating, reason, at FROM customer_feedback
		WHERE account_id = $1 ORDER BY created_at, id`, accountID)
}
