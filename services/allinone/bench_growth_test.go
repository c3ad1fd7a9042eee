package allinone_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff/handofftest"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// envGrowth is how many handoffs the ledgers of the large house have, a million unless it says otherwise.
	envGrowth = "TASUKI_GROWTH"
	// smallGrowth is how many those of the small house have.
	smallGrowth = 1_000
)

// Both houses take turns: so often, with so many handoffs in a window of as many as possible, for so long at a rate.
const (
	growthRounds = 5
	growthOps    = 200
	growthPace   = 3 * time.Second
	growthRate   = 10
	// growthReads is how long a window of reads is.
	growthReads = 300 * time.Millisecond
	// growthPage is as many rows as the lists of the small house have at least.
	growthPage = 10
)

// BenchmarkSystemGrowth does the same in two houses side by side: one has a thousand handoffs in the ledgers of sender and
// receiver, and their events in both feeds, the other has a million. Each metric is reported for the small and the large one,
// and as the ratio of the large one to the small.
func BenchmarkSystemGrowth(b *testing.B) {
	for _, kind := range houses[:2] { // `tasuki up` on both engines
		b.Run(kind.name, func(b *testing.B) {
			var opened []*house
			for _, n := range []int{largeGrowth(b), smallGrowth} { // all is written before anything runs
				began := time.Now()
				opened = append(opened, filledHouse(b, kind.name == "postgres", n))
				b.Logf("%d handoffs: filled in %.0f s", n, time.Since(began).Seconds())
			}
			var relays []*relay
			for _, h := range opened {
				h.up(b)
				h.awaitPassed(b)
				r := newRelay(b, h)
				r.prepare(2*(growthRounds+1)*growthOps + growthRounds*growthRate*int(growthPace.Seconds()))
				relays = append(relays, r)
			}
			large, small := relays[0], relays[1]
			b.Run("most", func(b *testing.B) {
				var subjects []subject
				for _, r := range []*relay{small, large} {
					s := r.subject()
					s.ops = growthOps
					subjects = append(subjects, s)
				}
				compare(b, takeTurnsOf(b, inFlight, growthRounds, time.Minute, subjects...), func(s sample) map[string]float64 {
					return map[string]float64{"handoffs/s": s.rate, "p50-ms": quantile(s.took, 0.5), "cpu-ms": s.cpuMS(""), "cpu-ms-pg": s.cpuMS("postgres")}
				})
			})
			b.Run("pages", func(b *testing.B) {
				var subjects []subject
				for _, r := range []*relay{small, large} {
					s := r.pages()
					s.ops = growthOps / page
					subjects = append(subjects, s)
				}
				compare(b, takeTurnsOf(b, atPages, growthRounds, time.Minute, subjects...), func(s sample) map[string]float64 {
					return map[string]float64{"handoffs/s": s.rate * page, "p50-ms": quantile(s.took, 0.5), "cpu-ms": s.cpuMS("") / page, "cpu-ms-pg": s.cpuMS("postgres") / page}
				})
			})
			b.Run(fmt.Sprintf("rate=%d", growthRate), func(b *testing.B) {
				type paced struct{ offers, decisions []time.Duration }
				got := make([]paced, 2)
				for range growthRounds {
					for i, r := range []*relay{small, large} {
						offers, decisions := r.pace(b, growthRate, growthPace)
						got[i] = paced{append(got[i].offers, offers...), append(got[i].decisions, decisions...)}
					}
				}
				compare(b, got, func(p paced) map[string]float64 {
					return map[string]float64{
						"offer-p50-ms": quantile(p.offers, 0.5), "offer-p99-ms": quantile(p.offers, 0.99),
						"decision-p50-ms": quantile(p.decisions, 0.5), "decision-p99-ms": quantile(p.decisions, 0.99),
					}
				})
			})
			for _, look := range looks {
				b.Run("look="+look.name, func(b *testing.B) {
					got := takeTurnsOf(b, 1, rounds, growthReads, small.looking(look.at), large.looking(look.at))
					compare(b, got, func(s sample) map[string]float64 {
						return map[string]float64{"p50-ms": quantile(s.took, 0.5), "cpu-ms": s.cpuMS(""), "cpu-ms-pg": s.cpuMS("postgres")}
					})
				})
			}
		})
	}
}

func largeGrowth(b *testing.B) int {
	b.Helper()
	text := os.Getenv(envGrowth)
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < smallGrowth {
		b.Fatalf("%s=%s is no number of handoffs from %d on", envGrowth, text, smallGrowth)
	}
	return n
}

// compare reports the metrics of the small house, of the large one, and their ratio. What is nothing in both is left out.
func compare[T any](b *testing.B, smallAndLarge []T, metrics func(T) map[string]float64) {
	b.Helper()
	out := map[string]float64{}
	large := metrics(smallAndLarge[1])
	for name, small := range metrics(smallAndLarge[0]) {
		if small == 0 && large[name] == 0 {
			continue
		}
		out[name+":small"], out[name+":large"], out[name+":ratio"] = small, large[name], large[name]/small
	}
	report(b, out)
}

// filledHouse is a house that has not started yet, whose marketing has handed n leads over to inside sales.
func filledHouse(b *testing.B, postgres bool, n int) *house {
	b.Helper()
	dsn := ""
	if postgres {
		dsn = databases(b)
	}
	h := emptyHouse(b, dsn)
	g, ctx := errgroup.WithContext(b.Context())
	for _, ledger := range []struct {
		department, program string
		side                handoff.Side
	}{{"marketing", "marketing", handoff.Out}, {"inside-sales", "insidesales", handoff.In}} {
		run(b, filepath.Join(programs(b), ledger.program), "migrate", "--dsn", h.dsn(ledger.department))
		g.Go(func() error { return fill(ctx, h.dsn(ledger.department), ledger.side, n) })
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	if postgres { // what was filled must not be on its way to the disk while handoffs are measured
		execSQL(b, h.marketing, "CHECKPOINT")
	}
	return h
}

// fill fills a ledger, and waits until SQLite's file is on disk.
func fill(ctx context.Context, dsn string, side handoff.Side, n int) error {
	db, err := store.Open(ctx, dsn, store.WithoutSync())
	if err != nil {
		return err
	}
	err = handofftest.Fill(ctx, db, side, n)
	db.Close()
	path, ok := strings.CutPrefix(dsn, "sqlite:")
	if err != nil || !ok {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// awaitPassed waits until every subscription is past the events that were filled, which none of them wants.
func (h *house) awaitPassed(b *testing.B) {
	b.Helper()
	c := &restClient{url: h.url, token: h.token(b, "admin")}
	await(b, "all subscriptions are past the events", 100*time.Millisecond, func() error {
		for _, d := range departments {
			list := &feedv1.ListSubscriptionsResponse{}
			c.do(b, http.MethodGet, "/"+d.name+"/v1/subscriptions", "", nil, list)
			for _, sub := range list.GetSubscriptions() {
				if sub.GetCursor() == "" && (sub.GetSource() == "marketing" || sub.GetSource() == "inside-sales") {
					return errors.New(sub.GetName() + " is at the beginning")
				}
			}
		}
		return nil
	})
}

// looks are what is read of a ledger and its feed. at prepares one look of a house.
var looks = []struct {
	name string
	at   func(r *relay) (look func() error, err error)
}{
	{"offered", func(r *relay) (func() error, error) { // the newest that wait in inside sales
		return r.listing(&handoffv1.ListHandoffsRequest{States: []handoffv1.State{handoffv1.State_STATE_OFFERED}}), nil
	}},
	{"queue", func(r *relay) (func() error, error) {
		return r.listing(&handoffv1.ListHandoffsRequest{Queue: handofftest.Queue}), nil
	}},
	{"watch", func(r *relay) (func() error, error) { // opening the desk
		return func() error {
			ctx, cancel := context.WithCancel(r.insidePerson)
			defer cancel()
			desk, err := handoffv1.NewHandoffDeskServiceClient(r.inside).WatchHandoffs(ctx, &handoffv1.WatchHandoffsRequest{Box: handoffv1.Box_BOX_INBOX})
			if err == nil {
				_, err = desk.Recv() // where it begins
			}
			return err
		}, nil
	}},
	{"feed-end", func(r *relay) (func() error, error) { // what subscriptions do when nothing has happened
		ctx, cancel := context.WithCancel(r.person("admin"))
		defer cancel()
		stream, err := feedv1.NewFeedServiceClient(r.inside).StreamEvents(ctx, &feedv1.StreamEventsRequest{After: "now"})
		if err != nil {
			return nil, err
		}
		now, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return r.reading(&feedv1.ListEventsRequest{PageToken: now.GetCursor(), Types: []string{"tasuki.handoff.v1.HandoffAccepted"}}, 0), nil
	}},
	{"feed-page", func(r *relay) (func() error, error) { // reading from the beginning
		return r.reading(&feedv1.ListEventsRequest{PageSize: smallGrowth}, smallGrowth), nil
	}},
}

func (r *relay) person(role string) context.Context { return r.house.as(r.t, role) }

// listing is a page of inside sales' inbox, which must be full.
func (r *relay) listing(req *handoffv1.ListHandoffsRequest) func() error {
	desk := handoffv1.NewHandoffDeskServiceClient(r.inside)
	req.Box, req.PageSize = handoffv1.Box_BOX_INBOX, growthPage
	return func() error {
		page, err := desk.ListHandoffs(r.insidePerson, req)
		if err == nil && len(page.GetHandoffs()) != growthPage {
			err = fmt.Errorf("%d handoffs on a page of %d", len(page.GetHandoffs()), growthPage)
		}
		return err
	}
}

// reading is a look at inside sales' feed that finds so many events.
func (r *relay) reading(req *feedv1.ListEventsRequest, want int) func() error {
	feed, admin := feedv1.NewFeedServiceClient(r.inside), r.person("admin")
	return func() error {
		page, err := feed.ListEvents(admin, req)
		if err == nil && len(page.GetEvents()) != want {
			err = fmt.Errorf("%d events instead of %d", len(page.GetEvents()), want)
		}
		return err
	}
}

// looking looks again and again.
func (r *relay) looking(at func(r *relay) (func() error, error)) subject {
	look, err := at(r)
	if err != nil {
		r.t.Fatal(err)
	}
	return subject{cpu: r.subject().cpu, connect: func() (func() error, func(), error) { return look, func() {}, nil }}
}
