package department

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/config"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/idempotency"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Settings of a department's service.
type Settings struct {
	// DSN is its database: `sqlite:PATH` or `postgres://…`.
	DSN string
	// Migrate brings the database up to date at the start: for embedded databases and tests. Without it a database that is
	// behind is an error that names the command to run.
	Migrate bool
	// Patience is how long to wait for a PostgreSQL that cannot be reached; zero does not wait.
	Patience time.Duration
	// Verifier checks the tokens of callers.
	Verifier *access.Verifier
	// Credentials encrypt the server's connections; nil leaves them plain.
	Credentials credentials.TransportCredentials
	// Peers are connections to other departments, with this service's own identity.
	Peers map[access.Department]grpc.ClientConnInterface
	// Clock is the time; nil is the system's.
	Clock clock.Clock
	// Logger receives what happens; nil discards it.
	Logger *slog.Logger
	// KeepEvents is how long events are kept at least; zero keeps them for ever.
	KeepEvents time.Duration
	// StoreOptions go to store.Open.
	StoreOptions []store.Option
}

// Service is a department, put together and ready to start.
type Service struct {
	def        Definition
	base       *Base
	subscriber *event.Subscriber
	server     *rpc.Server
	keepEvents time.Duration
}

// Open opens and checks the database and puts the department together. Nothing runs until its Parts do; call Close
// when they are never started.
func Open(ctx context.Context, def Definition, s Settings) (*Service, error) {
	if s.Clock == nil {
		s.Clock = clock.System{}
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	db, leapt, err := open(ctx, def, s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", def.Name, err)
	}
	service, err := assemble(ctx, def, s, db, leapt)
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", def.Name, err)
	}
	return service, nil
}

// open opens the database, sees to its schema and lets its feed go on; it waits for a server that cannot be reached, as long as
// the settings say.
func open(ctx context.Context, def Definition, s Settings) (db *store.DB, leapt bool, err error) {
	opts := append([]store.Option{store.WithApplicationName("tasuki-" + string(def.Name))}, s.StoreOptions...)
	logger := s.Logger.With("department", string(def.Name), "dsn", config.DSN(s.DSN).String())
	db, err = store.Await(ctx, s.DSN, store.Waiting{Patience: s.Patience, Logger: logger}, func(ctx context.Context, db *store.DB) error {
		leapt, err = prepare(ctx, def, s, db)
		return err
	}, opts...)
	return db, leapt, err
}

// insufficientPrivilege is PostgreSQL's code for what only an owner may do.
const insufficientPrivilege = "42501"

func prepare(ctx context.Context, def Definition, s Settings, db *store.DB) (leapt bool, err error) {
	if err := upToDate(ctx, def, db, s.Migrate); err != nil {
		return false, err
	}
	leapt, err = event.Resume(ctx, db, false, s.Clock.Now())
	if refused := (*store.Error)(nil); errors.As(err, &refused) && refused.Code == insufficientPrivilege {
		return false, fmt.Errorf("%w: the database was restored or has another server than before, so run `%s migrate` as its owner first", err, program(def))
	}
	return leapt, err
}

func assemble(ctx context.Context, def Definition, s Settings, db *store.DB, leapt bool) (*Service, error) {
	logger := s.Logger.With("department", string(def.Name))
	if leapt {
		logger.WarnContext(ctx, "the database was restored or has another server than before: its feed goes on after a leap, so compare the ledgers by `tasuki reconcile`")
	}
	b := &Base{DB: db, Clock: s.Clock, Logger: logger, peers: s.Peers}
	b.Events = event.NewLog(db, s.Clock)
	b.Jobs = jobs.New(db, jobs.Config{Logger: logger, Department: string(def.Name)})
	b.People = &people.Book{Department: def.Name.String(), DB: db, Clock: s.Clock, Events: b.Events, Tables: def.People}
	b.Handoffs = handoff.New(handoff.Config{
		Department: def.Name, DB: db, Clock: s.Clock, Events: b.Events, Jobs: b.Jobs, Logger: logger, Intake: b.People.Intake,
	})
	for d, conn := range s.Peers {
		b.Handoffs.Peer(d, conn)
	}
	server := rpc.NewServer(rpc.Options{Department: def.Name, Verifier: s.Verifier, Logger: logger, Credentials: s.Credentials}) //nolint:contextcheck // it outlives the context of the start
	b.Server = server
	subscriber := event.NewSubscriber(db, s.Clock, logger)
	b.Events.RegisterServer(server)
	subscriber.RegisterServer(server)
	b.Jobs.RegisterServer(server)
	b.Handoffs.RegisterServers(server)
	partyv1.RegisterContactServiceServer(server, &people.Server{Book: b.People})
	if def.Name != access.Marketing { // it owns people
		b.Subscribe(event.Subscription{
			Name: string(def.Name) + ".people.from.marketing", Source: access.Marketing.String(), Types: people.Types, Handler: b.People.Follow,
		})
	}
	if err := def.Build(b); err != nil {
		return nil, err
	}
	for _, sub := range append(b.Handoffs.Subscriptions(), b.subscriptions...) {
		if sub.Name == "" {
			sub.Name = string(def.Name) + ".from." + sub.Source
		}
		subscriber.Subscribe(sub)
	}
	return &Service{def: def, base: b, subscriber: subscriber, server: server, keepEvents: s.KeepEvents}, nil
}

// Sets are all migrations of a department's database.
func (d Definition) Sets() []store.Migrations {
	return []store.Migrations{event.Migrations(), idempotency.Migrations, jobs.Migrations(), handoff.Migrations(), people.Migrations(), d.Migrations}
}

func upToDate(ctx context.Context, def Definition, db *store.DB, migrate bool) error {
	if migrate {
		return db.Migrate(ctx, def.Sets()...)
	}
	statuses, err := db.SchemaStatus(ctx, def.Sets()...)
	if err != nil {
		return err
	}
	var behind []string
	for _, st := range statuses {
		if st.Behind() {
			behind = append(behind, fmt.Sprintf("%s %d of %d", st.Name, st.Have, st.Want))
		}
	}
	if len(behind) > 0 {
		return fmt.Errorf("the database is behind this program (%s): run `%s migrate` with the same --dsn first",
			strings.Join(behind, ", "), program(def))
	}
	return nil
}

// Close closes the database of a service whose parts were never started.
func (s *Service) Close() { s.base.DB.Close() }

// SetServing tells health checks whether to send calls.
func (s *Service) SetServing(on bool) { s.server.SetServing(on) }

// Parts are what runs, in the order in which they start. They stop in reverse: no more calls, then jobs, then
// subscriptions, then the store.
func (s *Service) Parts(listener net.Listener) []lifecycle.Part {
	name := string(s.def.Name)
	b := s.base
	return []lifecycle.Part{
		{Name: name + " store", Stop: func(context.Context) error { b.DB.Close(); return nil }},
		s.measures(),
		{Name: name + " feed", Run: untilStopped(b.Events.Run)},
		{Name: name + " subscriptions", Run: untilStopped(s.subscriber.Run)},
		{Name: name + " jobs", Start: b.Jobs.Start, Stop: b.Jobs.Stop},
		{Name: name + " handoffs", Start: b.Handoffs.Start},
		{Name: name + " housekeeping", Run: untilStopped(s.keepHouse)},
		{Name: name + " server", Run: func(context.Context) error { return s.server.Serve(listener) }, Stop: s.server.Stop},
	}
}

// housekeeping is how often what has expired is thrown away.
const housekeeping = time.Hour

func (s *Service) keepHouse(ctx context.Context) error {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		if _, err := idempotency.Purge(ctx, s.base.DB, s.base.Clock.Now()); err != nil && ctx.Err() == nil {
			s.base.Logger.WarnContext(ctx, "expired idempotency keys stay for now", "error", err)
		}
		s.pruneEvents(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pruneEvents deletes the events that need not be kept any longer.
func (s *Service) pruneEvents(ctx context.Context) {
	if s.keepEvents <= 0 {
		return
	}
	deleted, holding, err := s.base.Events.Prune(ctx, s.base.Clock.Now().Add(-s.keepEvents))
	switch {
	case err != nil && ctx.Err() == nil:
		s.base.Logger.WarnContext(ctx, "old events stay for now", "error", err)
	case holding != nil:
		s.base.Logger.WarnContext(ctx, "old events are kept for a subscription that is not past them", "subscription", holding.Name, "seen_at", holding.SeenAt)
	}
	if deleted > 0 {
		s.base.Logger.InfoContext(ctx, "old events are deleted", "events", deleted)
	}
}

// untilStopped makes the end of the context a good end.
func untilStopped(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		<-ctx.Done()
		return nil
	}
}
