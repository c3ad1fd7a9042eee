package lead

import (
	"strings"
	"time"
	"unicode"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

// Name is the name of a human being.
type Name struct{ Family, Given, FamilyKana, GivenKana, Full string }

// Person is a human being.
type Person struct {
	ID                 string
	Name               Name
	Mail, Phone, Title string
	Consents           []Consent
	// ToldAt is since when other departments are told of the consents; nil: none of them has heard of the person.
	ToldAt  *time.Time
	Version int64

	heeded bool       // its consents have changed since it was read
	normal normalForm // of Mail
}

// normalForm keeps what a text was last normalised to: leads are matched by the same forms several times.
type normalForm struct{ of, is string }

func (n *normalForm) get(text string, normalise func(string) string) string {
	if n.of != text {
		n.of, n.is = text, normalise(text)
	}
	return n.is
}

// Company is what is known of a company.
type Company struct {
	ID, Name, Domain, Industry string
	Employees                  int
	// inferred: the domain is the one of a mail address.
	inferred bool
	matchKey string
	normal   normalForm // of Name
}

// Capture is what somebody tells us of a person's interest.
type Capture struct {
	Person       Person
	Company      Company
	Touch        Touch
	Source       string
	Notes        string
	SubmissionID string
	ImportID     string
	Consents     []Consent
	// Referral says which customer named the person; nil for others.
	Referral *Referral
}

// otherChannel is the channel of a touch that names none: an offer must carry one.
const otherChannel = "OTHER"

// Tidy brings a capture into the form in which it is matched and stored. A mail address or phone number that cannot be
// understood is kept as it is: the doors decide whether they take it.
func (c *Capture) Tidy(m *scoring.Model, now time.Time) {
	c.Person.tidy()
	c.Company.tidy(m, c.Person.mailKey())
	t := &c.Touch
	t.Channel, t.Campaign, t.Action = party.Fold(t.Channel), party.Fold(t.Campaign), party.Fold(t.Action)
	if t.Channel == "" {
		t.Channel = otherChannel
	}
	if t.At.IsZero() || t.At.After(now) {
		t.At = now
	}
	t.At = t.At.UTC().Truncate(time.Microsecond)
	for i := range c.Consents {
		if at := &c.Consents[i].At; at.IsZero() || at.After(now) {
			*at = now
		}
	}
}

func (p *Person) tidy() {
	n := &p.Name
	for _, s := range []*string{&n.Family, &n.Given, &n.FamilyKana, &n.GivenKana, &n.Full, &p.Mail, &p.Title} {
		*s = party.Fold(*s)
	}
	if n.Family != "" || n.Given != "" {
		n.Full = fullName(n.Family, n.Given)
	}
	p.Phone, _ = party.NormalizePhone(p.Phone)
}

// fullName is in the order of the locale: names in Japanese writing begin with the family.
func fullName(family, given string) string {
	for _, r := range family + given {
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) {
			return strings.TrimSpace(family + " " + given)
		}
	}
	return strings.TrimSpace(given + " " + family)
}

// mailKey is the normalised mail address; empty when there is none that could be understood.
func (p *Person) mailKey() string {
	return p.normal.get(p.Mail, func(s string) string {
		if mail, ok := party.NormalizeMail(s); ok {
			return mail
		}
		return ""
	})
}

// MatchKey is what a person is known by; empty when there is neither mail address nor phone number.
func (p *Person) MatchKey() string {
	if mail := p.mailKey(); mail != "" {
		return "m:" + mail
	}
	if p.Phone != "" {
		return "p:" + p.Phone + "|" + party.NameKey(p.Name.Full)
	}
	return ""
}

func (c *Company) tidy(m *scoring.Model, mail string) {
	c.Name, c.Industry = party.Fold(c.Name), party.Fold(c.Industry)
	c.inferred = false
	if domain, ok := party.NormalizeDomain(c.Domain); ok {
		c.Domain = domain
		return
	}
	c.Domain = ""
	if domain := party.MailDomain(mail); domain != "" && !m.IsFreeMail(domain) {
		c.Domain, c.inferred = domain, true
	}
}

func (c *Company) nameKey() string { return c.normal.get(c.Name, party.CompanyKey) }

// isNone: nothing is known of the company.
func (c *Company) isNone() bool { return c.Name == "" && c.Domain == "" }

// New is a lead in CAPTURED. The ids of person and company are those that the capture has.
func New(c *Capture, by access.Actor, now time.Time) *Lead {
	l := &Lead{
		ID: party.NewID(), JourneyID: party.NewID(), Person: c.Person, Company: c.Company, Source: c.Source,
		First: c.Touch, ImportID: c.ImportID, CreatedAt: now, UpdatedAt: now, isNew: true, Score: scoring.Score{At: now},
	}
	l.move(Captured, by, "", "", now)
	return l
}

// Meet records a touch, and fills what was empty of the person. It tells whether the person got new values.
func (l *Lead) Meet(m *scoring.Model, c *Capture, now time.Time) (personChanged bool) {
	l.Last = c.Touch
	l.TouchCount++
	l.addNotes(c.Notes)
	if l.Referral == nil {
		l.Referral = c.Referral
	}
	personChanged = l.Person.fill(c.Person)
	if l.Person.agree(c.Consents) {
		personChanged = true
	}
	l.rescore(m, now)
	l.Score = l.Score.WithAction(m, c.Touch.Action, c.Touch.At, now)
	if l.State == Recycled {
		l.move(Nurturing, scorer, "NEW_TOUCH", "", now)
	}
	if l.State == MQL && len(l.Missing) > 0 {
		l.Missing, l.ready = l.stillMissing(), true
	}
	return personChanged
}

// fill takes over what was empty.
func (p *Person) fill(from Person) bool {
	changed := false
	take := func(to *string, value string) {
		if *to == "" && value != "" {
			*to, changed = value, true
		}
	}
	if p.Name.Full == "" && from.Name.Full != "" {
		p.Name, changed = from.Name, true
	}
	take(&p.Mail, from.Mail)
	take(&p.Phone, from.Phone)
	take(&p.Title, from.Title)
	return changed
}

// agree takes in consents, as people.Heed does.
func (p *Person) agree(consents []Consent) bool {
	changed := false
	for _, c := range consents {
		now, did := people.Heed(p.Consents, c)
		p.Consents, changed = now, changed || did
	}
	p.heeded = p.heeded || changed
	return changed
}

// fill takes over what was empty; the domain only when nobody has to guess.
func (c *Company) fill(from Company) bool {
	c.nameKey() // what is kept of it is no change
	before := *c
	if c.Name == "" {
		c.Name = from.Name
	}
	if c.Industry == "" {
		c.Industry = from.Industry
	}
	if c.Employees == 0 {
		c.Employees = from.Employees
	}
	if c.Domain == "" {
		c.Domain = from.Domain
	}
	return *c != before
}

// key is what the company is stored under.
func (c *Company) key() string {
	if c.Domain != "" {
		return "d:" + c.Domain
	}
	return "n:" + c.nameKey()
}

// domains are the domains that exclusion rules are asked for: of mail address and company, with all they lie below.
func (c *Capture) domains() []string { return screenedDomains(c.Person, c.Company) }

func screenedDomains(p Person, c Company) []string {
	var all []string
	for _, domain := range []string{party.MailDomain(p.mailKey()), c.Domain} {
		for strings.Contains(domain, ".") {
			if len(all) > 0 && all[0] == domain {
				break
			}
			all = append(all, domain)
			_, domain, _ = strings.Cut(domain, ".")
		}
	}
	return all
}

// ruleFor is the rule that excludes: the one of the longest domain. rules are by domain.
func ruleFor(rules map[string]Rule, domains []string) *Rule {
	var found *Rule
	for _, domain := range domains {
		if rule, ok := rules[domain]; ok && (found == nil || len(rule.Domain) > len(found.Domain)) {
			found = &rule
		}
	}
	return found
}
