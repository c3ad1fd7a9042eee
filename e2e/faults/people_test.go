package faults

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// person works in a department, or leaves leads.
type person struct {
	rest.Client
	name    string
	journal *journal
}

// Ends of a call that did not do what it should.
var (
	// errAway: nobody answered for a while. It may have been done.
	errAway = errors.New("nobody answers")
	// errSettled: somebody was faster, or it was done before.
	errSettled = errors.New("settled already")
)

const (
	// callTimeout is how long a person waits for one answer.
	callTimeout = 8 * time.Second
	// giveUp is after how many answers that never came a person turns to something else.
	giveUp = 6
)

// send makes a command, again and again with the same key while nobody answers.
func (p person) send(ctx context.Context, method, path, key string, in, out proto.Message) error {
	for n := range giveUp {
		err := p.once(ctx, method, path, in, out, rest.Header{Name: "Idempotency-Key", Value: key})
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case settled(err):
			return errSettled
		case !p.away(method, path, err):
			return err
		}
		pause(ctx, time.Duration(50+rand.IntN(100))*time.Millisecond<<min(n, 4))
	}
	return errAway
}

func (p person) post(ctx context.Context, path, key string, in, out proto.Message) error {
	return p.send(ctx, http.MethodPost, path, key, in, out)
}

func (p person) once(ctx context.Context, method, path string, in, out proto.Message, headers ...rest.Header) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return p.Call(ctx, method, path, in, out, headers...)
}

// away tells whether an error means that somebody did not answer. Any other error is one that callers must never see.
func (p person) away(method, path string, err error) bool {
	st, answered := status.FromError(err)
	name := "no answer"
	if answered {
		name = st.Code().String()
	}
	p.journal.note(func(j *journal) { j.answers[name]++ })
	if !answered || st.Code() == codes.Unavailable || st.Code() == codes.DeadlineExceeded {
		return true
	}
	p.journal.wrong("%s %s was answered: %s", method, path, rest.Explain(err))
	return false
}

func settled(err error) bool {
	switch rest.Reason(err) {
	case "DECISION_TAKEN", "ILLEGAL_TRANSITION", "ETAG_MISMATCH", "GUARD_NOT_MET":
		return true
	}
	return false
}

// pages reads a whole list; what it has read before nobody answered is lost.
func pages[P interface {
	proto.Message
	GetNextPageToken() string
	*M
}, M any, T any](ctx context.Context, p person, path string, items func(P) []T,
) ([]T, error) {
	var found []T
	ctx, cancel := context.WithTimeout(ctx, 4*callTimeout)
	defer cancel()
	err := rest.Pages(ctx, p.Client, path, func(page P) { found = append(found, items(page)...) })
	if err != nil && ctx.Err() == nil && !p.away(http.MethodGet, path, err) {
		return nil, err
	}
	return found, err
}

// dice is a number from 0 to 99, the same for the same words.
func dice(words ...any) int {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, words...) // a hash takes everything
	return int(h.Sum32() % 100)
}

// crowd are the people of all departments, at work.
type crowd struct {
	relay   *scenario.Relay
	journal *journal
	wg      sync.WaitGroup

	marketers, callers, sellers, managers []person
}

func newCrowd(h *house.House, relay *scenario.Relay, j *journal) *crowd {
	team := func(prefix, role string, names ...string) []person {
		var people []person
		for _, name := range names {
			people = append(people, person{rest.Client{URL: h.URL + prefix, Token: h.TokenOf(role, name)}, name, j})
		}
		return people
	}
	return &crowd{
		relay: relay, journal: j,
		marketers: team("/marketing", "marketing", "sato", "kato"),
		// Two for each desk: they decide on the same offers.
		callers:  team("/inside-sales", "inside-sales", "suzuki", "ito"),
		sellers:  team("/field-sales", "field-sales", "takahashi", "nakamura"),
		managers: team("/customer-success", "customer-success", "yamamoto", "kobayashi"),
	}
}

// work lets everybody work on what lies on their desks until ctx ends; wait waits for them.
func (c *crowd) work(ctx context.Context) {
	for _, desk := range []struct {
		people []person
		round  func(ctx context.Context, p person) int
	}{
		{c.marketers[:1], c.marketing}, {c.callers, c.insideSales}, {c.sellers, c.fieldSales}, {c.managers, c.customerSuccess},
	} {
		for _, p := range desk.people {
			c.wg.Go(func() {
				for ctx.Err() == nil {
					if desk.round(ctx, p) == 0 {
						pause(ctx, time.Duration(150+rand.IntN(150))*time.Millisecond)
					}
				}
			})
		}
	}
}

func (c *crowd) wait() { c.wg.Wait() }

// visit leaves leads until ctx ends: one around every gap, by so many visitors that some may wait for an answer.
func (c *crowd) visit(ctx, patient context.Context, gap time.Duration) {
	tick := time.NewTicker(gap)
	defer tick.Stop()
	var visitors sync.WaitGroup
	defer visitors.Wait()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		visitors.Go(func() { c.capture(patient, n) })
	}
}

// capture leaves one lead. One in eight turns away at the first trouble: whether that lead exists nobody has told.
func (c *crowd) capture(ctx context.Context, n int) {
	request := c.relay.CaptureRequest(fmt.Sprintf("v%d", n), "demo_request")
	mail, key := request.GetPerson().GetMail(), uuid.NewString()
	c.journal.note(func(j *journal) { j.captures[mail] = nil })
	p := c.marketers[n%len(c.marketers)]
	for {
		c.journal.note(func(j *journal) { j.sent++ })
		var lead marketingv1.Lead
		err := p.once(ctx, http.MethodPost, "/v1/leads", request, &lead, rest.Header{Name: "Idempotency-Key", Value: key})
		switch {
		case err == nil:
			c.journal.note(func(j *journal) { j.captures[mail] = &lead })
			return
		case ctx.Err() != nil, !p.away(http.MethodPost, "/v1/leads", err), n%8 == 0:
			return
		}
		pause(ctx, time.Duration(100+rand.IntN(400))*time.Millisecond)
	}
}

// each does something to every item, a few at a time, and returns how many it did it to.
func each[T any](ctx context.Context, items []T, do func(ctx context.Context, item T) error) int {
	slots := make(chan struct{}, 4)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for _, item := range items {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := do(ctx, item); err == nil {
				mu.Lock()
				defer mu.Unlock()
				done++
			}
		})
	}
	wg.Wait()
	return done
}
