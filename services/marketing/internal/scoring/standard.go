package scoring

import (
	"strings"
	"time"
)

// Names of the rules that are not data of their own.
const (
	ruleIndustry    = "industry_known"
	ruleCompanyMail = "company_mail"
	ruleFreeMail    = "free_mail"
	actionPrefix    = "action_"
	otherAction     = "other"
)

// Standard is the model that a new company starts with.
var Standard = &Model{
	FitThreshold:       40,
	BehaviourThreshold: 20,
	HalfLife:           30 * 24 * time.Hour,
	BehaviourCap:       100,
	Employees: []Band{
		{"employees_1000", 1000, 30, Label{"従業員数 1,000 名以上", "1,000 employees or more"}},
		{"employees_100_999", 100, 25, Label{"従業員数 100〜999 名", "100 to 999 employees"}},
		{"employees_50_99", 50, 15, Label{"従業員数 50〜99 名", "50 to 99 employees"}},
		{"employees_10_49", 10, 10, Label{"従業員数 10〜49 名", "10 to 49 employees"}},
		{"employees_1_9", 1, 5, Label{"従業員数 1〜9 名", "1 to 9 employees"}},
	},
	Titles: []Words{
		{"title_deputy", []string{"部長代理", "次長", "副部長", "deputy"}, 15, Label{"部長代理・次長", "deputy head"}},
		{"title_vice_president", []string{"vice president"}, 20, Label{"部長クラス（VP）", "vice president"}},
		{"title_executive", []string{
			"社長", "代表", "取締役", "役員", "会長", "chief", "ceo", "cto", "cfo", "coo", "cmo",
			"president", "founder", "owner",
		}, 25, Label{"経営層", "executive"}},
		{
			"title_head",
			[]string{"本部長", "事業部長", "部長", "室長", "vp", "director", "head of"},
			20,
			Label{"部長クラス", "head of a department"},
		},
		{"title_manager", []string{"課長", "マネージャ", "店長", "所長", "manager"}, 12, Label{"課長クラス", "manager"}},
		{"title_lead", []string{"係長", "主任", "リーダー", "チーフ", "lead"}, 6, Label{"係長・主任クラス", "team lead"}},
	},
	Industry:    5,
	CompanyMail: 10,
	FreeMail:    -10,
	FreeMailDomains: set("gmail.com googlemail.com yahoo.co.jp yahoo.com ymail.ne.jp outlook.com outlook.jp hotmail.com " +
		"hotmail.co.jp live.jp live.com msn.com icloud.com me.com mac.com aol.com protonmail.com proton.me gmx.com " +
		"docomo.ne.jp ezweb.ne.jp au.com softbank.ne.jp i.softbank.jp nifty.com biglobe.ne.jp ocn.ne.jp so-net.ne.jp " +
		"plala.or.jp excite.co.jp infoseek.jp rakuten.jp"),
	Actions: map[string]Action{
		"demo_request":         {40, true, Label{"デモ依頼", "asked for a demo"}},
		"pricing_inquiry":      {40, true, Label{"料金問い合わせ", "asked for prices"}},
		"meeting_booked":       {40, true, Label{"商談予約", "booked a meeting"}},
		"inquiry":              {40, true, Label{"お問い合わせ", "inquiry"}},
		"referral":             {20, false, Label{"紹介", "was referred"}},
		"seminar_attendance":   {20, false, Label{"セミナー参加", "attended a seminar"}},
		"whitepaper_download":  {15, false, Label{"資料ダウンロード", "downloaded a document"}},
		"document_request":     {20, false, Label{"資料請求", "asked for documents"}},
		"exhibition_visit":     {10, false, Label{"展示会来場", "visited our booth"}},
		"business_card":        {8, false, Label{"名刺交換", "exchanged business cards"}},
		"newsletter_subscribe": {5, false, Label{"メルマガ登録", "subscribed to the newsletter"}},
		"mail_click":           {5, false, Label{"メールクリック", "clicked in a mail"}},
		"web_visit":            {3, false, Label{"サイト訪問", "visited the site"}},
	},
	OtherAction: Action{2, false, Label{"その他の接点", "another touch"}},
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		m[word] = true
	}
	return m
}

func ruleOfAction(m *Model, action string) string {
	if _, ok := m.Actions[action]; !ok {
		action = otherAction
	}
	return actionPrefix + action
}

// Label says in words what a rule saw.
func (m *Model) Label(rule string) Label {
	if action, ok := strings.CutPrefix(rule, actionPrefix); ok {
		return m.action(action).Label
	}
	switch rule {
	case ruleIndustry:
		return Label{"業種がわかっている", "industry is known"}
	case ruleCompanyMail:
		return Label{"会社のメールアドレス", "mail address of a company"}
	case ruleFreeMail:
		return Label{"フリーメール", "free mail address"}
	}
	for _, band := range m.Employees {
		if band.Rule == rule {
			return band.Label
		}
	}
	for _, title := range m.Titles {
		if title.Rule == rule {
			return title.Label
		}
	}
	return Label{rule, rule}
}
