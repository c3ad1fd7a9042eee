package exclusion

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

type row struct {
	ID, Kind, Domain, Note                    string
	CreatedAt                                 time.Time
	CreatedByKind, CreatedByID, CreatedByName string
}

func (r row) rule() Rule {
	return Rule{
		ID: r.ID, Kind: r.Kind, Domain: r.Domain, Note: r.Note, CreatedAt: r.CreatedAt,
		CreatedBy: access.Actor{Kind: access.Kind(r.CreatedByKind), ID: r.CreatedByID, Name: r.CreatedByName},
	}
}

const columns = `CAST(id AS TEXT) AS id, kind, domain, note, created_at, created_by_kind, created_by_id, created_by_name`

func insert(ctx context.Context, tx store.Tx, r Rule) error {
	_, err := tx.Exec(ctx, `INSERT INTO exclusion_rules
		(id, kind, domain, note, created_at, created_by_kind, created_by_id, created_by_name)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.ID, r.Kind, r.Domain, r.Note, r.CreatedAt, string(r.CreatedBy.Kind), r.CreatedBy.ID, r.CreatedBy.Name)
	return err
}

// idOf is the id of the domain's rule; empty when there is none.
func idOf(ctx context.Context, tx store.Tx, domain string) (string, error) {
	id, err := store.Get[string](ctx, tx, `SELECT CAST(id AS TEXT) FROM exclusion_rules WHERE domain = $1`, domain)
	if errors.Is(err, store.ErrNoRows) {
		return "", nil
	}
	return id, err
}

func list(ctx context.Context, tx store.Tx, domain string, more bool, after string, limit int) ([]Rule, error) {
	sql, args := `SELECT `+columns+` FROM exclusion_rules WHERE ($1 = '' OR domain = $1)`, []any{domain}
	if more {
		sql, args = sql+` AND id < $2`, append(args, after)
	}
	rows, err := store.Select[row](ctx, tx, sql+` ORDER BY id DESC LIMIT `+strconv.Itoa(limit), args...)
	if err != nil {
		return nil, err
	}
	rules := make([]Rule, len(rows))
	for i, r := range rows {
		rules[i] = r.rule()
	}
	return rules, nil
}

func remove(ctx context.Context, tx store.Tx, id string) (Rule, error) {
	r, err := store.Get[row](ctx, tx, `DELETE FROM exclusion_rules WHERE id = $1 RETURNING `+columns, id)
	if errors.Is(err, store.ErrNoRows) {
		return Rule{}, problem.NotFound("exclusion-rule", id)
	}
	return r.rule(), err
}
