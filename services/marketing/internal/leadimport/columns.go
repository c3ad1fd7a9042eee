package leadimport

import (
	"slices"
	"strings"
	"unicode"

	"github.com/tasuki-project/tasuki/services/internal/platform/party"
)

// field is what a column fills.
type field string

const (
	fieldNote       field = "notes"
	fieldName       field = "person.name"
	fieldFamily     field = "person.name.family"
	fieldGiven      field = "person.name.given"
	fieldKana       field = "person.name.kana"
	fieldFamilyKana field = "person.name.family_kana"
	fieldGivenKana  field = "person.name.given_kana"
	fieldMail       field = "person.mail"
	fieldPhone      field = "person.phone"
	fieldMobile     field = "person.phone.mobile"
	fieldTitle      field = "person.title"
	fieldCompany    field = "company.name"
	fieldDomain     field = "company.domain"
	fieldIndustry   field = "company.industry"
	fieldEmployees  field = "company.employees"
	fieldSource     field = "touch.channel"
	fieldCampaign   field = "touch.campaign"
	fieldAt         field = "touch.at"
)

// column is one column of a file.
type column struct {
	// Name is as the file has it.
	Name string `json:"n"`
	// Field is what it fills.
	Field field `json:"f"`
	// Unknown: it is kept as a note because nobody knows it.
	Unknown bool `json:"u,omitempty"`
}

// names are the columns that are known, by the forms of headerKey. Those that fill notes are known, but have no field.
var names = func() map[string]field {
	m := map[string]field{}
	for f, list := range map[field]string{
		fieldName:       "name fullname contactname contact 氏名 名前 お名前 担当者 担当者名 ご担当者 ご担当者名 ご担当者様名 担当者氏名 姓名",
		fieldFamily:     "lastname familyname surname 姓 苗字 名字 姓漢字",
		fieldGiven:      "firstname givenname 名 名漢字",
		fieldKana:       "氏名カナ 氏名フリガナ フリガナ ふりがな カナ お名前カナ 名前カナ 氏名かな 担当者名カナ",
		fieldFamilyKana: "lastnamekana lastnamephonetic 姓カナ セイ 姓フリガナ",
		fieldGivenKana:  "firstnamekana firstnamephonetic 名カナ メイ 名フリガナ",
		fieldMail:       "email emailaddress mail mailaddress workemail businessemail メールアドレス メール eメール email1 電子メール 会社メールアドレス",
		fieldPhone: "phone phonenumber telephone tel telno businessphone workphone officephone companyphone 電話番号 電話 会社電話番号 " +
			"代表電話 tel番号 連絡先電話番号 電話番号会社",
		fieldMobile: "mobile mobilephone mobilephonenumber cellphone 携帯 携帯電話 携帯電話番号 携帯番号",
		fieldTitle:  "title jobtitle position 役職 役職名 肩書 肩書き",
		fieldCompany: "company companyname associatedcompany primaryassociatedcompany organization organisation account accountname " +
			"会社名 会社 企業名 貴社名 御社名 法人名 勤務先 社名 組織名 団体名 会社名団体名",
		fieldDomain:   "website websiteurl companydomainname companydomain domain url webサイト ホームページ hp 会社url 企業url urlサイト ドメイン",
		fieldIndustry: "industry 業種 業界 業種業界",
		fieldEmployees: "numberofemployees noofemployees employees employeecount companysize headcount 従業員数 社員数 従業員 従業員規模 " +
			"企業規模",
		fieldSource: "originalsource leadsource source latestsource originaltrafficsource channel 流入経路 流入元 リードソース 獲得経路 " +
			"経路 獲得チャネル チャネル 問い合わせ種別 お問い合わせ種別",
		fieldCampaign: "campaign campaignname utmcampaign キャンペーン キャンペーン名 施策 施策名 originalsourcedrilldown1",
		fieldAt: "createdate createddate dateadded firsttouchdate 登録日 作成日 取得日 獲得日 流入日 問い合わせ日 お問い合わせ日 名刺交換日 " +
			"登録日時 作成日時",
		fieldNote: "notes note description comments memo remarks 備考 メモ コメント お問い合わせ内容 問い合わせ内容 " +
			"lifecyclestage leadstatus status rating recordid leadid contactid id salutation department 部署 部署名 所属 所属部署 " +
			"leadowner contactowner owner contactowneremail 担当営業 敬称 country state city street zip postalcode address region " +
			"郵便番号 都道府県 住所 市区町村 annualrevenue lastactivitydate lastmodifieddate " +
			"marketingcontactstatus hubspotscore",
	} {
		for _, name := range strings.Fields(list) {
			m[name] = f
		}
	}
	return m
}()

// free are columns of notes whose text needs no heading.
var free = []string{"notes", "note", "description", "comments", "memo", "remarks", "備考", "メモ", "コメント"}

// headerKey is a column's name without width, case, spaces, punctuation and what stands in brackets behind it.
func headerKey(name string) string {
	name = strings.ToLower(party.Fold(name))
	if i := strings.IndexAny(name, "(（["); i > 0 {
		name = name[:i]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != 'ー' {
			return -1
		}
		return r
	}, name)
}

// mapColumns understands a header. Of several columns for one field the first counts, and the others become notes.
func mapColumns(header []string) []column {
	columns := make([]column, len(header))
	taken := map[field]bool{}
	for i, name := range header {
		name = party.Fold(name)
		columns[i] = column{Name: name, Field: fieldNote}
		f, ok := names[headerKey(name)]
		switch {
		case !ok:
			columns[i].Unknown = name != ""
		case f == fieldNote || !taken[f]:
			columns[i].Field = f
			taken[f] = true
		case f == fieldPhone && !taken[fieldMobile]:
			columns[i].Field = fieldMobile
			taken[fieldMobile] = true
		}
	}
	return columns
}

// known counts the columns that fill a field.
func known(columns []column) int {
	n := 0
	for _, c := range columns {
		if c.Field != fieldNote {
			n++
		}
	}
	return n
}

// usable: there is a column by which a person can be reached.
func usable(columns []column) bool {
	return slices.ContainsFunc(columns, func(c column) bool {
		return c.Field == fieldMail || c.Field == fieldPhone || c.Field == fieldMobile
	})
}

func unknown(columns []column) []string {
	var out []string
	for _, c := range columns {
		if c.Unknown {
			out = append(out, c.Name)
		}
	}
	return out
}
