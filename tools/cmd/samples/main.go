// Command samples writes the lead files in deploy/samples, always the same ones.
//
// They look like what people export: a HubSpot contacts export, a Salesforce leads export and a plain Japanese list,
// with the dirt of real ones. All names are invented; all domains end in .example, which nobody can own.
package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/text/encoding/japanese"
)

func main() {
	dir := "deploy/samples"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	p := newPool(rand.New(rand.NewPCG(2026, 4)))
	files := map[string][]byte{
		"hubspot-contacts.csv": hubspot(p, 320),
		"salesforce-leads.csv": salesforce(p, 280),
		"japanese-list.csv":    japaneseList(p, 300),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// lead is one invented person at one invented company.
type lead struct {
	family, given, familyKana, givenKana, latin string
	company, domain, industry, title            string
	employees                                   int
	phone, source                               string
}

func (l lead) mail() string { return l.latin + "@" + l.domain }

type pool struct {
	rnd       *rand.Rand
	companies []lead
	made      []lead
}

var (
	families = [][3]string{
		{"佐藤", "サトウ", "sato"},
		{"鈴木", "スズキ", "suzuki"},
		{"高橋", "タカハシ", "takahashi"},
		{"田中", "タナカ", "tanaka"},
		{"伊藤", "イトウ", "ito"},
		{"渡辺", "ワタナベ", "watanabe"},
		{"山本", "ヤマモト", "yamamoto"},
		{"中村", "ナカムラ", "nakamura"},
		{"小林", "コバヤシ", "kobayashi"},
		{"加藤", "カトウ", "kato"},
		{"吉田", "ヨシダ", "yoshida"},
		{"山田", "ヤマダ", "yamada"},
		{"佐々木", "ササキ", "sasaki"},
		{"山口", "ヤマグチ", "yamaguchi"},
		{"松本", "マツモト", "matsumoto"},
		{"井上", "イノウエ", "inoue"},
		{"木村", "キムラ", "kimura"},
		{"林", "ハヤシ", "hayashi"},
		{"斎藤", "サイトウ", "saito"},
		{"清水", "シミズ", "shimizu"},
	}
	givens = [][3]string{
		{"太郎", "タロウ", "taro"},
		{"花子", "ハナコ", "hanako"},
		{"健一", "ケンイチ", "kenichi"},
		{"美咲", "ミサキ", "misaki"},
		{"大輔", "ダイスケ", "daisuke"},
		{"陽子", "ヨウコ", "yoko"},
		{"翔太", "ショウタ", "shota"},
		{"由美", "ユミ", "yumi"},
		{"直樹", "ナオキ", "naoki"},
		{"恵子", "ケイコ", "keiko"},
		{"拓也", "タクヤ", "takuya"},
		{"真由美", "マユミ", "mayumi"},
		{"誠", "マコト", "makoto"},
		{"裕子", "ユウコ", "yuko"},
		{"亮", "リョウ", "ryo"},
		{"千尋", "チヒロ", "chihiro"},
	}
	stems = [][2]string{
		{"青葉製作所", "aoba-mfg"},
		{"北斗物流", "hokuto-logi"},
		{"みなと食品", "minato-foods"},
		{"さくら建設", "sakura-kensetsu"},
		{"東都システム", "toto-system"},
		{"富士見医療", "fujimi-medical"},
		{"大和商事", "yamato-trading"},
		{"若葉教育", "wakaba-edu"},
		{"日の出電機", "hinode-denki"},
		{"白樺ホテルズ", "shirakaba-hotels"},
		{"瀬戸内化学", "setouchi-chem"},
		{"武蔵野印刷", "musashino-print"},
		{"つばめ運輸", "tsubame-unyu"},
		{"銀河ソフト", "ginga-soft"},
		{"朝日野農園", "asahino-farm"},
		{"常盤保険サービス", "tokiwa-ins"},
		{"千代田設備", "chiyoda-setsubi"},
		{"琵琶湖紡績", "biwako-boseki"},
		{"阿蘇エナジー", "aso-energy"},
		{"八重洲コンサルティング", "yaesu-consulting"},
		{"木曽木工", "kiso-mokko"},
		{"いろは不動産", "iroha-estate"},
		{"みやこ旅行", "miyako-travel"},
		{"黒潮水産", "kuroshio-suisan"},
		{"玄海鉄工", "genkai-iron"},
		{"高原メディア", "kogen-media"},
		{"すみれ薬局", "sumire-pharm"},
		{"まつかぜ警備", "matsukaze-guard"},
		{"あおぞら人材", "aozora-hr"},
		{"ひばりデザイン", "hibari-design"},
	}
	regions    = [][2]string{{"", ""}, {"東北", "-tohoku"}, {"関西", "-kansai"}, {"中部", "-chubu"}, {"九州", "-kyushu"}, {"北海道", "-hokkaido"}, {"四国", "-shikoku"}}
	forms      = []string{"株式会社%s", "%s株式会社", "（株）%s", "㈱%s", "%s（株）", "有限会社%s", "合同会社%s", "(株)%s"}
	industries = []string{"製造", "物流", "食品", "建設", "IT", "医療", "商社", "教育", "サービス", "不動産"}
	titles     = []string{"部長", "営業部長", "課長", "主任", "担当", "取締役", "代表取締役", "情報システム部 課長", "マネージャー", ""}
	sizes      = []int{8, 15, 32, 48, 75, 120, 180, 260, 450, 800, 1200, 3400}
	sources    = []string{"展示会", "ウェビナー", "ホワイトペーパー", "デモ依頼", "料金問い合わせ", "紹介", "広告", "お問い合わせ"}
)

func newPool(r *rand.Rand) *pool {
	p := &pool{rnd: r}
	for i, s := range stems {
		for j, region := range regions {
			p.companies = append(p.companies, lead{
				company: fmt.Sprintf(forms[(i+j)%len(forms)], s[0]+region[0]), domain: s[1] + region[1] + ".example",
				industry: pick(r, industries), employees: pick(r, sizes),
			})
		}
	}
	return p
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// next invents a person; a mail address is used for one person only.
func (p *pool) next() lead {
	l := pick(p.rnd, p.companies)
	f, g := pick(p.rnd, families), pick(p.rnd, givens)
	l.family, l.familyKana, l.given, l.givenKana = f[0], f[1], g[0], g[1]
	l.latin = fmt.Sprintf("%s.%s%d", f[2], g[2], len(p.made)+1)
	l.title, l.source = pick(p.rnd, titles), pick(p.rnd, sources)
	l.phone = fmt.Sprintf("03-%04d-%04d", 1000+p.rnd.IntN(9000), p.rnd.IntN(10000))
	p.made = append(p.made, l)
	return l
}

// again returns somebody who is in one of the files already.
func (p *pool) again() lead { return pick(p.rnd, p.made[:max(1, len(p.made)-1)]) }

func wide(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r - '0' + '０'
		}
		if r == '-' {
			return '－'
		}
		return r
	}, s)
}

func render(rows [][]string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	if err := w.WriteAll(rows); err != nil {
		log.Fatal(err)
	}
	return b.Bytes()
}

func competitor(l lead) lead {
	l.company, l.domain, l.title = "ライバルCRM株式会社", "rival-crm.example", "営業"
	return l
}

func hubspot(p *pool, n int) []byte {
	origin := map[string]string{
		"展示会": "Offline Sources", "ウェビナー": "Webinar", "ホワイトペーパー": "Whitepaper", "デモ依頼": "Demo Request",
		"料金問い合わせ": "Pricing Inquiry", "紹介": "Referrals", "広告": "Paid Search", "お問い合わせ": "Contact Us",
	}
	rows := [][]string{{"Record ID", "First Name", "Last Name", "Email", "Phone Number", "Company Name", "Job Title", "Number of Employees", "Industry", "Original Source", "Lifecycle Stage", "Create Date", "Favorite Color"}}
	for i := range n {
		l := p.next()
		switch {
		case i%23 == 7:
			l = p.again()
		case i%41 == 11:
			l = competitor(l)
		}
		mail, employees, company, note := l.mail(), fmt.Sprint(l.employees), l.company, ""
		switch i % 29 {
		case 3:
			mail = strings.ToUpper(mail[:1]) + mail[1:] + "  "
		case 9:
			mail = ""
		case 14:
			mail = strings.Replace(mail, "@", "＠", 1)
		case 19:
			company += "\n東京本社"
		case 24:
			employees = "1,200"
		case 27:
			mail, l.phone = "", ""
		}
		if i%37 == 5 {
			note = "green"
		}
		rows = append(rows, []string{fmt.Sprint(51000 + i), l.given, l.family, mail, l.phone, company, l.title, employees, l.industry, origin[l.source], "lead", "2026-03-" + fmt.Sprintf("%02d", 1+i%28), note})
	}
	return append([]byte("\xef\xbb\xbf"), render(rows)...)
}

func salesforce(p *pool, n int) []byte {
	origin := map[string]string{
		"展示会": "Trade Show", "ウェビナー": "Webinar", "ホワイトペーパー": "Content Download", "デモ依頼": "Demo Request",
		"料金問い合わせ": "Pricing Inquiry", "紹介": "Partner Referral", "広告": "Advertisement", "お問い合わせ": "Web",
	}
	rows := [][]string{{"Lead ID", "Salutation", "First Name", "Last Name", "Title", "Company", "Email", "Phone", "Website", "Lead Source", "Industry", "No. of Employees", "Description", "Lead Status"}}
	for i := range n {
		l := p.next()
		switch {
		case i%19 == 6:
			l = p.again()
		case i%47 == 20:
			l = competitor(l)
		}
		mail, employees, description := l.mail(), fmt.Sprint(l.employees), ""
		switch i % 31 {
		case 4:
			mail = "not-a-mail"
		case 8:
			description = "Met at the booth.\nWants a call in \"Q2\", budget unclear"
		case 15:
			employees = "about 100"
		case 21:
			mail = ""
		case 26:
			l.company += "   "
		}
		rows = append(rows, []string{fmt.Sprintf("00Q5g%010d", i), pick(p.rnd, []string{"Mr.", "Ms.", ""}), l.given, l.family, l.title, l.company, mail, l.phone, "https://www." + l.domain + "/", origin[l.source], l.industry, employees, description, "Open - Not Contacted"})
	}
	return render(rows)
}

func japaneseList(p *pool, n int) []byte {
	rows := [][]string{{"会社名", "氏名", "氏名カナ", "メールアドレス", "電話番号", "部署", "役職", "従業員数", "業種", "流入経路", "備考", "名刺交換日"}}
	for i := range n {
		l := p.next()
		switch {
		case i%17 == 9:
			l = p.again()
		case i%43 == 30:
			l = competitor(l)
		}
		name, mail, phone, employees, note := l.family+"　"+l.given, l.mail(), l.phone, fmt.Sprint(l.employees), ""
		switch i % 27 {
		case 2:
			phone, employees = wide(phone), wide(employees)+"名"
		case 6:
			name += "　"
			mail = " " + mail
		case 11:
			mail = ""
		case 16:
			note = "来月に再度連絡\n担当変更の可能性あり"
		case 20:
			employees = "約５０名"
		case 23:
			mail = strings.Replace(mail, "@", "(at)", 1)
		case 25:
			l.company, name = "", ""
			mail, phone = "", ""
		}
		rows = append(rows, []string{l.company, name, l.familyKana + " " + l.givenKana, mail, phone, "", l.title, employees, l.industry, l.source, note, "2026/04/" + fmt.Sprintf("%02d", 1+i%28)})
	}
	out, err := japanese.ShiftJIS.NewEncoder().Bytes(render(rows))
	if err != nil {
		log.Fatal(err)
	}
	return out
}
