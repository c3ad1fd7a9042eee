package people

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/idempotency"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// record is one row of a Table that says something of the person.
type record struct {
	key    []string
	person string
	values map[string]*string // by column of Table.columns
}

// trail is all that a department has of a person.
type trail struct {
	facts              *Facts
	rows               map[string][]record // by table
	journeys, handoffs []string
}

// Erase forgets a person who is known by the ids: the rows of the department's tables, handoffs, events and kept answers
// are emptied, salted hashes of the addresses stay. It tells how many rows of which table it changed, by name of the table.
// Nothing is told to the feed. Repeating it changes nothing more.
func (b *Book) Erase(ctx context.Context, tx store.Tx, erasureID string, ids ...string) ([]*partyv1.ErasedCount, error) {
	now := b.Clock.Now()
	t, err := b.follow(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, table := range b.Tables {
		for _, r := range t.rows[table.Name] {
			changed, err := t.facts.empty(tx, table, r)
			if err != nil {
				return nil, err
			}
			if changed {
				counts[table.Name]++
			}
		}
	}
	if counts["handoffs"], err = handoff.Rewrite(ctx, tx, t.handoffs, t.facts.CutProto, t.facts.Cut); err != nil {
		return nil, err
	}
	counts["events"], counts["parked_events"], err = event.Rewrite(ctx, tx, b.subjects(t), t.facts.CutProto)
	if err != nil {
		return nil, err
	}
	for _, address := range t.needles() {
		n, err := idempotency.Forget(ctx, tx, []byte(address))
		if err != nil {
			return nil, err
		}
		counts["idempotency_keys"] += n
	}
	if err := b.suppress(ctx, tx, t.facts.keys(), now); err != nil {
		return nil, err
	}
	for _, id := range t.facts.known() {
		tx.Queue(`DELETE FROM person_consents WHERE person_id = $1`, id)
		tx.Queue(`INSERT INTO person_erasures (person_id, erasure_id, erased_at) VALUES ($1, $2, $3)
			ON CONFLICT (person_id) DO NOTHING`, id, erasureID, now)
	}
	var out []*partyv1.ErasedCount
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] > 0 {
			out = append(out, &partyv1.ErasedCount{Table: name, Rows: counts[name]})
		}
	}
	return out, nil
}

// follow gathers all rows of a person, and what they say of it. A mail address may lead to rows under an id that nobody
// knew to be the same person's, so it goes on until nothing new turns up.
func (b *Book) follow(ctx context.Context, tx store.Tx, ids []string) (*trail, error) {
	t := &trail{facts: NewFacts(ids...)}
	for before := 0; t.facts.size() > before; {
		before = t.facts.size()
		t.rows = map[string][]record{}
		journeys := map[string]bool{}
		for _, table := range b.Tables {
			rows, err := t.find(ctx, tx, table)
			if err != nil {
				return nil, err
			}
			t.rows[table.Name] = rows
			for _, r := range rows {
				if err := t.facts.learnRow(table, r); err != nil {
					return nil, err
				}
				if table.Journey != "" && r.values[table.Journey] != nil {
					journeys[*r.values[table.Journey]] = true
				}
			}
		}
		delete(journeys, "")
		t.journeys = slices.Sorted(maps.Keys(journeys))
		var err error
		if t.handoffs, err = handoff.Involving(ctx, tx, t.facts.known(), t.journeys); err != nil {
			return nil, err
		}
		if err := handoff.Read(ctx, tx, t.handoffs, func(m proto.Message) { t.facts.LearnProto(m) }); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// find reads the rows of a table that are the person's.
func (t *trail) find(ctx context.Context, tx store.Tx, table Table) ([]record, error) {
	var found []record
	seen := map[string]bool{}
	look := func(column string, values []string) error {
		for some := range slices.Chunk(values, 100) {
			where, args := in(column, some)
			rows, err := read(ctx, tx, table, where, args)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if key := strings.Join(r.key, "/"); !seen[key] {
					seen[key] = true
					found = append(found, r)
				}
			}
		}
		return nil
	}
	if table.Of != "" {
		var parents []string
		for _, r := range t.rows[table.Of] {
			if table.OfColumn == "" {
				parents = append(parents, r.key[0])
			} else if v := r.values[table.OfColumn]; v != nil && *v != "" {
				parents = append(parents, *v)
			}
		}
		if err := look(table.By, parents); err != nil {
			return nil, err
		}
	}
	if table.Person != "" {
		if err := look(table.Person, t.facts.known()); err != nil {
			return nil, err
		}
	}
	if table.Mail != "" {
		return found, look(table.Mail, slices.Sorted(maps.Keys(t.facts.mails)))
	}
	return found, nil
}

// read locks and reads rows of a table.
func read(ctx context.Context, tx store.Tx, table Table, where string, args []any) ([]record, error) {
	columns := table.columns()
	for _, c := range []string{table.Journey, table.Account} {
		if c != "" && !slices.Contains(columns, c) {
			columns = append(columns, c)
		}
	}
	var list []string
	for _, key := range table.Key {
		list = append(list, "CAST("+key+" AS TEXT)")
	}
	person := "''"
	if table.Person != "" {
		person = "CAST(" + table.Person + " AS TEXT)"
	}
	list = append(list, person)
	for _, c := range columns {
		list = append(list, "CAST("+c+" AS TEXT)")
	}
	rows, err := tx.Query(ctx, `SELECT `+strings.Join(list, ", ")+` FROM `+table.Name+` WHERE `+where+` ORDER BY `+
		strings.Join(table.Key, ", ")+tx.Dialect().ForUpdate(), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []record
	for rows.Next() {
		r := record{key: make([]string, len(table.Key)), values: map[string]*string{}}
		var id *string
		values := make([]*string, len(columns))
		var dest []any
		for i := range r.key {
			dest = append(dest, &r.key[i])
		}
		dest = append(dest, &id)
		for i := range values {
			dest = append(dest, &values[i])
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		if id != nil {
			r.person = *id
		}
		for i, c := range columns {
			r.values[c] = values[i]
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// learnRow gathers what a row says of the person.
func (f *Facts) learnRow(table Table, r record) error {
	if r.person != "" {
		f.ids[r.person] = true
	}
	for _, c := range table.Facts {
		if v := r.values[c]; v != nil {
			f.Learn(*v)
		}
	}
	for _, c := range table.JSON {
		if v := r.values[c]; v != nil {
			if err := f.LearnJSON([]byte(*v)); err != nil {
				return err
			}
		}
	}
	return nil
}

// empty queues what an erasure makes of a row, and tells whether that is anything.
func (f *Facts) empty(tx store.Tx, table Table, r record) (bool, error) {
	var set []string
	args := make([]any, 0, len(r.key)+len(table.columns()))
	for _, k := range r.key {
		args = append(args, k)
	}
	change := func(column string, value any) {
		args = append(args, value)
		set = append(set, column+" = $"+strconv.Itoa(len(args)))
	}
	has := func(column string) bool { return r.values[column] != nil && *r.values[column] != "" }
	for _, c := range slices.Concat(table.Facts, table.Blank) {
		if has(c) {
			change(c, "")
		}
	}
	for _, c := range table.Null {
		if r.values[c] != nil {
			change(c, nil)
		}
	}
	for _, c := range table.Text {
		if has(c) {
			if text, did := f.Cut(*r.values[c]); did {
				change(c, text)
			}
		}
	}
	for _, c := range table.JSON {
		if has(c) {
			doc, did, err := f.CutJSON([]byte(*r.values[c]))
			if err != nil {
				return false, err
			}
			if did {
				change(c, string(doc))
			}
		}
	}
	if c := table.Unique; c != "" && has(c) && !f.ids[*r.values[c]] && !strings.HasPrefix(*r.values[c], "e:") {
		change(c, "e:"+party.NewID())
	}
	if len(set) == 0 {
		return false, nil
	}
	where := make([]string, len(table.Key))
	for i, k := range table.Key {
		where[i] = k + " = $" + strconv.Itoa(i+1)
	}
	tx.Queue(`UPDATE `+table.Name+` SET `+strings.Join(set, ", ")+` WHERE `+strings.Join(where, " AND "), args...)
	return true, nil
}

// subjects are the names under which events may speak of the person.
func (b *Book) subjects(t *trail) []string {
	var out []string
	for _, id := range t.facts.known() {
		out = append(out, Subject(id))
	}
	for _, id := range t.handoffs {
		out = append(out, "handoff/"+id)
	}
	for _, table := range b.Tables {
		if table.Subject == "" {
			continue
		}
		for _, r := range t.rows[table.Name] {
			out = append(out, table.Subject+"/"+r.key[0])
		}
	}
	return out
}

// known are the ids, in order.
func (f *Facts) known() []string { return slices.Sorted(maps.Keys(f.ids)) }

// keys are what the person is recognised by when it comes again: mail addresses, or without any, phone number and name as
// MatchKey puts them together. A phone number alone may be a whole company's.
func (f *Facts) keys() []string {
	if len(f.mails) > 0 {
		return slices.Sorted(maps.Keys(f.mails))
	}
	var out []string
	for _, phone := range slices.Sorted(maps.Keys(f.phones)) {
		for _, name := range slices.Sorted(maps.Keys(f.names)) {
			out = append(out, PhoneKey(phone, name))
		}
	}
	return out
}

// PhoneKey is what a person without a mail address is recognised by, of the phone number in E.164 and the name.
func PhoneKey(phone, name string) string { return phone + "|" + party.NameKey(name) }

// needles are what kept answers with the person have in them.
func (t *trail) needles() []string {
	return slices.Concat(t.facts.known(), slices.Sorted(maps.Keys(t.facts.mails)))
}

// Subject is how events name a person.
func Subject(personID string) string { return "person/" + personID }
