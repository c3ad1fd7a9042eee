package leadimport

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/marketing/internal/lead"
)

// issue is something wrong with one value of one row, and what to do about it.
type issue struct {
	Column string `json:"c,omitempty"`
	Value  string `json:"v,omitempty"`
	En     string `json:"en"`
	Ja     string `json:"ja"`
}

// row is a record that was understood as a capture, or is invalid.
type row struct {
	line     int
	capture  lead.Capture
	problems []issue
	warnings []issue
}

// Limits of the contract, in characters.
const (
	maxText     = 200
	maxName     = 100
	maxIndustry = 100
	maxMail     = 254
	maxValue    = 200 // of a value that is shown
)

// reader makes captures of records.
type reader struct {
	columns  []column
	source   string
	importID string
}

// read understands a record.
func (rd *reader) read(rec record) row {
	r := row{line: rec.line}
	if rec.broken || len(rec.cells) > len(rd.columns) && !blank(rec.cells[len(rd.columns):]) {
		r.problem("", strings.Join(rec.cells, " | "), tooManyCells(len(rec.cells), len(rd.columns), rec.broken))
		return r
	}
	if rec.odd {
		r.warn("", strings.Join(rec.cells, " | "), issue{
			En: "the quotes are not as CSV wants them; the row was read as it stands: check it",
			Ja: "引用符が CSV の形式どおりではありません。そのまま読み取りましたので内容をご確認ください。",
		})
	}
	cells := &cells{columns: rd.columns, values: rec.cells}
	rd.person(&r, cells)
	rd.company(&r, cells)
	rd.touch(&r, cells)
	rd.notes(&r, cells)
	r.capture.Source, r.capture.ImportID = rd.source, rd.importID
	return r
}

func blank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

func tooManyCells(have, want int, broken bool) issue {
	if broken {
		return issue{
			En: "the row is no CSV: close its quotes, and put values with a comma or line break in quotes",
			Ja: "CSV として読み取れません。引用符を閉じ、カンマや改行を含む値は引用符で囲んでください。",
		}
	}
	return issue{
		En: fmt.Sprintf("the row has %d values, but the file has %d columns: put values with a comma in quotes", have, want),
		Ja: fmt.Sprintf("値が %d 個ありますが列は %d 個です。カンマを含む値は引用符で囲んでください。", have, want),
	}
}

// cells gives values by field.
type cells struct {
	columns []column
	values  []string
}

func (c *cells) value(i int) string {
	if i >= len(c.values) {
		return ""
	}
	return c.values[i]
}

// get is the folded value of a field and the name of its column.
func (c *cells) get(f field) (value, name string) {
	for i, col := range c.columns {
		if col.Field == f {
			return party.Fold(c.value(i)), col.Name
		}
	}
	return "", ""
}

func (r *row) problem(column, value string, i issue) {
	i.Column, i.Value = column, cut(value, maxValue)
	r.problems = append(r.problems, i)
}

func (r *row) warn(column, value string, i issue) {
	i.Column, i.Value = column, cut(value, maxValue)
	r.warnings = append(r.warnings, i)
}

func (r *row) note(heading, text string) {
	if text == "" {
		return
	}
	if heading != "" {
		text = heading + ": " + text
	}
	if r.capture.Notes != "" {
		text = r.capture.Notes + "\n" + text
	}
	r.capture.Notes = cut(text, 10000)
}

// take is a field's value within its limit.
func (r *row) take(c *cells, f field, limit int) string {
	value, name := c.get(f)
	short := cut(value, limit)
	if len(short) < len(value) {
		r.warn(name, value, issue{
			En: fmt.Sprintf("longer than %d characters: it was cut", limit), Ja: fmt.Sprintf("%d 文字を超えるため切り詰めました。", limit),
		})
	}
	return short
}

func (rd *reader) person(r *row, c *cells) {
	p := &r.capture.Person
	n := &p.Name
	n.Full, n.Family, n.Given = r.take(c, fieldName, maxText), r.take(c, fieldFamily, maxName), r.take(c, fieldGiven, maxName)
	n.FamilyKana, n.GivenKana = r.take(c, fieldFamilyKana, maxName), r.take(c, fieldGivenKana, maxName)
	n.Full = strings.TrimSpace(strings.TrimSuffix(n.Full, "様"))
	// A Japanese name with one space is family and given name.
	if family, given, ok := strings.Cut(n.Full, " "); ok && n.Family == "" && n.Given == "" && !strings.Contains(given, " ") && !isASCII(n.Full) {
		n.Family, n.Given = cut(family, maxName), cut(given, maxName)
	}
	if kana := r.take(c, fieldKana, maxText); n.FamilyKana == "" && n.GivenKana == "" {
		family, given, _ := strings.Cut(kana, " ")
		n.FamilyKana, n.GivenKana = cut(family, maxName), cut(given, maxName)
	}
	p.Title = r.take(c, fieldTitle, maxText)
	mail, mailColumn := c.get(fieldMail)
	normal, mailOK := party.NormalizeMail(mail)
	phone, phoneColumn, phoneOK := rd.phone(r, c)
	switch {
	case mailOK:
		p.Mail = normal
	case mail != "" && phoneOK:
		r.warn(mailColumn, mail, issue{
			En: "is no mail address; the phone number is used: correct it in the lead",
			Ja: "メールアドレスの形式ではありません。電話番号のみで登録しました。リードで修正してください。",
		})
		r.note(mailColumn, cut(mail, maxMail))
	case mail != "":
		r.problem(mailColumn, mail, issue{
			En: "is no mail address, and there is no usable phone number: correct it, or give a phone number",
			Ja: "メールアドレスの形式ではなく、有効な電話番号もありません。どちらかを修正してください。",
		})
	case !phoneOK && phone != "":
		r.problem(phoneColumn, phone, issue{
			En: "is no phone number, and there is no mail address: correct it, or give a mail address",
			Ja: "電話番号の形式ではなく、メールアドレスもありません。どちらかを入力してください。",
		})
	case !phoneOK:
		r.problem(firstOf(mailColumn, phoneColumn), "", issue{
			En: "there is neither a mail address nor a phone number: give one of them",
			Ja: "メールアドレスも電話番号もありません。どちらかを入力してください。",
		})
	}
	if p.Phone = phone; !phoneOK && mailOK && phone != "" {
		r.warn(phoneColumn, phone, issue{
			En: "is no phone number; it is kept as it is: correct it in the lead",
			Ja: "電話番号の形式ではありません。そのまま登録しました。リードで修正してください。",
		})
		p.Phone = cut(phone, 50)
	}
}

// phone is the number by which the person can be called: of several the first that is one.
func (rd *reader) phone(r *row, c *cells) (phone, column string, ok bool) {
	phone, column = c.get(fieldPhone)
	mobile, mobileColumn := c.get(fieldMobile)
	normal, ok := party.NormalizePhone(phone)
	if ok {
		r.note(mobileColumn, mobile)
		return normal, column, true
	}
	if normal, ok := party.NormalizePhone(mobile); ok {
		r.note(column, phone)
		return normal, mobileColumn, true
	}
	if phone == "" && mobile != "" {
		return mobile, mobileColumn, false
	}
	return phone, column, false
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func (rd *reader) company(r *row, c *cells) {
	company := &r.capture.Company
	company.Name, company.Industry = r.take(c, fieldCompany, maxText), r.take(c, fieldIndustry, maxIndustry)
	if site, name := c.get(fieldDomain); site != "" {
		domain, ok := party.NormalizeDomain(site)
		if ok {
			company.Domain = domain
		} else {
			r.warn(name, site, issue{En: "is no web address; it is kept as a note", Ja: "Web アドレスの形式ではないため、備考に残しました。"})
			r.note(name, site)
		}
	}
	if count, name := c.get(fieldEmployees); count != "" {
		n, ok := employees(count)
		company.Employees = n
		if !ok {
			r.warn(name, count, issue{En: "is no number of employees; it is kept as a note", Ja: "従業員数として読み取れないため、備考に残しました。"})
			r.note(name, count)
		}
	}
}

func (rd *reader) touch(r *row, c *cells) {
	source, _ := c.get(fieldSource)
	r.capture.Touch = touchOf(source)
	r.capture.Touch.Campaign = r.take(c, fieldCampaign, maxText)
	if at, name := c.get(fieldAt); at != "" {
		t, ok := date(at)
		r.capture.Touch.At = t
		if !ok {
			r.warn(name, at, issue{En: "is no date (write 2026-04-01); it is kept as a note", Ja: "日付（例: 2026-04-01）として読み取れないため、備考に残しました。"})
			r.note(name, at)
		}
	}
}

func (rd *reader) notes(r *row, c *cells) {
	for i, col := range rd.columns {
		value := strings.TrimSpace(c.value(i))
		if col.Field != fieldNote || value == "" {
			continue
		}
		heading := col.Name
		if slices.Contains(free, headerKey(col.Name)) {
			heading = ""
		}
		r.note(heading, cut(strings.ReplaceAll(value, "\r\n", "\n"), 4000))
		if col.Unknown {
			r.warn(col.Name, value, issue{En: "the column is not known; its value is kept as a note", Ja: "未知の列のため、値を備考に残しました。"})
		}
	}
}
