// Package account is the customer master: one company is one account, whoever met it first.
package account

import (
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Company is what somebody knows of a company. Empty fields are not known.
type Company struct {
	// ID is the account id that the party was given elsewhere.
	ID        string
	Name      string
	Domain    string
	Industry  string
	Employees int32
}

// Keys are what a company is matched by, the strongest first. An empty key matches nothing.
type Keys struct{ ID, Domain, Name string }

// Keys are the company's in normal form. What is no domain name is left out.
func (c Company) Keys() Keys {
	domain, ok := party.NormalizeDomain(c.Domain)
	if !ok {
		domain = ""
	}
	return Keys{ID: c.ID, Domain: domain, Name: party.CompanyKey(c.Name)}
}

// Account is a company that field sales deals with.
type Account struct {
	ID        string
	Version   int64
	Name      string
	Domain    string // normalised
	Key       string // the name as it is matched
	Industry  string
	Employees int32
	Owner     string
	JourneyID string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// New makes an account under the id the party has, or a new one.
func New(c Company, owner, journeyID string, now time.Time) *Account {
	keys := c.Keys()
	if keys.ID == "" {
		keys.ID = party.NewID()
	}
	return &Account{
		ID: keys.ID, Version: 1, Name: c.Name, Domain: keys.Domain, Key: keys.Name, Industry: c.Industry,
		Employees: c.Employees, Owner: owner, JourneyID: journeyID, CreatedAt: now, UpdatedAt: now,
	}
}

// Edit is a change of fields; nil leaves a field as it is.
type Edit struct {
	Name, Domain, Industry, Owner *string
	Employees                     *int32
}

// Check names what is wrong with the edit's values.
func (e Edit) Check() error {
	var wrong []problem.Violation
	if e.Name != nil && party.CompanyKey(*e.Name) == "" {
		wrong = append(wrong, problem.Field("name", "has no letter or digit").Ja("文字か数字を含む会社名を入力してください。"))
	}
	if e.Domain != nil && *e.Domain != "" {
		if _, ok := party.NormalizeDomain(*e.Domain); !ok {
			wrong = append(wrong, problem.Field("domain", "is no domain name such as example.co.jp").
				Ja("example.co.jp のような形式で入力してください。"))
		}
	}
	if len(wrong) > 0 {
		return problem.Invalid(wrong...)
	}
	return nil
}

// Apply makes a checked edit and names the fields that changed, in the words of the contract. Without any, the account is
// as it was.
func (a *Account) Apply(e Edit, now time.Time) (changed []string) {
	text := func(name string, field *string, value *string) {
		if value != nil && *field != *value {
			*field = *value
			changed = append(changed, name)
		}
	}
	text("name", &a.Name, e.Name)
	if e.Domain != nil {
		domain, _ := party.NormalizeDomain(*e.Domain)
		text("domain", &a.Domain, &domain)
	}
	text("industry", &a.Industry, e.Industry)
	if e.Employees != nil && a.Employees != *e.Employees {
		a.Employees = *e.Employees
		changed = append(changed, "employees")
	}
	text("owner", &a.Owner, e.Owner)
	if len(changed) > 0 {
		a.Key = party.CompanyKey(a.Name)
		a.Version++
		a.UpdatedAt = now
	}
	return changed
}

// Fill takes over what the account lacks and c knows; nothing is overwritten. It names the fields that changed.
func (a *Account) Fill(c Company, owner string, now time.Time) (changed []string) {
	var e Edit
	if domain := c.Keys().Domain; a.Domain == "" && domain != "" {
		e.Domain = &domain
	}
	if a.Industry == "" && c.Industry != "" {
		e.Industry = &c.Industry
	}
	if a.Employees == 0 && c.Employees > 0 {
		e.Employees = &c.Employees
	}
	if a.Owner == "" && owner != "" {
		e.Owner = &owner
	}
	return a.Apply(e, now)
}
