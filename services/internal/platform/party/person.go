package party

import (
	"strings"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

// Person is a human being as departments keep one beside what they do with that person: in a column of JSON. Nobody is the
// zero Person.
type Person struct {
	ID         string `json:"id,omitempty"`
	Family     string `json:"family,omitempty"`
	Given      string `json:"given,omitempty"`
	FamilyKana string `json:"family_kana,omitempty"`
	GivenKana  string `json:"given_kana,omitempty"`
	Full       string `json:"full,omitempty"`
	Mail       string `json:"mail,omitempty"`
	Phone      string `json:"phone,omitempty"`
	Title      string `json:"title,omitempty"`
}

// PersonOf reads a person: widths and spaces of names are folded, and phones are kept in E.164 where they can be understood,
// as they are where not.
func PersonOf(p *typev1.Person) Person {
	n := p.GetName()
	phone, ok := NormalizePhone(p.GetPhone())
	if !ok {
		phone = p.GetPhone()
	}
	return Person{
		ID: p.GetId(), Family: Fold(n.GetFamily()), Given: Fold(n.GetGiven()), FamilyKana: Fold(n.GetFamilyKana()),
		GivenKana: Fold(n.GetGivenKana()), Full: Fold(n.GetFull()), Mail: p.GetMail(), Phone: phone, Title: Fold(p.GetTitle()),
	}
}

// Proto is the person as the contract writes it; nil for nobody.
func (p Person) Proto() *typev1.Person {
	if p == (Person{}) {
		return nil
	}
	return &typev1.Person{
		Id: p.ID, Mail: p.Mail, Phone: p.Phone, Title: p.Title,
		Name: &typev1.PersonName{Family: p.Family, Given: p.Given, FamilyKana: p.FamilyKana, GivenKana: p.GivenKana, Full: p.Full},
	}
}

// Name is the name to show: the whole name if there is one, else the family name first unless both names are written in
// Latin letters.
func (p Person) Name() string {
	if full := strings.TrimSpace(p.Full); full != "" {
		return full
	}
	first, second := p.Family, p.Given
	if isLatin(first) && isLatin(second) {
		first, second = second, first
	}
	return strings.TrimSpace(first + " " + second)
}

func isLatin(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > 0x24f }) < 0 }

// Named is p with the name to show filled in.
func (p Person) Named() Person {
	p.Full = p.Name()
	return p
}

// Identified is p with an id: its own, that of a known person with the same mail address or, where p has none, the same name,
// or else a new one. Nobody stays nobody.
func (p Person) Identified(known ...Person) Person {
	if p.ID != "" || p == (Person{}) {
		return p
	}
	mail, _ := NormalizeMail(p.Mail)
	for _, k := range known {
		other, _ := NormalizeMail(k.Mail)
		if k.ID != "" && (mail != "" && mail == other || mail == "" && p.Name() != "" && NameKey(p.Name()) == NameKey(k.Name())) {
			p.ID = k.ID
			return p
		}
	}
	p.ID = NewID()
	return p
}
