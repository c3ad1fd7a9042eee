// Package civil has the calendar date as people mean it: due dates, first days of contracts. A date has no time and no
// time zone; which date it is now depends on the company's zone.
package civil

import (
	"time"

	"google.golang.org/genproto/googleapis/type/date"
)

// Zone is the company's time zone, in which an instant becomes a date. Japan has no summer time, so a fixed zone needs no
// time zone database on the machine.
var Zone = time.FixedZone("Asia/Tokyo", 9*60*60)

const layout = "2006-01-02"

// Date is a calendar date as YYYY-MM-DD, which is also how tables hold it (TEXT): dates compare as text. Empty is no date.
type Date string

// DateOf is the date in the company's zone at an instant; empty for the zero time.
func DateOf(t time.Time) Date {
	if t.IsZero() {
		return ""
	}
	return Date(t.In(Zone).Format(layout))
}

// FromProto reads a full date. ok is false for a date that does not exist or has no year, month or day; nil is no date.
func FromProto(d *date.Date) (_ Date, ok bool) {
	if d == nil {
		return "", true
	}
	t := time.Date(int(d.GetYear()), time.Month(d.GetMonth()), int(d.GetDay()), 0, 0, 0, 0, time.UTC)
	same := t.Year() == int(d.GetYear()) && int32(t.Month()) == d.GetMonth() && int32(t.Day()) == d.GetDay()
	if !same || d.GetYear() < 1 || d.GetYear() > 9999 {
		return "", false
	}
	return Date(t.Format(layout)), true
}

// Proto is the date as the contract writes it; nil for no date.
func (d Date) Proto() *date.Date {
	t, err := time.Parse(layout, string(d))
	if err != nil {
		return nil
	}
	return &date.Date{Year: int32(t.Year()), Month: int32(t.Month()), Day: int32(t.Day())}
}

// Start is the instant at which the date begins in the company's zone, in UTC; the zero time for no date.
func (d Date) Start() time.Time {
	t, err := time.ParseInLocation(layout, string(d), Zone)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// AddDays is the date n calendar days later; no date stays no date.
func (d Date) AddDays(n int) Date {
	t, err := time.Parse(layout, string(d))
	if err != nil {
		return ""
	}
	return Date(t.AddDate(0, 0, n).Format(layout))
}

// DaysSince is how many calendar days d lies after earlier; 0 when one of them is no date.
func (d Date) DaysSince(earlier Date) int {
	a, errA := time.Parse(layout, string(earlier))
	b, errB := time.Parse(layout, string(d))
	if errA != nil || errB != nil {
		return 0
	}
	return int(b.Sub(a) / (24 * time.Hour))
}
