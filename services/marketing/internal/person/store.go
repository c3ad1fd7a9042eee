package person

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

type personRow struct {
	ID, MatchKey, FullName, Family, Given string
	FamilyKana, GivenKana                 string
	Mail, Phone, Title                    string
	Consents                              store.JSON[[]people.Consent]
	MergedInto                            string
	ToldAt                                *time.Time
	Version                               int64
	CreatedAt                             time.Time
}

const columns = `CAST(id AS TEXT) AS id, match_key, full_name, family, given, family_kana, given_kana, mail, phone, title,
	consents, COALESCE(CAST(merged_into AS TEXT), '') AS merged_into, told_at, version, created_at`

func (r personRow) person() *Person {
	return &Person{
		ID: r.ID, MatchKey: r.MatchKey, Full: r.FullName, Family: r.Family, Given: r.Given, FamilyKana: r.FamilyKana,
		GivenKana: r.GivenKana, Mail: r.Mail, Phone: r.Phone, Title: r.Title, Consents: r.Consents.V,
		MergedInto: r.MergedInto, ToldAt: r.ToldAt, Version: r.Version, CreatedAt: r.CreatedAt,
	}
}

// get reads the person that an id means now. RESOURCE_NOT_FOUND when marketing knows none.
func (s *Server) get(ctx context.Context, tx store.Tx, id string, lock bool) (*Person, error) {
	now, err := s.People.Resolve(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	sql := `SELECT ` + columns + ` FROM people WHERE id = $1`
	if lock {
		sql += tx.Dialect().ForUpdate()
	}
	r, err := store.Get[personRow](ctx, tx, sql, now)
	if errors.Is(err, store.ErrNoRows) {
		return nil, problem.NotFound("person", id)
	}
	return r.person(), err
}

// Consents are what holds for a person, for people.Book.
func Consents(ctx context.Context, tx store.Tx, id string) ([]people.Consent, error) {
	c, err := store.Get[store.JSON[[]people.Consent]](ctx, tx, `SELECT consents FROM people WHERE id = $1`, id)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	return c.V, err
}

// save queues what people and their consents have become; the row is locked. match_key stays: it is what the record was
// found by.
func save(tx store.Tx, p *Person) {
	tx.Queue(`UPDATE people SET full_name = $2, family = $3, given = $4, family_kana = $5, given_kana = $6, mail = $7, phone = $8,
		title = $9, consents = $10, told_at = $11, version = $12 WHERE id = $1`,
		p.ID, p.Full, p.Family, p.Given, p.FamilyKana, p.GivenKana, p.Mail, p.Phone, p.Title, store.JSONOf(p.Consents), p.ToldAt, p.Version)
}

// redirect lets the row of a merged person, and those that led to it, lead to the survivor.
func redirect(tx store.Tx, merged, survivor string) {
	tx.Queue(`UPDATE people SET merged_into = $2 WHERE id = $1 OR merged_into = $1`, merged, survivor)
}

func insertRecord(tx store.Tx, r Record) {
	tx.Queue(`INSERT INTO consent_records (id, person_id, channel, granted, basis, at, source, actor_id, recorded_at,
		text_version, method, address, evidence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		party.NewID(), r.PersonID, r.Channel, r.Granted, r.Basis, r.At, r.Source, r.ActorID, r.RecordedAt, r.TextVersion, r.Method,
		r.Address, r.Evidence)
}

type recordRow struct {
	ID, PersonID, Channel, Basis           string
	Granted                                bool
	At                                     time.Time
	Source, ActorID                        string
	RecordedAt                             time.Time
	TextVersion, Method, Address, Evidence string
}

// records reads at most limit entries of the ledger of some people, the newest first, those before the id when there is one.
func records(ctx context.Context, tx store.Tx, ids []string, before string, limit int) ([]Record, error) {
	d := tx.Dialect()
	sql := `SELECT CAST(id AS TEXT) AS id, CAST(person_id AS TEXT) AS person_id, channel, basis, granted, at, source, actor_id,
		recorded_at, text_version, method, address, evidence FROM consent_records WHERE ` + d.InUUID("person_id", 1)
	args := []any{d.Strings(ids)}
	if before != "" {
		sql, args = sql+` AND id < $2`, append(args, before)
	}
	rows, err := store.Select[recordRow](ctx, tx, sql+` ORDER BY id DESC LIMIT `+strconv.Itoa(limit), args...)
	out := make([]Record, len(rows))
	for i, r := range rows {
		out[i] = Record{
			ID: r.ID, PersonID: r.PersonID,
			Consent:     people.Consent{Channel: r.Channel, Granted: r.Granted, Basis: r.Basis, At: r.At},
			TextVersion: r.TextVersion, Method: r.Method, Address: r.Address, Evidence: r.Evidence,
			Source: r.Source, ActorID: r.ActorID, RecordedAt: r.RecordedAt,
		}
	}
	return out, err
}

type erasureRow struct {
	ID, PersonID, Reason                            string
	RequestedByKind, RequestedByID, RequestedByName string
	CreatedAt                                       time.Time
	CompletedAt                                     *time.Time
}

// erasure reads an erasure by its id, or by the person's when column says so; nil when there is none. With lock it is
// locked, so that answers follow one another.
func erasure(ctx context.Context, tx store.Tx, column, id string, lock bool) (*Erasure, error) {
	tail := ""
	if lock {
		tail = tx.Dialect().ForUpdate()
	}
	r, err := store.Get[erasureRow](ctx, tx, `SELECT CAST(id AS TEXT) AS id, CAST(person_id AS TEXT) AS person_id, reason,
		requested_by_kind, requested_by_id, requested_by_name, created_at, completed_at FROM erasures WHERE `+column+` = $1`+tail, id)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e := &Erasure{
		ID: r.ID, PersonID: r.PersonID, Reason: r.Reason, CreatedAt: r.CreatedAt, CompletedAt: r.CompletedAt,
		By: access.Actor{Kind: access.Kind(r.RequestedByKind), ID: r.RequestedByID, Name: r.RequestedByName},
	}
	type answer struct {
		Department     string
		AcknowledgedAt *time.Time
		Erased         store.JSON[[]Count]
	}
	answers, err := store.Select[answer](ctx, tx, `SELECT department, acknowledged_at, erased FROM erasure_answers
		WHERE erasure_id = $1 ORDER BY department`, e.ID)
	for _, a := range answers {
		e.Answers = append(e.Answers, Answer{Department: a.Department, At: a.AcknowledgedAt, Erased: a.Erased.V})
	}
	return e, err
}

func insertErasure(tx store.Tx, e *Erasure) {
	tx.Queue(`INSERT INTO erasures (id, person_id, reason, requested_by_kind, requested_by_id, requested_by_name, created_at,
		completed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		e.ID, e.PersonID, e.Reason, string(e.By.Kind), e.By.ID, e.By.Name, e.CreatedAt, e.CompletedAt)
	saveAnswers(tx, e)
}

// saveErasure queues how far an erasure has come.
func saveErasure(tx store.Tx, e *Erasure) {
	tx.Queue(`UPDATE erasures SET completed_at = $2 WHERE id = $1`, e.ID, e.CompletedAt)
	saveAnswers(tx, e)
}

func saveAnswers(tx store.Tx, e *Erasure) {
	for _, a := range e.Answers {
		tx.Queue(`INSERT INTO erasure_answers (erasure_id, department, acknowledged_at, erased) VALUES ($1, $2, $3, $4)
			ON CONFLICT (erasure_id, department) DO UPDATE SET acknowledged_at = excluded.acknowledged_at, erased = excluded.erased`,
			e.ID, a.Department, a.At, store.JSONOf(slices.Clone(a.Erased)))
	}
}
