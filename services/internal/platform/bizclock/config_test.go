package bizclock_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/bizclock"
)

func TestConfigErrorsNameFieldsAndSayWhatToDo(t *testing.T) {
	good := func() bizclock.Config {
		c := bizclock.DefaultConfig()
		c.Hours = map[string]string{"mon": "09:00-12:00"}
		return c
	}
	hours := func(key, text string) func(*bizclock.Config) {
		return func(c *bizclock.Config) { c.Hours[key] = text }
	}
	holidays := func(texts ...string) func(*bizclock.Config) {
		return func(c *bizclock.Config) { c.Holidays = texts }
	}
	working := func(date, text string) func(*bizclock.Config) {
		return func(c *bizclock.Config) { c.WorkingDays = map[string]string{date: text} }
	}
	for _, x := range []struct {
		what   string
		change func(*bizclock.Config)
		want   []string // Field and a part of the text, for each error.
	}{
		{"fine", func(*bizclock.Config) {}, nil},
		{"weekdays in a range over the week's end", hours("fri-sun", "09:00-18:00"), nil},
		{"upper case and spaces", hours("Tue", " 09:00 - 12:00 , 13:00-24:00 "), nil},
		{"unsorted and touching", hours("tue", "13:00-18:00,09:00-12:00,12:00-13:00"), nil},
		{"one yearly day, a leap day", holidays("12-24", "02-29"), nil},
		{"a date, and a range over the year's end", holidays("2026-12-24", "2026-12-30..2027-01-02"), nil},
		{"no zone", func(c *bizclock.Config) { c.Zone = "" }, []string{"zone: write an IANA name"}},
		{"the machine's zone", func(c *bizclock.Config) { c.Zone = "Local" }, []string{"zone: write an IANA name"}},
		{"unknown zone", func(c *bizclock.Config) { c.Zone = "Asia/Tokio" }, []string{`zone: "Asia/Tokio"`}},
		{"a path as zone", func(c *bizclock.Config) { c.Zone = "../../etc/passwd" }, []string{"zone: no time zone"}},
		{"no hours", func(c *bizclock.Config) { c.Hours = nil }, []string{"hours: no weekday has working hours"}},
		{"no weekday", hours("holiday", "09:00-18:00"), []string{"hours.holiday: no weekday"}},
		{"half a range", hours("tue-", "09:00-18:00"), []string{"hours.tue-: no weekday"}},
		{"a day twice", hours("mon-fri", "09:00-18:00"), []string{"hours.mon-fri: mon is also in hours.mon"}},
		{"the same key twice", hours("MON", "09:00-18:00"), []string{"hours.mon: mon is also in hours.MON"}},
		{"no interval", hours("tue", ""), []string{`hours.tue: "" is no interval`}},
		{"closed in words", hours("tue", "closed"), []string{"hours.tue: leave a closed day out"}},
		{"short times", hours("tue", "9:00-18:00"), []string{`hours.tue: "9:00-18:00"`}},
		{"after midnight", hours("tue", "09:00-25:00"), []string{"hours.tue: is no interval"}},
		{"over midnight", hours("tue", "22:00-06:00"), []string{"hours.tue: split hours over midnight at 24:00"}},
		{"nothing", hours("tue", "09:00-09:00"), []string{"hours.tue: does not end after it starts"}},
		{"overlap", hours("tue", "12:00-18:00,09:00-12:01"), []string{"hours.tue: overlap"}},
		{"unknown nation", func(c *bizclock.Config) { c.National = "xx" }, []string{`national: "xx"`}},
		{"no date", holidays("2026-08-12", "2026-02-30"), []string{`holidays[1]: "2026-02-30" is no day`}},
		{"mixed range", holidays("2026-08-12..08-14"), []string{"holidays[0]: is no day"}},
		{"reversed range", holidays("2026-08-14..2026-08-12"), []string{"holidays[0]: the earlier date first"}},
		{"long range", holidays("2026-01-01..2027-01-02"), []string{"holidays[0]: 1 to 366 days"}},
		{"no date to work", working("08-15", "09:00-18:00"), []string{"working_days.08-15: no date"}},
		{"no hours to work", working("2026-08-15", "closed"), []string{"working_days.2026-08-15: no interval"}},
		{"every day closed", func(c *bizclock.Config) { c.Holidays = []string{"01-04..12-28"} }, []string{"company_holidays: every day of every year"}},
		{"all but the leap day closed", holidays("03-01..02-28"), nil},
		{"several at once", func(c *bizclock.Config) { c.Zone, c.National, c.Hours = "x", "y", map[string]string{"z": ""} }, []string{"zone: x", "hours.z: weekday", "national: y"}},
	} {
		c := good()
		x.change(&c)
		_, err := bizclock.New(c)
		var wrong *bizclock.ConfigError
		if errors.As(err, &wrong) != (x.want != nil) {
			t.Errorf("%s: %v", x.what, err)
			continue
		}
		if wrong == nil {
			continue
		}
		if len(wrong.Fields) != len(x.want) {
			t.Errorf("%s: %v", x.what, err)
			continue
		}
		for i, want := range x.want {
			field, text, _ := strings.Cut(want, ": ")
			got := wrong.Fields[i]
			if got.Field != field || !strings.Contains(got.Problem, text) || got.ProblemJa == "" || !strings.Contains(err.Error(), field+": "+got.Problem) {
				t.Errorf("%s: %+v, want %s", x.what, got, want)
			}
		}
	}
}

func TestConfigFromJSON(t *testing.T) {
	var config bizclock.Config
	if err := json.Unmarshal([]byte(`{
		"zone": "Europe/Berlin",
		"hours": {"mon-thu": "09:00-12:00,13:00-18:00", "fri": "09:00-15:00"},
		"holidays": ["01-01", "05-01", "2026-04-03", "12-25..12-26"],
		"company_holidays": ["2026-12-24..2026-12-31"],
		"working_days": {"2026-12-28": "10:00-12:00"}
	}`), &config); err != nil {
		t.Fatal(err)
	}
	c := calendar(t, config)
	if got := c.Elapsed(at(t, "Europe/Berlin", "2026-12-21 00:00"), at(t, "Europe/Berlin", "2027-01-01 00:00")); got != 3*8*time.Hour+2*time.Hour {
		t.Errorf("Christmas has %s", got)
	}
	if got := c.Elapsed(at(t, "Europe/Berlin", "2026-03-30 00:00"), at(t, "Europe/Berlin", "2026-04-06 00:00")); got != 4*8*time.Hour {
		t.Errorf("the week before Easter has %s", got)
	}
}

func TestYearlyRangesOverTheLeapDay(t *testing.T) {
	for _, x := range []struct {
		days         string
		closed, open []string
	}{
		{"12-29..02-29", []string{"2028-02-29", "2027-02-28", "2026-12-29"}, []string{"2028-03-01", "2027-03-01", "2026-12-28"}},
		{"02-29..03-01", []string{"2028-02-29", "2027-03-01"}, []string{"2027-02-28", "2028-03-02"}},
	} {
		c := calendar(t, bizclock.Config{Zone: "UTC", Hours: map[string]string{"mon-sun": "00:00-24:00"}, CompanyHolidays: []string{x.days}})
		for _, day := range slices.Concat(x.closed, x.open) {
			if c.IsOpen(at(t, "UTC", day+" 12:00")) != slices.Contains(x.open, day) {
				t.Errorf("%s: %s", x.days, day)
			}
		}
	}
}

// Whatever New accepts must keep the package's promises, and whatever it refuses must be a ConfigError.
func FuzzNew(f *testing.F) {
	f.Add("Asia/Tokyo", "mon-fri", "09:00-12:00,13:00-18:00", "jp", "12-29..01-03", "2026-08-15", "10:00-15:00", int64(1795449600))
	f.Add("Europe/Berlin", "sun", "02:10-02:50", "", "2026-03-29", "2026-10-25", "00:00-24:00", int64(1774746000))
	f.Add("America/Havana", "SAT-mon", "00:00-01:00", "", "02-29..02-28", "", "", int64(1793500000))
	f.Add("UTC", "mon", "09:00-10:00", "", "03-01..02-28", "0001-01-01", "00:00-24:00", int64(-62135596800))
	f.Fuzz(func(t *testing.T, zone, days, hours, national, holidays, date, special string, start int64) {
		config := bizclock.Config{Zone: zone, Hours: map[string]string{days: hours}, National: national, Holidays: []string{holidays}}
		if date != "" || special != "" {
			config.WorkingDays = map[string]string{date: special}
		}
		c, err := bizclock.New(config)
		if err != nil {
			var wrong *bizclock.ConfigError
			if !errors.As(err, &wrong) || len(wrong.Fields) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		from := time.Unix(start%4e9, 0)
		next := c.NextOpen(from)
		if next.Before(from) || !c.IsOpen(next) {
			t.Fatalf("next opening after %s: %s", from, next)
		}
		due := c.Add(next, time.Second)
		if !due.Equal(next.Add(time.Second)) || c.Elapsed(from, due) != time.Second {
			t.Fatalf("a second after %s: %s", next, due)
		}
	})
}
