package account

import (
	"context"
	"errors"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const columns = `id, version, name, domain, company_key, industry, employees, owner, journey_id, created_at, updated_at`

type row struct {
	ID         string
	Version    int64
	Name       string
	Domain     string
	CompanyKey string
	Industry   string
	Employees  int64
	Owner      string
	JourneyID  *string
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

func (r row) account() *Account {
	a := &Account{
		ID: r.ID, Version: r.Version, Name: r.Name, Domain: r.Domain, Key: r.CompanyKey, Industry: r.Industry,
		Employees: int32(r.Employees), Owner: r.Owner, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.JourneyID != nil {
		a.JourneyID = *r.JourneyID
	}
	return a
}

// optional is an id column's value: NULL for none.
func optional(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// byID also finds an account by an alias of it.
const byID = `(id = $1 OR id = (SELECT account_id FROM account_aliases WHERE id = $1))`

// Get reads an account by its id or an alias. RESOURCE_NOT_FOUND when there is none.
func Get(ctx context.Context, tx store.Tx, id string) (*Account, error) {
	return one(ctx, tx, id, "")
}

// ForUpdate is Get with the row locked, and with the version that the caller expects.
func ForUpdate(ctx context.Context, tx store.Tx, id string, expect etag.Matcher) (*Account, error) {
	a, err := one(ctx, tx, id, tx.Dialect().ForUpdate())
	if err != nil {
		return nil, err
	}
	return a, expect.Check(a.Version)
}

func one(ctx context.Context, tx store.Tx, id, lock string) (*Account, error) {
	r, err := store.Get[row](ctx, tx, `SELECT `+columns+` FROM accounts WHERE `+byID+lock, id)
	if errors.Is(err, store.ErrNoRows) {
		return nil, problem.NotFound("account", id)
	}
	if err != nil {
		return nil, err
	}
	return r.account(), nil
}

// Match finds the account of a company: by id, then by domain, then by name. Nil when it is not known. Until the
// transaction ends nobody else matches a company with one of these keys, so that two never make the same account.
func Match(ctx context.Context, tx store.Tx, k Keys) (*Account, error) {
	// One order for everybody: rivals wait, and never for each other.
	if k.Name != "" {
		store.Lock(tx, "account/name/"+k.Name)
	}
	if k.Domain != "" {
		store.Lock(tx, "account/domain/"+k.Domain)
	}
	if k.ID != "" {
		store.Lock(tx, "account/id/"+k.ID)
		a, err := one(ctx, tx, k.ID, tx.Dialect().ForUpdate())
		if !errors.Is(err, problem.NotFound("", "")) {
			return a, err
		}
	}
	rows, err := store.Select[row](ctx, tx, `SELECT `+columns+` FROM accounts
		WHERE domain <> '' AND domain = $1 OR company_key <> '' AND company_key = $2
		ORDER BY CASE WHEN domain <> '' AND domain = $1 THEN 0 ELSE 1 END, created_at, id`+tx.Dialect().ForUpdate(), k.Domain, k.Name)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].account(), nil
}

// insertAlias lets another id of the party find the account, for ever.
func insertAlias(tx store.Tx, id, accountID string, now time.Time) {
	tx.Queue(`INSERT INTO account_aliases (id, account_id, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`,
		id, accountID, now)
}

func insertAccount(tx store.Tx, a *Account) {
	tx.Queue(`INSERT INTO accounts (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		a.ID, a.Version, a.Name, a.Domain, a.Key, a.Industry, int64(a.Employees), a.Owner, optional(a.JourneyID),
		a.CreatedAt, a.UpdatedAt)
}

func updateAccount(tx store.Tx, a *Account) {
	tx.Queue(`UPDATE accounts SET version = $2, name = $3, domain = $4, company_key = $5, industry = $6, employees = $7,
		owner = $8, updated_at = $9 WHERE id = $1`,
		a.ID, a.Version, a.Name, a.Domain, a.Key, a.Industry, int64(a.Employees), a.Owner, a.UpdatedAt)
}

// Filter says which accounts a list shows; empty fields do not matter.
type Filter struct {
	Domain string
	// Key is the whole name as it is matched, KeyPrefix its beginning.
	Key, KeyPrefix string
	Owner          string
}

// List reads at most limit accounts, the newest first.
func List(ctx context.Context, tx store.Tx, f Filter, after *page.After, limit int) ([]*Account, error) {
	var w store.Where
	if f.Domain != "" {
		w.And("domain = ?", f.Domain)
	}
	if f.Key != "" {
		w.And("company_key = ?", f.Key)
	}
	if f.KeyPrefix != "" { // the largest character there is ends the range
		w.And("company_key >= ? AND company_key < ?", f.KeyPrefix, f.KeyPrefix+"\U0010FFFF")
	}
	if f.Owner != "" {
		w.And("owner = ?", f.Owner)
	}
	if after != nil {
		w.And("(created_at, id) < (?, ?)", after.At, after.ID)
	}
	sql, args := w.Select(`SELECT `+columns+` FROM accounts`, `ORDER BY created_at DESC, id DESC LIMIT ?`, limit)
	rows, err := store.Select[row](ctx, tx, sql, args...)
	if err != nil {
		return nil, err
	}
	out := make([]*Account, len(rows))
	for i, r := range rows {
		out[i] = r.account()
	}
	return out, nil
}
