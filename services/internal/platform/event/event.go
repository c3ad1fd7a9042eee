package event

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Event is something that happened, as the code that did it says it. Append adds the rest: id, actor, trace and time.
type Event struct {
	// Subject is what it happened to, as `kind/id`, for instance `lead/0198…`.
	Subject string
	// SubjectVersion is the version of the subject after the event; counts from 1.
	SubjectVersion int64
	// JourneyID is the journey it belongs to; empty where there is none.
	JourneyID string
	// Cause is the id of the event, handoff or request that led to it. Empty takes the cause of the context (see WithCause),
	// which subscriptions set to the event they handle.
	Cause string
	// Data is the typed event.
	Data proto.Message
}

// Log is the events of one service. It is safe for concurrent use.
type Log struct {
	db     *store.DB
	clock  clock.Clock
	wakeup *broadcast
	// dirty tells Run that other processes are to be woken.
	dirty chan struct{}
	// listening is set while Run hears of commits in other processes; stopped is closed when Run has ended.
	listening atomic.Bool
	stopped   chan struct{}
	// tail is what all streams read from; nil while there are none.
	tailMu sync.Mutex
	tail   *tail
	// id tells notifications of this process from those of others.
	id string
}

// NewLog makes the log of the service whose database db is. The table comes with Migrations.
func NewLog(db *store.DB, c clock.Clock) *Log {
	return &Log{
		db: db, clock: c, wakeup: newBroadcast(), dirty: make(chan struct{}, 1), stopped: make(chan struct{}),
		id: uuid.NewString(),
	}
}

// Migrations makes the tables of this package: events, events_gone, feed_readers, feed_clock, subscriptions, parked_events.
func Migrations() store.Migrations { return store.Migrations{Name: "event", FS: migrationFS()} }

// Append queues the events as rows of the caller's transaction, in order. The actor comes from
// access.ActorOf(ctx), the trace context from the span of ctx. After the commit, waiting streams are woken. It fails only
// when an event cannot be marshalled or has no subject.
func (l *Log) Append(ctx context.Context, tx store.Tx, events ...Event) error {
	return l.append(ctx, tx, events)
}

type causeKey struct{}

// WithCause makes cause the cause of the events that are appended under the context and name none themselves.
func WithCause(ctx context.Context, cause string) context.Context {
	return context.WithValue(ctx, causeKey{}, cause)
}

// Cause is what WithCause set; empty when nothing did.
func Cause(ctx context.Context) string {
	cause, _ := ctx.Value(causeKey{}).(string)
	return cause
}
