package lead

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// book is what the base knows that matters to some captures: read in one statement, and kept up with what the captures
// add, so that two captures of one person in the same transaction meet.
type book struct {
	// submitted and known give lead ids, by submission id and by match key.
	submitted, known map[string]string
	// suppressed has the match keys of people who were erased.
	suppressed       map[string]bool
	leads            map[string]*Lead
	byDomain, byName map[string]*Company
	companies        map[string]*Company
	rules            map[string]Rule

	newCompanies, newPeople         []string
	changedCompanies, changedPeople map[string]bool
	// toldPeople are those of whom other departments are told for the first time.
	toldPeople map[string]bool
	people     map[string]*Person
	consents   []consentRecord
}

type consentRecord struct {
	personID, source string
	Consent
}

// lookSQL finds everything by keys. In says that a column is one of a list: the first is of submissions, then come keys of
// people, domains, keys of companies by domain and by name, and hashes of the keys of people.
func lookSQL(in func(column string, list int) string) string {
	return `
SELECT 'S' AS tag, CAST(lead_id AS TEXT) AS id, submission_id AS a, '' AS b, '' AS c, '' AS d, '' AS e, 0 AS n
FROM lead_touches WHERE submission_id IS NOT NULL AND ` + in("submission_id", 1) + `
UNION ALL
SELECT 'P', CAST(l.id AS TEXT), p.match_key, '', '', '', '', 0
FROM people p JOIN leads l ON l.person_id = COALESCE(p.merged_into, p.id) WHERE ` + in("p.match_key", 2) + `
UNION ALL
SELECT 'R', CAST(id AS TEXT), domain, kind, '', '', '', 0
FROM exclusion_rules WHERE ` + in("domain", 3) + `
UNION ALL
SELECT 'C', CAST(id AS TEXT), match_key, name_key, name, domain, industry, employees
FROM companies WHERE ` + in("match_key", 4) + `
UNION ALL
SELECT 'C', CAST(id AS TEXT), match_key, name_key, name, domain, industry, employees
FROM companies WHERE ` + in("name_key", 5) + `
UNION ALL
SELECT 'X', '', hash, '', '', '', '', 0
FROM suppressions WHERE ` + in("hash", 6)
}

// hashes are the match keys of people by the hashes under which they would be suppressed.
func (d *Desk) hashes(ctx context.Context, tx store.Tx, keys []string) (map[string]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	salt := d.salt.Load()
	if salt == nil { // it never changes: one look per process
		read, err := d.People.Salt(ctx, tx)
		if err != nil {
			return nil, err
		}
		salt = &read
		d.salt.Store(salt)
	}
	hashed := make(map[string]string, len(keys))
	for _, key := range keys {
		if _, address, ok := strings.Cut(key, ":"); ok {
			hashed[people.Hash(*salt, address)] = key
		}
	}
	return hashed, nil
}

// lookDomains is how many domains lookOne has room for.
const lookDomains = 8

// lookOne is lookSQL for one capture, with plain values for lists. PostgreSQL plans it once; lists it plans anew for every
// capture, because it cannot know how long they are, and that takes longer than to look.
var lookOne = lookSQL(func(column string, list int) string {
	param := func(n int) string { return "$" + strconv.Itoa(n) }
	switch {
	case list < 3:
		return column + " = " + param(list)
	case list > 3:
		return column + " = " + param(list+lookDomains-1)
	}
	params := make([]string, lookDomains)
	for i := range params {
		params[i] = param(list + i)
	}
	return column + " IN (" + strings.Join(params, ", ") + ")"
})

// lookFor is the statement and its arguments. What is not asked for is NULL, which nothing equals.
func lookFor(d store.Dialect, submissions, keys, domains, companyKeys, nameKeys, hashes []string) (sql string, args []any) {
	if max(len(submissions), len(keys), len(companyKeys), len(nameKeys)) > 1 || len(domains) > lookDomains {
		return lookSQL(d.In), []any{
			d.Strings(submissions), d.Strings(keys), d.Strings(domains), d.Strings(companyKeys), d.Strings(nameKeys),
			d.Strings(hashes),
		}
	}
	add := func(values []string, room int) {
		for i := range room {
			if i < len(values) {
				args = append(args, values[i])
			} else {
				args = append(args, nil)
			}
		}
	}
	add(submissions, 1)
	add(keys, 1)
	add(domains, lookDomains)
	add(companyKeys, 1)
	add(nameKeys, 1)
	add(hashes, 1)
	return lookOne, args
}

// look reads what the base knows of the captures, and locks the leads that are there.
func (d *Desk) look(ctx context.Context, tx store.Tx, captures []Capture) (*book, error) {
	var submissions, keys, domains, companyKeys, nameKeys []string
	for i := range captures {
		c := &captures[i]
		if c.SubmissionID != "" {
			submissions = append(submissions, c.SubmissionID)
		}
		keys = append(keys, c.Person.MatchKey())
		domains = append(domains, c.domains()...)
		if c.Company.Domain != "" {
			companyKeys = append(companyKeys, "d:"+c.Company.Domain)
		}
		if key := c.Company.nameKey(); key != "" {
			nameKeys = append(nameKeys, key)
		}
	}
	b, err := d.readBook(ctx, tx, submissions, keys, domains, companyKeys, nameKeys)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, found := range []map[string]string{b.submitted, b.known} {
		for _, id := range found {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return b, nil
	}
	leads, err := lock(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	for _, l := range leads {
		b.add(l)
	}
	return b, nil
}

func (d *Desk) readBook(ctx context.Context, tx store.Tx, submissions, keys, domains, companyKeys, nameKeys []string) (*book, error) {
	b := &book{
		suppressed: map[string]bool{},
		submitted:  map[string]string{}, known: map[string]string{}, leads: map[string]*Lead{},
		byDomain: map[string]*Company{}, byName: map[string]*Company{}, companies: map[string]*Company{},
		rules: map[string]Rule{}, changedCompanies: map[string]bool{}, changedPeople: map[string]bool{},
		people: map[string]*Person{}, toldPeople: map[string]bool{},
	}
	hashed, err := d.hashes(ctx, tx, keys)
	if err != nil {
		return nil, err
	}
	sql, args := lookFor(tx.Dialect(), submissions, keys, domains, companyKeys, nameKeys, slices.Collect(maps.Keys(hashed)))
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var tag, id, a, b2, c, domain, industry string
		var n int
		if err := rows.Scan(&tag, &id, &a, &b2, &c, &domain, &industry, &n); err != nil {
			return nil, err
		}
		switch tag {
		case "S":
			b.submitted[a] = id
		case "P":
			if have := b.known[a]; have == "" || id < have { // of several after a merge, the first
				b.known[a] = id
			}
		case "X":
			b.suppressed[hashed[a]] = true
		case "R":
			b.rules[a] = Rule{ID: id, Kind: b2, Domain: a}
		case "C":
			if b.companies[id] == nil {
				b.addCompany(&Company{ID: id, Name: c, Domain: domain, Industry: industry, Employees: n, matchKey: a})
			}
		default:
			return nil, fmt.Errorf("lead: unknown tag %q", tag)
		}
	}
	return b, rows.Err()
}

func (b *book) addCompany(c *Company) {
	b.companies[c.ID] = c
	if c.Domain != "" {
		b.byDomain[c.Domain] = c
	}
	// Of several with one name, the oldest: ids ascend.
	if key := c.nameKey(); key != "" && (b.byName[key] == nil || c.ID < b.byName[key].ID) {
		b.byName[key] = c
	}
}

func (b *book) add(l *Lead) {
	b.leads[l.ID] = l
	b.people[l.Person.ID] = &l.Person
	if l.Company.ID != "" && b.companies[l.Company.ID] == nil {
		company := l.Company
		b.addCompany(&company)
	}
}

// find is the company that is meant, or nil. A web domain decides; one that was only guessed from a mail address gives way
// to a name that says otherwise.
func (b *book) find(c Company) *Company {
	key := c.nameKey()
	if c.Domain != "" {
		if found := b.byDomain[c.Domain]; found != nil {
			if !c.inferred || key == "" || found.Name == "" || found.nameKey() == key {
				return found
			}
		}
	}
	if found := b.byName[key]; key != "" && found != nil {
		if found.Domain == "" || c.Domain == "" || c.inferred || found.Domain == c.Domain {
			return found
		}
	}
	return nil
}

// company finds or makes the company that a capture is about, and fills what was empty.
func (b *book) company(c Company) Company {
	if c.isNone() {
		return Company{}
	}
	found := b.find(c)
	if found == nil {
		if c.Domain != "" && b.byDomain[c.Domain] != nil {
			c.Domain = "" // it is another company's
		}
		made := c
		made.ID, made.inferred = party.NewID(), false
		made.matchKey = made.key()
		b.addCompany(&made)
		b.newCompanies = append(b.newCompanies, made.ID)
		return made
	}
	b.fillCompany(found, c)
	return *found
}

func (b *book) fillCompany(found *Company, c Company) {
	if found.Domain == "" && c.Domain != "" && b.byDomain[c.Domain] != nil {
		c.Domain = ""
	}
	if !found.fill(c) {
		return
	}
	found.matchKey = found.key()
	b.addCompany(found)
	b.changedCompanies[found.ID] = true
}
