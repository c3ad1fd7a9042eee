package leadimport

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

func sjis(t *testing.T, s string) []byte {
	t.Helper()
	b, err := japanese.ShiftJIS.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	for name, c := range map[string]struct {
		in       []byte
		want     string
		text     string
		encoding string
		reason   problem.Reason
	}{
		"utf-8":                    {[]byte("会社名"), "", "会社名", "UTF-8", 0},
		"utf-8 with mark":          {[]byte("\xef\xbb\xbf会社名"), "auto", "会社名", "UTF-8", 0},
		"shift_jis":                {sjis(t, "会社名,㈱①"), "", "会社名,㈱①", "Shift_JIS", 0},
		"shift_jis, as said":       {sjis(t, "会社名"), "shift_jis", "会社名", "Shift_JIS", 0},
		"not what was said":        {sjis(t, "会社名"), "utf-8", "", "", problem.ReasonFileEncodingUnknown},
		"utf-16":                   {[]byte("\xff\xfeE\x00m\x00"), "", "", "", problem.ReasonFileEncodingUnknown},
		"nothing known":            {[]byte{0x81, 0xff, 0xfd, 0x80, 0xa0}, "", "", "", problem.ReasonFileEncodingUnknown},
		"workbook":                 {[]byte("PK\x03\x04..."), "", "", "", problem.ReasonFileNotCSV},
		"zero bytes":               {[]byte("a\x00b"), "", "", "", problem.ReasonFileNotCSV},
		"larger than the limit":    {bytes.Repeat([]byte("x"), MaxBytes+1), "", "", "", problem.ReasonTooLarge},
		"exactly at the limit":     {bytes.Repeat([]byte("x"), MaxBytes), "", strings.Repeat("x", MaxBytes), "UTF-8", 0},
		"half-width kana, no mark": {sjis(t, "ﾀｽｷ"), "", "ﾀｽｷ", "Shift_JIS", 0},
	} {
		text, encoding, err := decode(c.in, c.want)
		if problem.ReasonOf(err) != c.reason || string(text) != c.text || encoding != c.encoding {
			t.Errorf("%s: %.20q, %s, %v", name, text, encoding, err)
		}
		if err == nil {
			if again, _, err := decode(c.in, encodingArg(encoding)); err != nil || !bytes.Equal(again, text) {
				t.Errorf("%s: read again: %.20q, %v", name, again, err)
			}
		}
	}
}

func TestSplitGoesOnAfterBrokenRows(t *testing.T) {
	text := strings.Join([]string{
		`a,b,c`,
		`1,"two` + "\n" + `lines",3`,
		``,
		`2,"never closed,3`,
		`3,x,y`,
		`4,bare "quote" here,z`,
		` , ,`,
		`5,"ok ""quoted""",z`,
		`6,"open at the end`,
	}, "\n")
	var got []string
	for _, r := range split([]byte(text), ',') {
		got = append(got, fmt.Sprintf("%d %v %v %q", r.line, r.broken, r.odd, r.cells))
	}
	want := []string{
		`1 false false ["a" "b" "c"]`,
		`2 false false ["1" "two\nlines" "3"]`,
		`5 false true ["2" "never closed,3"]`,
		`6 false false ["3" "x" "y"]`,
		`7 false true ["4" "bare \"quote\" here" "z"]`,
		`9 false false ["5" "ok \"quoted\"" "z"]`,
		`10 false true ["6" "open at the end"]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestUnderstand(t *testing.T) {
	for name, text := range map[string]string{
		"comma":     "Email,Company\na@b.example,X",
		"tab":       "Email\tCompany\na@b.example\tX",
		"semicolon": "Email;Company\na@b.example;X",
		"title row": "リード一覧 2026年4月\n\n会社名,メールアドレス\nX,a@b.example",
		"windows":   "Email,Company\r\na@b.example,X\r\n",
	} {
		if got, err := understand([]byte(text)); err != nil || len(got.rows) != 1 || known(got.columns) != 2 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "prose": "Dear all,\nplease find attached", "no way to reach anybody": "Company,Title\nX,Y",
		"json": `{"mail": "a@b.example"}`,
	} {
		if _, err := understand([]byte(text)); !problem.Is(err, problem.ReasonFileNotCSV) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSamples reads the files that the product shows: every column is known, but for the one that is there to be unknown.
func TestSamples(t *testing.T) {
	for name, want := range map[string]string{
		"hubspot-contacts.csv": "Favorite Color", "salesforce-leads.csv": "", "japanese-list.csv": "",
	} {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "deploy", "samples", name))
		if err != nil {
			t.Fatal(err)
		}
		text, encoding, err := decode(content, "auto")
		if err != nil {
			t.Fatal(err)
		}
		table, err := understand(text)
		if err != nil {
			t.Fatal(err)
		}
		invalid := 0
		rd := &reader{columns: table.columns}
		for _, rec := range table.rows {
			if r := rd.read(rec); len(r.problems) > 0 {
				invalid++
				for _, p := range r.problems {
					if p.En == "" || p.Ja == "" {
						t.Errorf("%s line %d: %+v says nothing", name, r.line, p)
					}
				}
			}
		}
		t.Logf("%s: %s, %d rows, %d invalid, %d columns with a field", name, encoding, len(table.rows), invalid, known(table.columns))
		if got := strings.Join(unknown(table.columns), ","); got != want {
			t.Errorf("%s: unknown columns %q", name, got)
		}
		if len(table.rows) < 200 || invalid > len(table.rows)/10 || known(table.columns) < 8 {
			t.Errorf("%s: not understood", name)
		}
	}
}

func TestEmployees(t *testing.T) {
	for in, want := range map[string]int{
		"120": 120, "1,200名": 1200, "約300人": 300, "１００〜２９９": 100, "1000+": 1000, "10-49": 10, "８名": 8, "1万人": 10000, "0": 0,
	} {
		if got, ok := employees(in); !ok || got != want {
			t.Errorf("%q: %d, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "多数", "-5", "99999999999999999999"} {
		if got, ok := employees(in); ok {
			t.Errorf("%q: %d", in, got)
		}
	}
}

func TestDate(t *testing.T) {
	day := time.Date(2026, 3, 31, 15, 0, 0, 0, time.UTC) // 2026-04-01 in Tokyo
	for in, want := range map[string]time.Time{
		"2026-04-01": day, "2026/4/1": day, "2026年4月1日": day, "２０２６／０４／０１": day, "2026/04/01 09:30": day.Add(9*time.Hour + 30*time.Minute),
		"2026-04-01T00:00:00+09:00": day, "4/1/2026": day,
	} {
		if got, ok := date(in); !ok || !got.Equal(want) {
			t.Errorf("%q: %v, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "昨日", "2026-13-01", "0001-01-01"} {
		if got, ok := date(in); ok {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestTouchOf(t *testing.T) {
	for in, want := range map[string]string{
		"デモ依頼": "WEB_FORM demo_request", "料金問い合わせ": "WEB_FORM pricing_inquiry", "お問い合わせ": "WEB_FORM inquiry", "ウェビナー": "SEMINAR seminar_attendance",
		"Trade Show": "EXHIBITION exhibition_visit", "Webinar": "SEMINAR seminar_attendance", "Web": "WEB web_visit", "名刺交換": "BUSINESS_CARD business_card",
		"Organic Search": "ORGANIC_SEARCH web_visit", "Referrals": "REFERRAL web_visit", "紹介": "REFERRAL referral", "Demo Request": "WEB_FORM demo_request",
		"ホワイトペーパー": "WEB_FORM whitepaper_download", "Content Download": "WEB_FORM whitepaper_download", "": "IMPORT ", "伝書鳩": "伝書鳩 ", "Contact Us": "WEB_FORM inquiry",
	} {
		if got := touchOf(in); got.Channel+" "+got.Action != want {
			t.Errorf("%q: %s %s, want %s", in, got.Channel, got.Action, want)
		}
	}
}

// FuzzFile: whatever a file holds, reading it ends, and every row has a line of the file, in order.
func FuzzFile(f *testing.F) {
	f.Add([]byte("Email,Company\na@b.example,\"X\ny\"\n\"open,1\n\"\"\"\n"), "auto")
	f.Add([]byte("会社名\tメールアドレス\r\n\"\"x\t\"\r\n"), "utf-8")
	f.Add([]byte("\x83\x81\x81[\x83\x8b,\x89\xef\x8e\xd0\n"), "shift_jis")
	f.Fuzz(func(t *testing.T, content []byte, encoding string) {
		text, _, err := decode(content, encoding)
		if err != nil {
			return
		}
		if !utf8.Valid(text) {
			t.Fatal("not UTF-8")
		}
		lines, last := bytes.Count(text, newline)+1, 0
		for _, r := range split(text, ',') {
			if r.line <= last || r.line > lines {
				t.Fatalf("a row on line %d after one on line %d of %d", r.line, last, lines)
			}
			last = r.line
		}
		table, err := understand(text)
		if err != nil {
			return
		}
		rd := &reader{columns: table.columns}
		for _, rec := range table.rows {
			r := rd.read(rec)
			r.capture.Tidy(model, time.Time{})
			if len(r.problems) == 0 && r.capture.Person.MatchKey() == "" {
				t.Fatalf("a row without problems by which nobody is known: %q", rec.cells)
			}
		}
	})
}
