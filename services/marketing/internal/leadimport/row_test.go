package leadimport

import (
	"strings"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

var (
	model = scoring.Standard
	epoch = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
)

// only reads a file of one row.
func only(t *testing.T, text string) row {
	t.Helper()
	table, err := understand([]byte(text))
	if err != nil || len(table.rows) != 1 {
		t.Fatalf("%+v, %v", table, err)
	}
	return (&reader{columns: table.columns, source: "file.csv"}).read(table.rows[0])
}

func TestRowOfEachExport(t *testing.T) {
	hubspot := only(t, "First Name,Last Name,Email,Phone Number,Company Name,Job Title,Number of Employees,Industry,Original Source,Lifecycle Stage,Create Date,Favorite Color\n"+
		"花子,佐藤,Sato@Example.co.jp ,０３－１２３４－５６７８,㈱タスキ,営業部長,\"1,200\",IT,Organic Search,lead,2026-04-01,green\n")
	c := hubspot.capture
	if c.Person.Name.Family != "佐藤" || c.Person.Name.Given != "花子" || c.Person.Mail != "sato@example.co.jp" || c.Person.Phone != "+81312345678" ||
		c.Person.Title != "営業部長" || c.Company.Name != "(株)タスキ" || c.Company.Employees != 1200 || c.Company.Industry != "IT" ||
		c.Touch.Channel != "ORGANIC_SEARCH" || c.Touch.At.IsZero() || c.Source != "file.csv" {
		t.Errorf("%+v", c)
	}
	if c.Notes != "Lifecycle Stage: lead\nFavorite Color: green" || len(hubspot.warnings) != 1 || hubspot.warnings[0].Column != "Favorite Color" {
		t.Errorf("%q %+v", c.Notes, hubspot.warnings)
	}

	salesforce := only(t, "First Name,Last Name,Title,Company,Email,Phone,Lead Source,No. of Employees,Industry,Website,Status,Description\n"+
		"Hanako,Sato,VP Sales,Tasuki Inc.,hanako@tasuki.example,+81 3-1234-5678,Trade Show,45,IT,https://www.tasuki.example/jp,Open,\"two\nlines\"\n")
	c = salesforce.capture
	if c.Company.Domain != "tasuki.example" || c.Company.Employees != 45 || c.Touch.Action != "exhibition_visit" || c.Notes != "Status: Open\ntwo\nlines" {
		t.Errorf("%+v", c)
	}

	plain := only(t, "会社名,氏名,氏名カナ,メールアドレス,電話番号,部署,役職,従業員数,業種,流入経路,備考\n"+
		"（株）タスキ,佐藤　花子,ｻﾄｳ ﾊﾅｺ,ｈａｎａｋｏ＠example.co.jp,,営業部,課長,８名,製造,デモ依頼,来月\n")
	c = plain.capture
	if c.Person.Name.Family != "佐藤" || c.Person.Name.GivenKana != "ハナコ" || c.Person.Mail != "hanako@example.co.jp" || c.Company.Employees != 8 ||
		c.Touch.Action != "demo_request" || c.Notes != "部署: 営業部\n来月" {
		t.Errorf("%+v", c)
	}
}

func TestRowProblems(t *testing.T) {
	const header = "氏名,メールアドレス,電話番号,携帯電話,従業員数,Website\n"
	for name, c := range map[string]struct {
		row      string
		problems string // columns
		warnings string
		phone    string
	}{
		"good":                      {"佐藤,a@b.example,03-1234-5678,,10,b.example", "", "", "+81312345678"},
		"phone only":                {"佐藤,,03-1234-5678,,,", "", "", "+81312345678"},
		"mobile only":               {"佐藤,,,090-1234-5678,,", "", "", "+819012345678"},
		"neither":                   {"佐藤,,,,10,", "メールアドレス", "", ""},
		"bad mail, no phone":        {"佐藤,not-a-mail,,,,", "メールアドレス", "", ""},
		"bad mail, good phone":      {"佐藤,not-a-mail,03-1234-5678,,,", "", "メールアドレス", "+81312345678"},
		"good mail, bad phone":      {"佐藤,a@b.example,なし,,,", "", "電話番号", "なし"},
		"no mail, bad phone":        {"佐藤,,12,,,", "電話番号", "", "12"},
		"odd employees and website": {"佐藤,a@b.example,,,多数,なし", "", "Website,従業員数", ""},
		"too many values":           {"佐藤,a@b.example,,,1,200,b.example", "", "", ""},
		"broken quote":              {"佐藤,\"a@b.example,03-1234-5678,,,", "メールアドレス", "", ""},
	} {
		r := only(t, header+c.row)
		var problems, warnings []string
		for _, p := range r.problems {
			problems = append(problems, p.Column)
		}
		for _, w := range r.warnings {
			warnings = append(warnings, w.Column)
		}
		switch name {
		case "too many values":
			if len(r.problems) != 1 || !strings.Contains(r.problems[0].En, "7 values") {
				t.Errorf("%s: %+v", name, r.problems)
			}
			continue
		case "broken quote":
			if len(r.problems) == 0 || len(r.warnings) == 0 {
				t.Errorf("%s: %+v %+v", name, r.problems, r.warnings)
			}
			continue
		}
		if strings.Join(problems, ",") != c.problems || strings.Join(warnings, ",") != c.warnings || r.capture.Person.Phone != c.phone {
			t.Errorf("%s: problems %v, warnings %v, phone %q", name, problems, warnings, r.capture.Person.Phone)
		}
	}
}

func TestLongValuesAreCut(t *testing.T) {
	r := only(t, "Email,Company\na@b.example,"+strings.Repeat("長", 300))
	if len([]rune(r.capture.Company.Name)) != 200 || len(r.warnings) != 1 || len([]rune(r.warnings[0].Value)) != 200 {
		t.Errorf("%d %+v", len([]rune(r.capture.Company.Name)), r.warnings)
	}
}
