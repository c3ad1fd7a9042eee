package event

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

type broadcast struct{}

func newBroadcast() *broadcast { return nil }

var migrations store.Migrations

func (l *Log) append(context.Context, store.Tx, []Event) error { panic("being written") }

type subscription struct{ Subscription }

type backoffRange struct{ min, max time.Duration }

// NewSubscriber makes the subscriber of the service whose database is db.
func NewSubscriber(db *store.DB, c clock.Clock, logger *slog.Logger, opts ...SubscriberOption) *Subscriber {
	panic("being written")
}

func (s *Subscriber) subscribe(Subscription)    { panic("being written") }
func (s *Subscriber) run(context.Context) error { panic("being written") }

// RegisterServer serves SubscriptionService.
func (s *Subscriber) RegisterServer(r grpc.ServiceRegistrar) { panic("being written") }

// RegisterServer serves FeedService.
func (l *Log) RegisterServer(r grpc.ServiceRegistrar) { panic("being written") }

// Run listens for commits of other processes (PostgreSQL) until ctx ends. Without it streams only look every 200 ms.
func (l *Log) Run(ctx context.Context) error { panic("being written") }
