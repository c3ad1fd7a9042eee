package bizclock

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is a calendar as people write it, in JSON, YAML or code. Dates are 2006-01-02, times of day 15:04.
//
// A day in WorkingDays has the hours given there, whatever else is said about it. Any other day is closed when it is a
// holiday in one of the other lists, and has the hours of its weekday when it is not.
type Config struct {
	// Zone is the IANA name of the time zone, for instance Asia/Tokyo.
	Zone string `json:"zone" yaml:"zone"`
	// Hours are the working hours by weekday. A key is a day (mon, tue, wed, thu, fri, sat, sun) or a range of days
	// (mon-fri); no day may come twice. A value has one or more intervals, for instance "09:00-12:00,13:00-18:00".
	// Intervals lie within a day (24:00 is its end) and do not overlap. Days without a key are closed.
	Hours map[string]string `json:"hours" yaml:"hours"`
	// National names a built-in set of national holidays: jp, or empty for none.
	National string `json:"national,omitempty" yaml:"national,omitempty"`
	// Holidays are public holidays that National does not have: a date, or the first and the last date of up to 366 days
	// (2026-08-12..2026-08-14), or the same without a year when it comes every year (12-29..01-03).
	Holidays []string `json:"holidays,omitempty" yaml:"holidays,omitempty"`
	// CompanyHolidays are days on which the company is closed, written like Holidays.
	CompanyHolidays []string `json:"company_holidays,omitempty" yaml:"company_holidays,omitempty"`
	// WorkingDays are days with hours of their own, by date: extra working days and short ones.
	WorkingDays map[string]string `json:"working_days,omitempty" yaml:"working_days,omitempty"`
}

// DefaultConfig is the calendar of a Japanese company: Asia/Tokyo, Monday to Friday 9:00 to 18:00, closed on national
// holidays and from 29 December to 3 January.
func DefaultConfig() Config {
	return Config{
		Zone:            "Asia/Tokyo",
		Hours:           map[string]string{"mon-fri": "09:00-18:00"},
		National:        "jp",
		CompanyHolidays: []string{"12-29..01-03"},
	}
}

// Default is the calendar of DefaultConfig.
func Default() *Calendar { return standard() }

var standard = sync.OnceValue(func() *Calendar {
	c, err := New(DefaultConfig())
	if err != nil {
		panic(err) // The configuration is a constant, and the zone is in the binary.
	}
	return c
})

// New makes the calendar that a Config describes. Its error is a *ConfigError with everything that is wrong.
func New(config Config) (*Calendar, error) {
	p := parser{calendar: Calendar{closed: map[int64]struct{}{}, special: map[int64][]interval{}}}
	p.zone(config.Zone)
	p.week(config.Hours)
	switch config.National {
	case "":
	case "jp":
		p.calendar.national = japan()
	default:
		p.wrong("national", fmt.Sprintf("%q is no known set of national holidays: write jp, or leave it empty and list the days in holidays", config.National),
			fmt.Sprintf("%q という祝日の一覧はありません。jp と書くか、空にして holidays に日付を並べてください。", config.National))
	}
	p.closed("holidays", config.Holidays)
	p.closed("company_holidays", config.CompanyHolidays)
	for _, date := range slices.Sorted(maps.Keys(config.WorkingDays)) {
		p.special(date, config.WorkingDays[date])
	}
	p.sometimesOpen()
	if len(p.fields) > 0 {
		return nil, &ConfigError{Fields: p.fields}
	}
	return &p.calendar, nil
}

// ConfigError says everything that is wrong with a Config.
type ConfigError struct{ Fields []FieldError }

// FieldError says what is wrong with one field, and what to write instead.
type FieldError struct {
	// Field is the path as in JSON, for instance hours.mon or holidays[2].
	Field string
	// Problem and ProblemJa say it in English and Japanese.
	Problem, ProblemJa string
}

// Error lists the fields and what is wrong with each, in English.
func (e *ConfigError) Error() string {
	texts := make([]string, 0, len(e.Fields))
	for _, f := range e.Fields {
		texts = append(texts, f.Field+": "+f.Problem)
	}
	return "business calendar: " + strings.Join(texts, "; ")
}

type parser struct {
	calendar Calendar
	fields   []FieldError
}

func (p *parser) wrong(field, problem, problemJa string) {
	p.fields = append(p.fields, FieldError{field, problem, problemJa})
}

func (p *parser) zone(name string) {
	// "" and Local are names to time.LoadLocation, but mean another zone on another machine.
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		p.wrong("zone", fmt.Sprintf("%q is no time zone: write an IANA name such as Asia/Tokyo", name),
			fmt.Sprintf("%q というタイムゾーンはありません。Asia/Tokyo のような IANA 名で指定してください。", name))
		return
	}
	p.calendar.zone = zone
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (p *parser) week(hours map[string]string) {
	named := [7]string{}
	for _, key := range slices.Sorted(maps.Keys(hours)) {
		field := "hours." + key
		first, last, isRange := strings.Cut(strings.ToLower(key), "-")
		if !isRange {
			last = first
		}
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if from < 0 || to < 0 {
			p.wrong(field, "is no weekday: write mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri",
				"曜日ではありません。mon、tue、wed、thu、fri、sat、sun、または mon-fri のような範囲で指定してください。")
			continue
		}
		intervals := p.intervals(field, hours[key])
		for day := from; ; day = (day + 1) % 7 {
			if named[day] != "" {
				p.wrong(field, fmt.Sprintf("%s is also in hours.%s: give the hours of a day once", weekdays[day], named[day]),
					fmt.Sprintf("%s は hours.%s にもあります。各曜日の時間は一度だけ指定してください。", weekdays[day], named[day]))
				break
			}
			named[day] = key
			p.calendar.weekly[day] = intervals
			if day == to {
				break
			}
		}
	}
}

// intervals reads the working hours of a day. They are sorted; those that touch become one.
func (p *parser) intervals(field, text string) []interval {
	var found []interval
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		first, last, _ := strings.Cut(part, "-")
		from, okFrom := timeOfDay(strings.TrimSpace(first))
		to, okTo := timeOfDay(strings.TrimSpace(last))
		if !okFrom || !okTo {
			p.wrong(field, fmt.Sprintf("%q is no interval: write hours as 09:00-12:00,13:00-18:00; leave a closed day out", part),
				fmt.Sprintf("%q は時間帯ではありません。09:00-12:00,13:00-18:00 の形で指定し、休みの日は書かないでください。", part))
			return nil
		}
		if to <= from {
			p.wrong(field, fmt.Sprintf("%q does not end after it starts: split hours over midnight at 24:00 and put the rest on the next day from 00:00", part),
				fmt.Sprintf("%q の終わりが始まりより後ではありません。日をまたぐ時間は 24:00 で区切り、残りを翌日の 00:00 から指定してください。", part))
			return nil
		}
		found = append(found, interval{from, to})
	}
	slices.SortFunc(found, func(a, b interval) int { return int(a.from - b.from) })
	merged := found[:1]
	for _, next := range found[1:] {
		last := &merged[len(merged)-1]
		if next.from < last.to {
			p.wrong(field, fmt.Sprintf("%q has intervals that overlap: write each hour once", text),
				fmt.Sprintf("%q の時間帯が重なっています。重ならないように指定してください。", text))
			return nil
		}
		if next.from == last.to {
			last.to = next.to
			continue
		}
		merged = append(merged, next)
	}
	return merged
}

// timeOfDay reads 00:00 to 24:00 as seconds since midnight.
func timeOfDay(text string) (_ int64, ok bool) {
	if text == "24:00" {
		return secondsPerDay, true
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, false
	}
	return int64(t.Hour()*60+t.Minute()) * 60, true
}

const (
	dateLayout   = "2006-01-02"
	yearlyLayout = "01-02"
	// aLeapYear is the year in which days without a year are read, so that 02-29 is one of them.
	aLeapYear = 2000
	maxRange  = 366
)

func (p *parser) closed(list string, texts []string) {
	for i, text := range texts {
		field := fmt.Sprintf("%s[%d]", list, i)
		first, last, isRange := strings.Cut(strings.TrimSpace(text), "..")
		if !isRange {
			last = first
		}
		from, fromYearly, okFrom := date(first)
		to, toYearly, okTo := date(last)
		if !okFrom || !okTo || fromYearly != toYearly {
			p.wrong(field, fmt.Sprintf("%q is no day: write 2026-08-12, 2026-08-12..2026-08-14, or 12-29..01-03 for every year", text),
				fmt.Sprintf("%q は日付ではありません。2026-08-12、2026-08-12..2026-08-14、毎年なら 12-29..01-03 の形で指定してください。", text))
			continue
		}
		if fromYearly {
			p.closedYearly(from, to)
			continue
		}
		if days := dayOf(to.Date()) - dayOf(from.Date()) + 1; days < 1 || days > maxRange {
			p.wrong(field, fmt.Sprintf("%q is no range of 1 to %d days: write the earlier date first, and longer times in parts", text, maxRange),
				fmt.Sprintf("%q は 1 日から %d 日までの範囲ではありません。早い日付を先に、長い期間は分けて指定してください。", text, maxRange))
			continue
		}
		for day := dayOf(from.Date()); day <= dayOf(to.Date()); day++ {
			p.calendar.closed[day] = struct{}{}
		}
	}
}

// closedYearly closes the days from one to another of aLeapYear, over its end if need be, in every year.
func (p *parser) closedYearly(from, to time.Time) {
	for day := from; ; day = day.AddDate(0, 0, 1) {
		if day.Year() != aLeapYear {
			day = day.AddDate(-1, 0, 0) // The day is 1 January.
		}
		p.calendar.yearly[day.Month()][day.Day()] = true
		if day.Equal(to) {
			return
		}
	}
}

// date reads a date, or a day of every year.
func date(text string) (_ time.Time, yearly, ok bool) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(dateLayout, text); err == nil {
		return t, false, true
	}
	t, err := time.Parse(dateLayout, fmt.Sprintf("%04d-%s", aLeapYear, text))
	return t, true, err == nil && len(text) == len(yearlyLayout)
}

func (p *parser) special(text, hours string) {
	field := "working_days." + text
	day, err := time.Parse(dateLayout, text)
	if err != nil {
		p.wrong(field, "is no date: write 2026-08-15", "日付ではありません。2026-08-15 の形で指定してください。")
		return
	}
	p.calendar.special[dayOf(day.Date())] = p.intervals(field, hours)
}

// sometimesOpen refuses a calendar that never opens. One weekday with hours and one day of the year that is not closed are
// enough: they meet again and again, and all other closed days are finite in number.
func (p *parser) sometimesOpen() {
	weekly := slices.ContainsFunc(p.calendar.weekly[:], func(h []interval) bool { return len(h) > 0 })
	if !weekly && !slices.ContainsFunc(p.fields, func(f FieldError) bool { return strings.HasPrefix(f.Field, "hours.") }) {
		p.wrong("hours", "no weekday has working hours: write at least one, for instance mon-fri: 09:00-18:00",
			"どの曜日にも時間がありません。mon-fri: 09:00-18:00 のように、少なくとも一つ指定してください。")
	}
	for day := time.Date(aLeapYear, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == aLeapYear; day = day.AddDate(0, 0, 1) {
		if !p.calendar.yearly[day.Month()][day.Day()] {
			return
		}
	}
	p.wrong("company_holidays", "close every day of every year, together with holidays: leave some days out",
		"holidays と合わせて毎年すべての日が休みになります。営業する日を残してください。")
}
