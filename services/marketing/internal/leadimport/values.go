package leadimport

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/marketing/internal/lead"
)

// number is a whole number as people write it: 1,200 or 300.
var number = regexp.MustCompile(`\d{1,3}(,\d{3})+|\d+`)

// employees reads a number of employees: 1,200名, 約300人, 100〜299 (its lower end), 1000+. A ten thousand 万 counts.
func employees(s string) (int, bool) {
	s = party.Fold(s)
	match := number.FindStringIndex(s)
	if match == nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.ReplaceAll(s[match[0]:match[1]], ",", ""))
	if strings.HasPrefix(s[match[1]:], "万") {
		n *= 10_000
	}
	if err != nil || n < 0 || n > 10_000_000 || strings.HasPrefix(s, "-") {
		return 0, false
	}
	return n, true
}

// tokyo is the time zone of dates without one. Japan has no summer time.
var tokyo = time.FixedZone("JST", 9*60*60)

var layouts = []string{
	time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-1-2", "2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2",
	"2006.1.2", "2006年1月2日", "20060102", "1/2/2006 15:04", "1/2/2006",
}

// date reads a day or time; days begin at midnight in Tokyo.
func date(s string) (time.Time, bool) {
	s = party.Fold(s)
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, tokyo); err == nil && t.Year() > 1980 && t.Year() < 2200 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// sources says what people write into the column of the source, most telling first.
var sources = []struct {
	words           string
	channel, action string
}{
	{"デモ|demo", "WEB_FORM", "demo_request"},
	{"料金|見積|価格|pricing|quote", "WEB_FORM", "pricing_inquiry"},
	{"商談予約|面談予約|日程予約|meeting booked|book a meeting", "WEB_FORM", "meeting_booked"},
	{"電話問い合わせ|電話問合せ|phone inquiry", "PHONE", "inquiry"},
	{"問い合わせ|問合せ|問合わせ|contact us|inquiry|enquiry", "WEB_FORM", "inquiry"},
	{"資料請求", "WEB_FORM", "document_request"},
	{"ホワイトペーパー|ダウンロード|white paper|whitepaper|download|ebook", "WEB_FORM", "whitepaper_download"},
	{"セミナー|ウェビナー|勉強会|webinar|seminar", "SEMINAR", "seminar_attendance"},
	{"展示会|イベント|trade show|tradeshow|exhibition|expo|event|conference", "EXHIBITION", "exhibition_visit"},
	{"名刺|business card", "BUSINESS_CARD", "business_card"},
	{"referrals", "REFERRAL", "web_visit"}, // HubSpot: a link on another site
	{"パートナー|代理店|partner", "PARTNER", "referral"},
	{"紹介|referral", "REFERRAL", "referral"},
	{"メルマガ|メール|newsletter|email marketing|mail", "EMAIL", "mail_click"},
	{"広告|リスティング|paid|advert", "PAID_ADS", "web_visit"},
	{"sns|social", "SOCIAL", "web_visit"},
	{"検索|seo|organic", "ORGANIC_SEARCH", "web_visit"},
	{"direct", "DIRECT", "web_visit"},
	{"購入リスト|purchased", "LIST", ""},
	{"offline", "OFFLINE", ""},
	{"web|ホームページ|サイト", "WEB", "web_visit"},
}

// touchOf understands a source. What is not known becomes a channel of its own.
func touchOf(source string) lead.Touch {
	source = party.Fold(source)
	lower := strings.ToLower(source)
	for _, s := range sources {
		for word := range strings.SplitSeq(s.words, "|") {
			if strings.Contains(lower, word) {
				return lead.Touch{Channel: s.channel, Action: s.action}
			}
		}
	}
	if source == "" {
		source = "IMPORT"
	}
	return lead.Touch{Channel: cut(source, 100)}
}

// cut is s with at most limit characters.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	if r := []rune(s); len(r) > limit {
		return string(r[:limit])
	}
	return s
}
