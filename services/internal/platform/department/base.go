package department

import (
	"log/slog"

	"google.golang.org/grpc"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Definition is what makes a department this one.
type Definition struct {
	Name access.Department
	// Migrations are the department's own tables; those of the platform are added.
	Migrations store.Migrations
	// People are the department's tables that say something of people, or have a column of an account: merges and erasures
	// go by this list. A test of the department holds it against the schema (people.Unlisted).
	People []people.Table
	// Build registers the department's servers, handoff kinds, jobs and subscriptions. It runs once, before anything starts.
	Build func(*Base) error
}

// Base is what a department is built on.
type Base struct {
	DB     *store.DB
	Clock  clock.Clock
	Logger *slog.Logger
	Events *event.Log
	// Jobs takes workers now, and runs them once the department has started.
	Jobs *jobs.Jobs
	// Handoffs takes the department's kinds.
	Handoffs *handoff.Engine
	// People knows merges, consents and erasures of people, and follows those that marketing tells of.
	People *people.Book
	// Server takes the department's gRPC services. The shared ones (desk, receiver, feed, dead letters) are there already.
	Server grpc.ServiceRegistrar

	peers         map[access.Department]grpc.ClientConnInterface
	subscriptions []event.Subscription
}

// Peer is a connection to another department; false when none is configured, which must not stop a department.
func (b *Base) Peer(d access.Department) (grpc.ClientConnInterface, bool) {
	conn, ok := b.peers[d]
	return conn, ok
}

// Subscribe follows the feed of another department. An empty Client is filled in from the peer named by Source, and
// without such a peer nothing is followed. An empty Name becomes `<department>.from.<source>`.
func (b *Base) Subscribe(sub event.Subscription) {
	if sub.Client == nil {
		conn, ok := b.Peer(access.Department(sub.Source))
		if !ok {
			return
		}
		sub.Client = feedv1.NewFeedServiceClient(conn)
	}
	b.subscriptions = append(b.subscriptions, sub)
}
