package bizclock_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/bizclock"
)

// The figure to look at is ns/day: it must not grow with the number of days, nor with the length of the working day.
func BenchmarkClock(b *testing.B) {
	start := time.Date(2026, 1, 4, 15, 0, 0, 0, time.UTC)
	for _, x := range []struct{ zone, hours string }{
		{"Asia/Tokyo", "09:00-18:00"},
		{"Asia/Tokyo", "09:00-09:01"},
		{"Europe/Berlin", "09:00-12:00,13:00-18:00"},
	} {
		c := calendar(b, bizclock.Config{Zone: x.zone, Hours: map[string]string{"mon-fri": x.hours}, National: "jp", CompanyHolidays: []string{"12-29..01-03"}})
		for _, days := range []int{1, 30, 365} {
			end := start.AddDate(0, 0, days)
			d := c.Elapsed(start, end)
			name := fmt.Sprintf("zone=%s/hours=%s/days=%d", x.zone, x.hours, days)
			run := func(op string, f func()) {
				b.Run(op+"/"+name, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						f()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(days), "ns/day")
				})
			}
			run("Add", func() { c.Add(start, d) })
			run("AddBack", func() { c.Add(end, -d) })
			run("Elapsed", func() { c.Elapsed(start, end) })
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := bizclock.New(bizclock.DefaultConfig()); err != nil {
			b.Fatal(err)
		}
	}
}
