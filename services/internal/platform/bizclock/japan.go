package bizclock

import (
	"sync"
	"time"

	"github.com/rickar/cal/v2/jp"
)

// japanFrom and japanTo are the years for which national holidays are computed. In 2020 the Emperor's birthday took its
// present date, after the last holidays that were made for one year; the formula of the equinoxes ends with 2099.
const japanFrom, japanTo = 2020, 2099

// correctJapan is the one place for what rickar/cal v2.1.13 gets wrong about Japan.
//
//   - For the Olympics, Mountain Day moved to 2020-08-10 and to 2021-08-08, a Sunday with its substitute on the Monday. The
//     library moves Marine Day and Sports Day only.
//   - A day between two national holidays is a holiday (国民の休日). The library lists those up to 2032; japan applies
//     the rule to all years.
//   - VernalEquinoxDay writes to itself when it is computed, which is a data race. japan computes copies, once.
func correctJapan(days map[int64]struct{}) {
	delete(days, dayOf(2020, time.August, 11))
	delete(days, dayOf(2021, time.August, 11))
	days[dayOf(2020, time.August, 10)] = struct{}{}
	days[dayOf(2021, time.August, 8)] = struct{}{}
	days[dayOf(2021, time.August, 9)] = struct{}{}
}

// japan has the national holidays of Japan (国民の祝日, 振替休日, 国民の休日) as days since 1970-01-01.
var japan = sync.OnceValue(func() map[int64]struct{} {
	days := map[int64]struct{}{}
	substitutes := map[int64]struct{}{}
	for year := japanFrom; year <= japanTo; year++ {
		for _, h := range jp.Holidays {
			holiday := *h
			on, observed := holiday.Calc(year)
			if on.IsZero() {
				continue
			}
			days[dayOf(on.Date())] = struct{}{}
			if !observed.Equal(on) {
				substitutes[dayOf(observed.Date())] = struct{}{}
			}
		}
	}
	correctJapan(days)
	// Both neighbours must be holidays in their own right: a substitute makes no further holiday.
	for day := range days {
		_, next := days[day+2]
		if _, between := days[day+1]; next && !between {
			substitutes[day+1] = struct{}{}
		}
	}
	for day := range substitutes {
		days[day] = struct{}{}
	}
	return days
})

// dayOf is a date as days since 1970-01-01.
func dayOf(year int, month time.Month, day int) int64 {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay
}
