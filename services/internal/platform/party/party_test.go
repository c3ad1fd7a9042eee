package party_test

import (
	"regexp"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/internal/platform/party"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewIDAscends(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	last := ""
	for range 1000 {
		id := party.NewID()
		if !form.MatchString(id) || id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"plain":              "plain",
		" a  b ":             "a b",
		"　ﾀｽｷ　１２ ":           "タスキ 12",
		"㈱タスキ":               "(株)タスキ",
		"a\u0000b\r\nc":      "ab c",
		"\ufeffx":            "x",
		"ｶﾞ":                 "ガ",
		"１，２３４":              "1,234",
		"tab\tand\u3000wide": "tab and wide",
	} {
		if got := party.Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNormalizeMail(t *testing.T) {
	for in, want := range map[string]string{
		"Sato@Example.CO.JP ":           "sato@example.co.jp",
		"ｓａｔｏ＠ｅｘａｍｐｌｅ．ｃｏｍ":              "sato@example.com",
		"Sato <sato@example.com>":       "sato@example.com",
		"mailto:sato@example.com":       "sato@example.com",
		"sato+news@mail.example.com":    "sato+news@mail.example.com",
		"o'neil@example.com":            "o'neil@example.com",
		"info@日本語.jp":                   "info@日本語.jp",
		"\u3000sato@example.com\u3000":  "sato@example.com",
		"a.b.c@x-y.example.technology ": "a.b.c@x-y.example.technology",
	} {
		if got, ok := party.NormalizeMail(in); !ok || got != want {
			t.Errorf("NormalizeMail(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"", "sato", "sato@", "@example.com", "sato@example", "sa to@example.com", "a@b@example.com",
		"sato@exa mple.com", ".sato@example.com", "sato..x@example.com", "sato@192.0.2.1", "sato@-example.com", "なし",
	} {
		if got, ok := party.NormalizeMail(in); ok {
			t.Errorf("NormalizeMail(%q) = %q, want not ok", in, got)
		}
	}
}

func TestNormalizePhone(t *testing.T) {
	for in, want := range map[string]string{
		"03-1234-5678":          "+81312345678",
		"０３－１２３４－５６７８":          "+81312345678",
		"03ー1234ー5678":          "+81312345678",
		"(03) 1234 5678":        "+81312345678",
		"+81 3-1234-5678":       "+81312345678",
		"+81 (0)3-1234-5678":    "+81312345678",
		"090-1234-5678 ":        "+819012345678",
		"9012345678":            "+819012345678", // a spreadsheet ate the zero
		"03-1234-5678 内線12":     "+81312345678",
		"03-1234-5678 (内線 123)": "+81312345678",
		"+1 415-555-0132":       "+14155550132",
		"0120-123-456":          "+81120123456",
	} {
		if got, ok := party.NormalizePhone(in); !ok || got != want {
			t.Errorf("NormalizePhone(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "-", "なし", "123", "03-1234", "99999999999999999999"} {
		if got, ok := party.NormalizePhone(in); ok {
			t.Errorf("NormalizePhone(%q) = %q, want not ok", in, got)
		}
	}
}

func TestNormalizeDomain(t *testing.T) {
	for in, want := range map[string]string{
		"example.co.jp":                 "example.co.jp",
		"WWW.Example.CO.JP.":            "example.co.jp",
		"https://www.example.com/a?b#c": "example.com",
		"http://example.com:8080":       "example.com",
		"sato@example.com":              "example.com",
		"ｅｘａｍｐｌｅ．ｃｏｍ":                   "example.com",
		"日本語.jp":                        "日本語.jp",
	} {
		if got, ok := party.NormalizeDomain(in); !ok || got != want {
			t.Errorf("NormalizeDomain(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "example", "192.0.2.1", "exa mple.com", "-", "なし"} {
		if got, ok := party.NormalizeDomain(in); ok {
			t.Errorf("NormalizeDomain(%q) = %q, want not ok", in, got)
		}
	}
}

func TestCompanyKey(t *testing.T) {
	for _, same := range [][]string{
		{"タスキ", "株式会社タスキ", "タスキ株式会社", "（株）タスキ", "ﾀｽｷ㈱", "株式会社　タスキ ", "(株) タスキ", "㈱タスキ", "タスキ（有）", "合同会社タスキ"},
		{"tasuki", "Tasuki Co., Ltd.", "TASUKI K.K.", "Tasuki, Inc.", "ｔａｓｕｋｉ　Inc", "K.K. Tasuki", "Tasuki Corporation", "Tasuki Company Limited"},
		{"あさひ銀行", "株式会社あさひ銀行", "あさひ 銀行"},
		{"incubation", "Incubation"},
		{"青空", "医療法人社団法人青空"},
	} {
		for _, name := range same {
			if got := party.CompanyKey(name); got != same[0] {
				t.Errorf("CompanyKey(%q) = %q, want %q", name, got, same[0])
			}
		}
	}
	for in, want := range map[string]string{"": "", "--": "", "株式会社": "株式会社", "Inc.": "inc", "K.K.": "kk"} {
		if got := party.CompanyKey(in); got != want {
			t.Errorf("CompanyKey(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNameKey(t *testing.T) {
	for in, want := range map[string]string{"佐藤　花子": "佐藤花子", "Hanako SATO": "hanakosato", "ジョン・スミス": "ジョンスミス", "ｻﾄｳ": "サトウ"} {
		if got := party.NameKey(in); got != want {
			t.Errorf("NameKey(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzIdempotent holds every normal form to its promise: it is valid text, and its own normal form.
func FuzzIdempotent(f *testing.F) {
	for _, s := range []string{
		"株(株)式会社", "İ", "ΑΣ", "a <b@c.de>", "mailto:mailto:a@b.cd", "www.www.a.jp", "http://http://x.jp",
		"03-1234-5678 内線1 内線2", "ｶ\u0000ﾞ", "K.K.K.K.", "\xff", "e\u200d\u0301", "http://a.jp:80:80", "+81 90 1234 5678",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, form := range map[string]func(string) string{
			"Fold": party.Fold, "NameKey": party.NameKey, "CompanyKey": party.CompanyKey,
			"NormalizeMail":   func(s string) string { m, _ := party.NormalizeMail(s); return m },
			"NormalizeDomain": func(s string) string { d, _ := party.NormalizeDomain(s); return d },
			"NormalizePhone":  func(s string) string { p, _ := party.NormalizePhone(s); return p },
		} {
			once := form(s)
			if !utf8.ValidString(once) {
				t.Errorf("%s(%q) = %q is not valid text", name, s, once)
			}
			if again := form(once); again != once {
				t.Errorf("%s(%q) = %q, and of that %q", name, s, once, again)
			}
		}
	})
}

// TestPlainPhoneIsWhatTheLibrarySays compares the short cut for Japanese numbers with the library, which is asked by a form
// that the short cut leaves alone.
func TestPlainPhoneIsWhatTheLibrarySays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`0[1-9][0-9]{2}[0-9]{2,4}[- ]?[0-9]{3,5}`).Draw(t, "phone")
		short, ok := party.NormalizePhone(s)
		if again, againOK := party.NormalizePhone(short); ok && (again != short || !againOK) {
			t.Fatalf("%q: %q, and of that %q, %v", s, short, again, againOK)
		}
		full, fullOK := party.NormalizePhone(s[:4] + "." + s[4:])
		if ok != fullOK || ok && short != full {
			t.Fatalf("%q: %q, %v; the library says %q, %v", s, short, ok, full, fullOK)
		}
	})
}

func BenchmarkNormalize(b *testing.B) {
	b.Run("mail", func(b *testing.B) {
		for b.Loop() {
			party.NormalizeMail("Hanako.Sato@Example.co.jp")
		}
	})
	b.Run("phone", func(b *testing.B) {
		for b.Loop() {
			party.NormalizePhone("０３－１２３４－５６７８")
		}
	})
	b.Run("company", func(b *testing.B) {
		for b.Loop() {
			party.CompanyKey("株式会社　ﾀｽｷ商事")
		}
	})
}
