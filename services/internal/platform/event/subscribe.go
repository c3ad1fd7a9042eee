package event

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Handler applies one event of another service. It does everything in tx: the cursor is stored in the same transaction, so
// what it does happens exactly once. It may be called again after a rollback, and must not call other services. An event
// that it has no use for is a nil error. An error is retried, and at last parks the event (see Subscription.Attempts).
type Handler func(ctx context.Context, tx store.Tx, ev *feedv1.Event) error

// Subscription is the reading of one other service's feed.
type Subscription struct {
	// Name is unique in the service and never changes, for instance `marketing.from.inside-sales`: the cursor hangs on it.
	Name string
	// Source is the department whose feed is read.
	Source string
	// Client reaches that department's feed.
	Client feedv1.FeedServiceClient
	// Types are the full names of the messages to read, for instance `tasuki.handoff.v1.HandoffAccepted`; empty means all.
	// The cursor is not bound to them: a type that is added later is read from the cursor on.
	Types []string
	// Handler applies an event.
	Handler Handler
	// Prepare may read in one go what Handler needs for several events, before they are applied in the same transaction, under
	// the context that it returns. Nil reads nothing; a single event is applied without it.
	Prepare func(ctx context.Context, tx store.Tx, events []*feedv1.Event) (context.Context, error)
	// Attempts is how often an event is tried before it is parked; 0 means 8, which takes around 6 seconds.
	Attempts int
}

const (
	defaultAttempts = 8
	defaultLease    = 6 * time.Second
)

// SubscriberOption changes a Subscriber.
type SubscriberOption func(*Subscriber)

// Holder names this replica in the lease; default: host name, process id and a random part.
func Holder(name string) SubscriberOption { return func(s *Subscriber) { s.holder = name } }

// LeaseFor is how long a replica that died keeps others away (PostgreSQL); default 6 s. It is renewed at a third of that.
func LeaseFor(d time.Duration) SubscriberOption { return func(s *Subscriber) { s.lease = d } }

// Subscriber runs the subscriptions of one service.
type Subscriber struct {
	db     *store.DB
	clock  clock.Clock
	logger *slog.Logger
	holder string
	lease  time.Duration

	mu   sync.Mutex
	subs []*subscription
}

// NewSubscriber makes the subscriber of the service whose database db is.
func NewSubscriber(db *store.DB, c clock.Clock, logger *slog.Logger, opts ...SubscriberOption) *Subscriber {
	s := &Subscriber{db: db, clock: c, logger: logger, holder: holderName(), lease: defaultLease}
	for _, o := range opts {
		o(s)
	}
	return s
}

func holderName() string {
	host, _ := os.Hostname()
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails
	return fmt.Sprintf("%.100s-%d-%s", host, os.Getpid(), hex.EncodeToString(b))
}

// Subscribe adds a subscription. It must be called before Run, and panics when the subscription is incomplete or its name
// is taken.
func (s *Subscriber) Subscribe(sub Subscription) {
	if sub.Name == "" || sub.Source == "" || sub.Client == nil || sub.Handler == nil {
		panic("event: a subscription needs a name, a source, a client and a handler")
	}
	if sub.Attempts <= 0 {
		sub.Attempts = defaultAttempts
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.subs, func(o *subscription) bool { return o.Name == sub.Name }) {
		panic("event: two subscriptions are called " + sub.Name)
	}
	s.subs = append(s.subs, &subscription{Subscription: sub, s: s, logger: s.logger.With(slog.String("subscription", sub.Name))})
}

// Run reads all feeds until ctx ends; sources that cannot be reached are tried again with backoff. It returns nil when ctx
// ended and every handler has come to rest.
func (s *Subscriber) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	for _, sub := range s.list() {
		loops.Go(func() { sub.run(ctx) })
	}
	loops.Go(func() { s.renew(ctx) })
	loops.Wait()
	return nil
}

func (s *Subscriber) list() []*subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.subs)
}

func (s *Subscriber) find(name string) *subscription {
	for _, sub := range s.list() {
		if sub.Name == name {
			return sub
		}
	}
	return nil
}

// renew keeps the leases of this replica, all in one statement. A lease that is lost all the same does no harm: the cursor
// moves only for the holder.
func (s *Subscriber) renew(ctx context.Context) {
	if s.db.Engine() == store.SQLite {
		return // one process owns the file
	}
	for {
		pause(ctx, s.lease/3)
		if ctx.Err() != nil {
			return
		}
		_, err := store.Write(store.WithoutGuard(ctx), s.db, func(tx store.Tx) (struct{}, error) {
			tx.Queue(`UPDATE subscriptions SET lease_until = $1 WHERE holder = $2`, s.clock.Now().Add(s.lease), s.holder)
			return struct{}{}, nil
		})
		if err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "event: renewing the leases of subscriptions failed", slog.Any("error", err))
		}
	}
}
