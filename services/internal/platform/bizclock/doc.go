// Package bizclock counts business time: the hours in which somebody is there to act. It is arithmetic only, with no I/O
// and no clock of its own; the caller says what time it is.
//
// It promises that
//   - an office is open exactly when the clock on its wall, in the calendar's zone, shows a time within the working hours
//     of that date. When summer time begins, hours that the wall clock skips do not exist; when it ends, hours that it
//     shows twice count twice. Elapsed time is always real time;
//   - working hours include their first instant and exclude their last: at 18:00 an office that closes at 18:00 is closed;
//   - Add and Elapsed are inverse: Elapsed(t, Add(t, d)) == d for every d, and Add(t, d) is the earliest such instant
//     (for a negative d the latest). So nine hours from Friday 9:00 end on Friday at 18:00, not on Monday at 9:00, and
//     Add(Add(t, a), b) == Add(t, a+b) when a and b have the same sign;
//   - the cost grows with the days between two instants, never with the seconds (some 50 ns a day, so that even the
//     longest way, through all years, ends within a second), and nothing is allocated per day;
//   - a Calendar never changes and may be used by many goroutines at once;
//   - New refuses a calendar that never opens, names every field that is wrong and says what to write instead.
//
// Durations have the resolution of time.Duration, hours that of a minute. Results are in UTC. Calendars cover the years 1
// to 9999: outside of Begin and End every calendar is closed, Add, NextOpen and AddDays never leave these bounds unless
// they start outside, and Elapsed stays within the range of a time.Duration (about 292 years of open time) as
// time.Time.Sub does.
//
// National holidays of Japan are known for the years 2020 to 2099; other years have none. 2020 to 2035 are checked against
// a second source day by day. Later years follow the law of today and the computed equinoxes; a holiday that the law moves
// or adds can be put into Config at once, by Holidays and WorkingDays.
package bizclock
