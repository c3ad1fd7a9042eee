package contract

import (
	"context"
	"errors"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const columns = `id, opportunity_id, account_id, currency, mrr_minor, term_months, start_date, renewal_date, notice_days,
	special_terms, signed_date, created_at`

// Insert queues a new contract with its lines.
func Insert(tx store.Tx, c Contract) {
	tx.Queue(`INSERT INTO contracts (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		c.ID, c.OpportunityID, c.AccountID, c.MRR.Currency, c.MRR.Minor, int64(c.TermMonths), string(c.Start), string(c.Renewal),
		int64(c.NoticeDays), c.SpecialTerms, string(c.Signed), c.CreatedAt)
	for i, l := range c.Lines {
		tx.Queue(`INSERT INTO contract_lines (contract_id, position, product, quantity, unit_price_minor, discount_minor,
			interval_months) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			c.ID, int64(i+1), l.Product, int64(l.Quantity), l.UnitPrice, l.Discount, int64(l.IntervalMonths))
	}
}

type row struct {
	ID, OpportunityID, AccountID string
	Currency                     string
	MrrMinor                     int64
	TermMonths, NoticeDays       int64
	StartDate, RenewalDate       string
	SpecialTerms, SignedDate     string
	CreatedAt                    time.Time
}

type lineRow struct {
	Product                                                 string
	Quantity, UnitPriceMinor, DiscountMinor, IntervalMonths int64
}

// Products are the products that an account has contracts for: each once, by name.
func Products(ctx context.Context, tx store.Tx, accountID string) ([]string, error) {
	return store.Select[string](ctx, tx, `SELECT DISTINCT l.product FROM contracts c JOIN contract_lines l ON l.contract_id = c.id
		WHERE c.account_id = $1 ORDER BY l.product`, accountID)
}

// Of reads the contract of an opportunity; nil when there is none.
func Of(ctx context.Context, tx store.Tx, opportunityID string) (*Contract, error) {
	r, err := store.Get[row](ctx, tx, `SELECT `+columns+` FROM contracts WHERE opportunity_id = $1`, opportunityID)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines, err := store.Select[lineRow](ctx, tx, `SELECT product, quantity, unit_price_minor, discount_minor, interval_months
		FROM contract_lines WHERE contract_id = $1 ORDER BY position`, r.ID)
	if err != nil {
		return nil, err
	}
	c := &Contract{
		ID: r.ID, OpportunityID: r.OpportunityID, AccountID: r.AccountID,
		MRR:        money.Amount{Minor: r.MrrMinor, Currency: r.Currency},
		TermMonths: int32(r.TermMonths), Start: civil.Date(r.StartDate), Renewal: civil.Date(r.RenewalDate),
		NoticeDays: int32(r.NoticeDays), SpecialTerms: r.SpecialTerms, Signed: civil.Date(r.SignedDate), CreatedAt: r.CreatedAt,
	}
	for _, l := range lines {
		c.Lines = append(c.Lines, Line{
			Product: l.Product, Quantity: int32(l.Quantity), UnitPrice: l.UnitPriceMinor, Discount: l.DiscountMinor,
			IntervalMonths: int32(l.IntervalMonths),
		})
	}
	return c, nil
}
