package lead

import (
	"context"
	"errors"

	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

const selectLead = `
SELECT CAST(l.id AS TEXT), CAST(l.journey_id AS TEXT), l.state, l.state_since, l.source, l.first_touch, l.last_touch,
	l.touch_count, l.transition_count, l.score, l.qualifying_action, l.hot, l.missing, l.exclusion,
	COALESCE(CAST(l.handoff_id AS TEXT), ''), COALESCE(CAST(l.chain_id AS TEXT), ''), l.recycle_count, l.last_reason,
	l.wake_at, COALESCE(CAST(l.import_id AS TEXT), ''), l.notes, l.customer_signals, l.referral, l.version, l.created_at, l.updated_at,
	CAST(p.id AS TEXT), p.full_name, p.family, p.given, p.family_kana, p.given_kana, p.mail, p.phone, p.title, p.consents, p.told_at,
	p.version, COALESCE(CAST(c.id AS TEXT), ''), COALESCE(c.match_key, ''), COALESCE(c.name, ''), COALESCE(c.domain, ''),
	COALESCE(c.industry, ''), COALESCE(c.employees, 0)` + fromLead

const fromLead = `
FROM leads l JOIN people p ON p.id = l.person_id LEFT JOIN companies c ON c.id = l.company_id`

// scan reads one row of selectLead.
func scan(row store.Row) (*Lead, error) {
	var (
		l           Lead
		first, last store.JSON[Touch]
		score       store.JSON[scoring.Score]
		missing     store.JSON[[]string]
		exclusion   store.JSON[*Exclusion]
		signals     store.JSON[*Signals]
		referral    store.JSON[*Referral]
		consents    store.JSON[[]Consent]
		p, c        = &l.Person, &l.Company
	)
	err := row.Scan(&l.ID, &l.JourneyID, (*string)(&l.State), &l.StateSince, &l.Source, &first, &last,
		&l.TouchCount, &l.transitionCount, &score, &l.QualifyingAction, &l.Hot, &missing, &exclusion,
		&l.HandoffID, &l.ChainID, &l.RecycleCount, &l.LastReason,
		&l.WakeAt, &l.ImportID, &l.Notes, &signals, &referral, &l.Version, &l.CreatedAt, &l.UpdatedAt,
		&p.ID, &p.Name.Full, &p.Name.Family, &p.Name.Given, &p.Name.FamilyKana, &p.Name.GivenKana, &p.Mail, &p.Phone, &p.Title,
		&consents, &p.ToldAt, &p.Version, &c.ID, &c.matchKey, &c.Name, &c.Domain, &c.Industry, &c.Employees)
	if err != nil {
		return nil, err
	}
	l.First, l.Last, l.Score = first.V, last.V, score.V
	l.Missing, l.Exclusion, p.Consents = missing.V, exclusion.V, consents.V
	l.Signals, l.Referral = signals.V, referral.V
	return &l, nil
}

func selectLeads(ctx context.Context, tx store.Tx, sql string, args ...any) ([]*Lead, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var leads []*Lead
	for rows.Next() {
		l, err := scan(rows)
		if err != nil {
			return nil, err
		}
		leads = append(leads, l)
	}
	return leads, rows.Err()
}

// forUpdate locks the rows of the lead and of its person, whose consents may be changed beside it, not of the company.
func forUpdate(d store.Dialect) string {
	if lock := d.ForUpdate(); lock != "" {
		return lock + " OF l, p"
	}
	return ""
}

// lock reads leads to change them, in the order of their ids, so that two transactions do not wait for one another.
func lock(ctx context.Context, tx store.Tx, ids []string) ([]*Lead, error) {
	d := tx.Dialect()
	if len(ids) == 1 { // PostgreSQL plans a list anew each time
		return selectLeads(ctx, tx, selectLead+" WHERE l.id = $1"+forUpdate(d), ids[0])
	}
	return selectLeads(ctx, tx, selectLead+" WHERE "+d.InUUID("l.id", 1)+" ORDER BY l.id"+forUpdate(d), d.Strings(ids))
}

// get reads one lead.
func get(ctx context.Context, tx store.Tx, id string) (*Lead, error) {
	return one(tx.QueryRow(ctx, selectLead+" WHERE l.id = $1", id), id)
}

// getForUpdate is a locked lead, if it is at the version that the caller has seen.
func getForUpdate(ctx context.Context, tx store.Tx, id string, match etag.Matcher) (*Lead, error) {
	l, err := inHand(ctx, tx, id)
	switch {
	case err != nil:
		return nil, err
	case l == nil:
		return nil, problem.NotFound("lead", id)
	}
	return l, match.Check(l.Version)
}

// byJourney reads the lead of a journey to change it; nil when there is none.
func byJourney(ctx context.Context, tx store.Tx, journeyID string) (*Lead, error) {
	l, err := scan(tx.QueryRow(ctx, selectLead+" WHERE l.journey_id = $1"+forUpdate(tx.Dialect()), journeyID))
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	return l, err
}

func one(row store.Row, id string) (*Lead, error) {
	l, err := scan(row)
	if errors.Is(err, store.ErrNoRows) {
		return nil, problem.NotFound("lead", id)
	}
	return l, err
}
