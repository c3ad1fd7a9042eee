package party

import (
	"slices"
	"strings"
	"unicode"
)

// japaneseForms are legal forms, the longer before those that they contain.
var japaneseForms = []string{
	"特定非営利活動法人", "地方独立行政法人", "社会福祉法人", "独立行政法人", "国立大学法人", "公立大学法人",
	"一般社団法人", "公益社団法人", "一般財団法人", "公益財団法人", "弁護士法人", "税理士法人", "監査法人",
	"社団法人", "財団法人", "学校法人", "医療法人", "宗教法人", "npo法人", "株式会社", "有限会社", "合同会社", "合資会社",
	"合名会社", "相互会社",
}

// shortForms are what stands for them in brackets, after NFKC (㈱ is already (株)).
var shortForms = strings.NewReplacer(
	"(株)", " 株式会社 ", "(有)", " 有限会社 ", "(同)", " 合同会社 ", "(合)", " 合同会社 ", "(資)", " 合資会社 ",
	"(名)", " 合名会社 ", "(社)", " 社団法人 ", "(財)", " 財団法人 ", "(学)", " 学校法人 ", "(医)", " 医療法人 ",
	"(独)", " 独立行政法人 ", "(福)", " 社会福祉法人 ", "(特非)", " 特定非営利活動法人 ",
	"〔株〕", " 株式会社 ", "[株]", " 株式会社 ", "<株>", " 株式会社 ",
	"k.k.", " kk ", "k. k.", " kk ", "g.k.", " gk ", "y.k.", " yk ", "l.l.c.", " llc ", "l.l.p.", " llp ", "p.l.c.", " plc ",
)

// latinForms stand at the end of a name; those of Japanese companies sometimes at its beginning.
var (
	latinForms = []string{
		"inc", "incorporated", "corp", "corporation", "co", "company", "ltd", "limited", "llc", "llp", "lp",
		"plc", "gmbh", "ag", "sa", "bv", "pte", "pty", "kk", "gk", "yk",
	}
	latinFronts = []string{"kk", "gk", "yk"}
)

// CompanyKey is a company's name for matching: folded, in lower case, legal forms in any writing and place set aside, only
// letters and digits kept. 株式会社タスキ, （株）タスキ, ﾀｽｷ㈱ and タスキ agree; so do Tasuki Co., Ltd. and TASUKI K.K. A name
// that is nothing but a legal form keeps it. Empty when there is no letter or digit.
func CompanyKey(name string) string { return fixpoint(name, companyKey) }

func companyKey(name string) string {
	words := strings.FieldsFunc(shortForms.Replace(lower(Fold(name))), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
	all := strings.Join(words, "")
	for len(words) > 1 && slices.Contains(latinForms, words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	for len(words) > 1 && slices.Contains(latinFronts, words[0]) {
		words = words[1:]
	}
	key := fixpoint(strings.Join(words, ""), func(s string) string {
		for _, form := range japaneseForms {
			s = strings.ReplaceAll(s, form, "")
		}
		return s
	})
	if key == "" {
		key = all
	}
	return key
}
