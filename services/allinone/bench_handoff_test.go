package allinone_test

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// inFlight is how many handoffs are under way at a time when as many as possible are made. That is measured in a few long
// windows: each begins and ends with fewer.
const (
	inFlight    = 64
	relayRounds = 3
	// page is how many leads or handoffs one command is for where it is for many, and atPages how many people give such commands.
	page    = 100
	atPages = 8
	// fastest is more handoffs per second than there can be.
	fastest = 1500
)

// relayWindow is how long the windows are: two seconds unless -benchtime says otherwise.
func relayWindow() time.Duration { return 6 * window() }

// enough are leads for so many windows.
func enough(windows int) int { return windows * (int(relayWindow().Seconds()*fastest) + inFlight) }

// BenchmarkSystemRelay hands leads over from offer to decision: as many as possible, and at rates.
func BenchmarkSystemRelay(b *testing.B) {
	for _, kind := range houses {
		b.Run(kind.name, func(b *testing.B) {
			r := newRelay(b, kind.open(b))
			b.Run("most", func(b *testing.B) {
				r.prepare(enough(relayRounds + 1))
				got := takeTurnsOf(b, inFlight, relayRounds, relayWindow(), r.subject())[0]
				metrics := map[string]float64{"handoffs/s": got.rate, "cpu-ms/handoff": got.cpuMS(""), "p50-ms": quantile(got.took, 0.5), "p99-ms": quantile(got.took, 0.99)}
				if kind.name != "sqlite" {
					metrics["cpu-ms/handoff-pg"] = got.cpuMS("postgres")
				}
				report(b, metrics)
			})
			b.Run("pages", func(b *testing.B) {
				r.prepare(enough(relayRounds + 1))
				got := takeTurnsOf(b, atPages, relayRounds, relayWindow(), r.pages())[0]
				metrics := map[string]float64{"handoffs/s": got.rate * page, "cpu-ms/handoff": got.cpuMS("") / page, "p50-ms": quantile(got.took, 0.5), "p99-ms": quantile(got.took, 0.99)}
				if kind.name != "sqlite" {
					metrics["cpu-ms/handoff-pg"] = got.cpuMS("postgres") / page
				}
				report(b, metrics)
			})
			for _, rate := range []int{10, 100} {
				b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) {
					offers, decisions := r.pace(b, rate, 10*time.Second)
					report(b, map[string]float64{
						"offer-p50-ms": quantile(offers, 0.5), "offer-p99-ms": quantile(offers, 0.99),
						"decision-p50-ms": quantile(decisions, 0.5), "decision-p99-ms": quantile(decisions, 0.99),
					})
				})
			}
		})
	}
}

// subject hands one lead over after the other.
func (r *relay) subject() subject {
	return subject{
		cpu: r.house.cpu(r.t, "marketing", "inside-sales", "field-sales", "customer-success"),
		connect: func() (func() error, func(), error) {
			return func() error {
				_, err := r.handOver()
				return err
			}, func() {}, nil
		},
	}
}

// pages hands a page of leads over after the other.
func (r *relay) pages() subject {
	s := r.subject()
	s.connect = func() (func() error, func(), error) {
		return func() error { return r.handOverMany(page) }, func() {}, nil
	}
	return s
}

// pace hands over at a rate per second, whether or not earlier handoffs are through.
func (r *relay) pace(b *testing.B, rate int, length time.Duration) (offers, decisions []time.Duration) {
	b.Helper()
	n := int(length.Seconds() * float64(rate))
	r.prepare(n)
	all, errs := make([]handed, n), make([]error, n)
	pace := time.NewTicker(time.Second / time.Duration(rate))
	defer pace.Stop()
	var wg sync.WaitGroup
	for i := range n {
		<-pace.C
		wg.Go(func() { all[i], errs[i] = r.handOver() })
	}
	wg.Wait()
	for i, h := range all {
		if errs[i] != nil {
			b.Fatal(errs[i])
		}
		offers, decisions = append(offers, h.offer), append(decisions, h.decision)
	}
	return offers, decisions
}
