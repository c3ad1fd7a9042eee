package bizclock_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rickar/cal/v2/jp"

	"github.com/tasuki-project/tasuki/services/internal/platform/bizclock"
)

type holiday struct {
	date      time.Time
	name, how string
}

func official(t testing.TB) map[string]holiday {
	t.Helper()
	days := map[string]holiday{}
	for line := range strings.Lines(strings.TrimSpace(officialJapan)) {
		f := strings.Fields(line)
		date, err := time.Parse("2006-01-02", f[0])
		if err != nil || len(f) != 3 {
			t.Fatalf("%q: %v", line, err)
		}
		days[f[0]] = holiday{date, f[1], f[2]}
	}
	if len(days) != 286 {
		t.Fatalf("%d holidays in the list", len(days))
	}
	return days
}

func TestJapanDayByDay(t *testing.T) {
	days := official(t)
	c := calendar(t, bizclock.Config{Zone: "Asia/Tokyo", Hours: map[string]string{"mon-sun": "00:00-24:00"}, National: "jp"})
	checked := 0
	for noon := time.Date(2020, 1, 1, 3, 0, 0, 0, time.UTC); noon.Year() <= 2035; noon = noon.AddDate(0, 0, 1) {
		h, closed := days[noon.Format("2006-01-02")]
		if c.IsOpen(noon) == closed {
			t.Errorf("%s %s (%s): open is %t", noon.Format("2006-01-02"), h.name, h.how, !closed)
		}
		checked++
	}
	if checked != 16*365+4 {
		t.Errorf("%d days checked", checked)
	}
}

// The list is data; this is what shows that it is right.
func TestOfficialJapanFollowsTheLaw(t *testing.T) {
	days := official(t)
	// A day is a holiday in its own right (国民の祝日) unless the list calls it just a day off.
	own := func(d time.Time) bool {
		h, ok := days[d.Format("2006-01-02")]
		return ok && h.name != "休日"
	}
	want := map[string]string{}
	expect := func(d time.Time, how string) { want[d.Format("2006-01-02")] = how }
	for year := 2020; year <= 2035; year++ {
		on := func(month time.Month, day int) time.Time { return time.Date(year, month, day, 0, 0, 0, 0, time.UTC) }
		monday := func(month time.Month, n int) time.Time {
			first := on(month, 1)
			return first.AddDate(0, 0, (8-int(first.Weekday()))%7+7*(n-1))
		}
		for _, d := range []time.Time{
			on(1, 1), on(2, 11), on(2, 23), on(4, 29), on(5, 3), on(5, 4), on(5, 5), on(11, 3), on(11, 23),
		} {
			expect(d, "fixed")
		}
		expect(monday(1, 2), "monday-2")
		expect(monday(9, 3), "monday-3")
		expect(equinox(year, march), "equinox")
		expect(equinox(year, september), "equinox")
		switch year {
		case 2020:
			expect(on(7, 23), "olympics")
			expect(on(7, 24), "olympics")
			expect(on(8, 10), "olympics")
		case 2021:
			expect(on(7, 22), "olympics")
			expect(on(7, 23), "olympics")
			expect(on(8, 8), "olympics")
		default:
			expect(monday(7, 3), "monday-3")
			expect(on(8, 11), "fixed")
			expect(monday(10, 2), "monday-2")
		}
		for d := on(1, 1); d.Year() == year; d = d.AddDate(0, 0, 1) {
			if own(d) && d.Weekday() == time.Sunday {
				next := d.AddDate(0, 0, 1)
				for own(next) {
					next = next.AddDate(0, 0, 1)
				}
				expect(next, "for-"+d.Format("01-02"))
			}
			if !own(d) && own(d.AddDate(0, 0, -1)) && own(d.AddDate(0, 0, 1)) {
				expect(d, "between")
			}
		}
	}
	for date, how := range want {
		if days[date].how != how {
			t.Errorf("%s: the law says %s, the list %q", date, how, days[date].how)
		}
	}
	for date, h := range days {
		if want[date] == "" {
			t.Errorf("%s %s: not by law", date, h.name)
		}
	}
}

// The rules that depend on the sun must hold for all years for which the package has holidays.
func TestEquinoxesToTheEndOfTheCentury(t *testing.T) {
	c := calendar(t, bizclock.Config{Zone: "Asia/Tokyo", Hours: map[string]string{"mon-sun": "00:00-24:00"}, National: "jp"})
	for year := 2020; year <= 2099; year++ {
		for _, which := range []polynomial{march, september} {
			if day := equinox(year, which); c.IsOpen(day.Add(3 * time.Hour)) {
				t.Errorf("%s is no holiday", day.Format("2006-01-02"))
			}
		}
		// Respect for the Aged Day is the third Monday of September; a single day between the two is a holiday as well.
		autumn := equinox(year, september)
		if before := autumn.AddDate(0, 0, -2); before.Weekday() == time.Monday && c.IsOpen(autumn.Add(-21*time.Hour)) {
			t.Errorf("%s lies between two holidays", autumn.AddDate(0, 0, -1).Format("2006-01-02"))
		}
	}
}

func TestYearsOutsideTheListHaveNoHolidays(t *testing.T) {
	c := bizclock.Default()
	for _, day := range []string{"2019-04-29", "2100-04-29"} { // A Monday and a Thursday.
		if noon, _ := time.Parse(time.RFC3339, day+"T12:00:00+09:00"); !c.IsOpen(noon) {
			t.Errorf("%s is closed", day)
		}
	}
}

// When this fails, the library has been mended: take the day out of correctJapan.
func TestTheLibraryStillNeedsCorrection(t *testing.T) {
	mountain := *jp.MountainDay
	for _, year := range []int{2020, 2021} {
		if on, _ := mountain.Calc(year); fmt.Sprint(on.Date()) != fmt.Sprint(year, time.August, 11) {
			t.Errorf("the library moves Mountain Day to %s", on)
		}
	}
}

// polynomial is a mean equinox of the years 1000 to 3000 by millennia from 2000 (Meeus, table 27.B).
type polynomial [5]float64

var (
	march     = polynomial{2451623.80984, 365242.37404, 0.05169, -0.00411, -0.00057}
	september = polynomial{2451810.21715, 365242.01767, -0.11575, 0.00337, 0.00078}
)

// equinox is the date of an equinox in Japan.
func equinox(year int, p polynomial) time.Time {
	y := float64(year-2000) / 1000
	mean := p[0] + y*(p[1]+y*(p[2]+y*(p[3]+y*p[4])))
	century := (mean - 2451545) / 36525
	w := radians(35999.373*century - 2.47)
	sum := 0.0
	for _, term := range [][3]float64{ // Meeus, table 27.C.
		{485, 324.96, 1934.136},
		{203, 337.23, 32964.467},
		{199, 342.08, 20.186},
		{182, 27.85, 445267.112},
		{156, 73.14, 45036.886},
		{136, 171.52, 22518.443},
		{77, 222.54, 65928.934},
		{74, 296.72, 3034.906},
		{70, 243.58, 9037.513},
		{58, 119.81, 33718.147},
		{52, 297.17, 150.678},
		{50, 21.02, 2281.226},
		{45, 247.54, 29929.562},
		{44, 325.15, 31555.956},
		{29, 60.93, 4443.417},
		{18, 155.12, 67555.328},
		{17, 288.79, 4562.452},
		{16, 198.04, 62894.029},
		{14, 199.76, 31436.921},
		{12, 95.39, 14577.848},
		{12, 287.11, 31931.756},
		{12, 320.81, 34777.259},
		{9, 227.73, 1222.114},
		{8, 15.45, 16859.074},
	} {
		sum += term[0] * math.Cos(radians(term[1]+term[2]*century))
	}
	day := mean + 0.00001*sum/(1+0.0334*math.Cos(w)+0.0007*math.Cos(2*w))
	// Dynamical time is ahead of universal time by a little more than a minute in these years. Julian day 2440587.5 is 1970.
	seconds := (day-2440587.5)*86400 - 75
	return time.Unix(int64(seconds), 0).UTC().Add(9 * time.Hour).Truncate(24 * time.Hour)
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }
