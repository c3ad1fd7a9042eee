package event

import (
	"context"
	"log/slog"
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
	// Attempts is how often an event is tried before it is parked; 0 means 8, which takes around 10 seconds.
	Attempts int
}

// SubscriberOption changes a Subscriber.
type SubscriberOption func(*Subscriber)

// Holder names this replica in the lease; default: host name, process id and a random part.
func Holder(name string) SubscriberOption { return func(s *Subscriber) { s.holder = name } }

// LeaseFor is how long a replica that died keeps others away; default 15 s. It is renewed at a third of that.
func LeaseFor(d time.Duration) SubscriberOption { return func(s *Subscriber) { s.lease = d } }

// Subscriber runs the subscriptions of one service.
type Subscriber struct {
	db     *store.DB
	clock  clock.Clock
	logger *slog.Logger
	holder string
	lease  time.Duration
	subs   []*subscription
	retry  backoffRange
	links  backoffRange
}

// Subscribe adds a subscription. It must be called before Run, and panics when the subscription is incomplete or its name
// is taken.
func (s *Subscriber) Subscribe(sub Subscription) { s.subscribe(sub) }

// Run reads all feeds until ctx ends; sources that cannot be reached are tried again with backoff. It returns nil when ctx
// ended and every handler has come to rest.
func (s *Subscriber) Run(ctx context.Context) error { return s.run(ctx) }
