package lead

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// bulk is from how many rows of a table on they are copied instead of queued.
const bulk = 16

// table is where rows go.
type table struct {
	name    string
	columns []string
	insert  string
	// history is set of tables that are only added to, and that no later statement of a transaction refers to.
	history bool
}

func newHistory(name, columns string) table {
	t := newTable(name, columns)
	t.history = true
	return t
}

func newTable(name, columns string) table {
	t := table{name: name, columns: strings.Fields(columns)}
	marks := make([]string, len(t.columns))
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	t.insert = "INSERT INTO " + name + " (" + strings.Join(t.columns, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")"
	return t
}

var transitions = history.Table[State]{Name: "lead_transitions", Key: "lead_id"}

var (
	peopleTable = newTable("people",
		"id match_key full_name family given family_kana given_kana mail phone title consents told_at version created_at")
	companiesTable = newTable("companies", "id match_key name_key name domain industry employees created_at")
	leadsTable     = newTable("leads", `id journey_id person_id company_id import_id state state_since source first_channel
		first_touch last_touch touch_count transition_count score qualifying_action hot missing exclusion handoff_id chain_id
		recycle_count last_reason wake_at notes customer_signals referral version created_at updated_at`)
	signalsTable     = newHistory("lead_customer_signals", "lead_id seq kind customer_id score reasons note referral_id at recorded_at")
	touchesTable     = newHistory("lead_touches", "lead_id seq channel campaign action at source submission_id recorded_at")
	transitionsTable = newHistory(transitions.Name, strings.Join(transitions.Columns(), " "))
	consentsTable    = newHistory("consent_records", "id person_id channel granted basis at source actor_id recorded_at")
)

// put writes rows: a few travel with the commit, many are copied.
func put(ctx context.Context, tx store.Tx, t table, rows [][]any) error {
	if len(rows) >= bulk {
		return store.Copy(ctx, tx, t.name, t.columns, rows)
	}
	for _, row := range rows {
		if t.history {
			tx.Append(t.name, t.columns, row...)
		} else {
			tx.Queue(t.insert, row...)
		}
	}
	return nil
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func personRow(p *Person, now time.Time) []any {
	n := p.Name
	return []any{
		p.ID, p.MatchKey(), n.Full, n.Family, n.Given, n.FamilyKana, n.GivenKana, p.Mail, p.Phone, p.Title,
		store.JSONOf(p.Consents), p.ToldAt, p.Version, now,
	}
}

const updatePerson = `UPDATE people SET match_key = $2, full_name = $3, family = $4, given = $5, family_kana = $6,
	given_kana = $7, mail = $8, phone = $9, title = $10, consents = $11, told_at = $12, version = $13 WHERE id = $1`

const tellPerson = `UPDATE people SET told_at = $2 WHERE id = $1`

func companyRow(c *Company, now time.Time) []any {
	return []any{c.ID, c.matchKey, c.nameKey(), c.Name, c.Domain, c.Industry, c.Employees, now}
}

const updateCompany = `UPDATE companies SET match_key = $2, name_key = $3, name = $4, domain = $5, industry = $6, employees = $7
	WHERE id = $1`

func leadRow(l *Lead) []any {
	return []any{
		l.ID, l.JourneyID, l.Person.ID, null(l.Company.ID), null(l.ImportID), string(l.State), l.StateSince, l.Source,
		l.First.Channel, store.JSONOf(l.First), store.JSONOf(l.Last), l.TouchCount, l.transitionCount, store.JSONOf(l.Score),
		l.QualifyingAction, l.Hot, store.JSONOf(l.Missing), store.JSONOf(l.Exclusion), null(l.HandoffID), null(l.ChainID),
		l.RecycleCount, l.LastReason, l.WakeAt, l.Notes, store.JSONOf(l.Signals), store.JSONOf(l.Referral), l.Version, l.CreatedAt, l.UpdatedAt,
	}
}

const updateLead = `UPDATE leads SET company_id = $2, state = $3, state_since = $4, last_touch = $5, touch_count = $6,
	transition_count = $7, score = $8, qualifying_action = $9, hot = $10, missing = $11, exclusion = $12, handoff_id = $13,
	chain_id = $14, recycle_count = $15, last_reason = $16, wake_at = $17, notes = $18, version = $19, updated_at = $20,
	customer_signals = $21, referral = $22 WHERE id = $1`

func updateLeadArgs(l *Lead) []any {
	return []any{
		l.ID, null(l.Company.ID), string(l.State), l.StateSince, store.JSONOf(l.Last), l.TouchCount,
		l.transitionCount, store.JSONOf(l.Score), l.QualifyingAction, l.Hot, store.JSONOf(l.Missing), store.JSONOf(l.Exclusion),
		null(l.HandoffID), null(l.ChainID), l.RecycleCount, l.LastReason, l.WakeAt, l.Notes, l.Version, l.UpdatedAt,
		store.JSONOf(l.Signals), store.JSONOf(l.Referral),
	}
}

func touchRow(l *Lead, seq int64, c *Capture, now time.Time) []any {
	t := c.Touch
	return []any{l.ID, seq, t.Channel, t.Campaign, t.Action, t.At, c.Source, null(c.SubmissionID), now}
}

// writes are rows on their way.
type writes struct {
	leads, touches, transitions, signals [][]any
	updates                              []*Lead
}

// save adds the lead with its new transitions. Its version counts once however much has happened to it.
func (w *writes) save(l *Lead, now time.Time) {
	for _, t := range l.transitions {
		l.transitionCount++
		w.transitions = append(w.transitions, transitions.Row(l.ID, l.transitionCount, t))
	}
	for _, s := range l.heard {
		w.signals = append(w.signals, signalRow(l, s, now))
	}
	l.Version++
	l.UpdatedAt = now
	if l.isNew {
		w.leads = append(w.leads, leadRow(l))
	} else {
		w.updates = append(w.updates, l)
	}
	l.isNew, l.transitions, l.heard = false, nil, nil
}

func (w *writes) flush(ctx context.Context, tx store.Tx) error {
	if err := put(ctx, tx, leadsTable, w.leads); err != nil {
		return err
	}
	for _, l := range w.updates {
		tx.Queue(updateLead, updateLeadArgs(l)...)
	}
	if err := put(ctx, tx, touchesTable, w.touches); err != nil {
		return err
	}
	if err := put(ctx, tx, signalsTable, w.signals); err != nil {
		return err
	}
	return put(ctx, tx, transitionsTable, w.transitions)
}

// flush writes what the captures changed of people and companies; leads refer to them, so it goes first.
func (b *book) flush(ctx context.Context, tx store.Tx, actorID string, now time.Time) error {
	var people, companies, consents [][]any
	fresh := map[string]bool{}
	for _, id := range b.newCompanies {
		companies, fresh[id] = append(companies, companyRow(b.companies[id], now)), true
	}
	for _, id := range b.newPeople {
		b.people[id].Version = 1
		people, fresh[id] = append(people, personRow(b.people[id], now)), true
	}
	for _, id := range slices.Sorted(maps.Keys(b.changedCompanies)) {
		if !fresh[id] {
			row := companyRow(b.companies[id], now)
			tx.Queue(updateCompany, row[:len(row)-1]...)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.changedPeople)) {
		if !fresh[id] {
			b.people[id].Version++
			row := personRow(b.people[id], now)
			tx.Queue(updatePerson, row[:len(row)-1]...)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.toldPeople)) {
		if !fresh[id] && !b.changedPeople[id] {
			tx.Queue(tellPerson, id, b.people[id].ToldAt)
		}
	}
	for _, c := range b.consents {
		consents = append(consents, []any{party.NewID(), c.personID, c.Channel, c.Granted, c.Basis, c.At, c.source, actorID, now})
	}
	if err := put(ctx, tx, companiesTable, companies); err != nil {
		return err
	}
	if err := put(ctx, tx, peopleTable, people); err != nil {
		return err
	}
	return put(ctx, tx, consentsTable, consents)
}
