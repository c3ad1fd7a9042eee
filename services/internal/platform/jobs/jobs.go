package jobs

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Args are the arguments of a kind of job. They are stored as JSON.
type Args interface {
	// Kind names the work, for instance `handoff.deliver`. Stored with the job: it never changes.
	Kind() string
}

// Job is a job at work.
type Job[T Args] struct {
	// ID is the number of the job in this service.
	ID   int64
	Args T
	// Attempt counts from 1.
	Attempt   int
	CreatedAt time.Time
}

// Worker does the work. nil completes the job; an error lets it be tried again later, see Dead and Again for other ends.
// ctx ends with the job's timeout or when the service stops. Its actor is access.System("<kind>").
type Worker[T Args] func(ctx context.Context, job *Job[T]) error

// Opts say when and how a job runs. The zero value runs it at once in the default queue, without end.
type Opts struct {
	// RunAt is when it runs first; zero means at once.
	RunAt time.Time
	// Queue is one of the queues of Config; empty means the default queue.
	Queue string
	// UniqueKey lets Insert do nothing while a job of the same kind and key waits or runs. Empty means no check.
	UniqueKey string
	// MaxAttempts is after how many attempts it becomes a dead letter; 0 means never.
	MaxAttempts int
}

// Insert adds a job in the caller's transaction; it runs after the commit. The kind must be registered.
func (j *Jobs) Insert(ctx context.Context, tx store.Tx, args Args, opts Opts) error {
	return j.insert(ctx, tx, args, opts)
}

// Register says who does the work of a kind. It must be called before Start, and panics when the kind is taken.
func Register[T Args](j *Jobs, w Worker[T]) { register(j, w) }

// Dead ends a job now as a dead letter: trying again makes no sense.
func Dead(err error) error { return &deadError{err} }

// Again lets a job run again after d without counting an attempt: nothing is wrong, it is only too early.
func Again(d time.Duration) error { return &againError{d} }

// Config is what a service decides about its jobs. The zero value of a field is its default.
type Config struct {
	// Queues are the names of the queues with how many jobs of each run at a time. Default: {"default": 16}. The default
	// queue exists always.
	Queues map[string]int
	// Timeout is how long one attempt may take; default 1 minute.
	Timeout time.Duration
	Logger  *slog.Logger
	// Department names the service in metrics.
	Department string
}

// New prepares the jobs of the service whose database is db. The tables come with Migrations.
func New(db *store.DB, cfg Config) *Jobs { return newJobs(db, cfg) }

// Start begins to work. It fails when the tables are missing. Jobs that a dead process left running are taken over at once.
func (j *Jobs) Start(ctx context.Context) error { return j.start(ctx) }

// Stop takes no more jobs, waits for those at work, and cancels their contexts when ctx ends first; these are tried again
// after the next start. Stopping what was not started does nothing.
func (j *Jobs) Stop(ctx context.Context) error { return j.stop(ctx) }

// Migrations makes or upgrades River's tables, as a set beside those of goose.
func Migrations() store.Migrations { return store.Migrations{Name: "river", By: riverMigrator{}} }

// Migrate is db.Migrate with Migrations alone.
func Migrate(ctx context.Context, db *store.DB) error { return db.Migrate(ctx, Migrations()) }

// SchemaStatus compares River's tables with the program and changes nothing.
func SchemaStatus(ctx context.Context, db *store.DB) (store.SetStatus, error) {
	all, err := db.SchemaStatus(ctx, Migrations())
	if err != nil {
		return store.SetStatus{}, err
	}
	return all[0], nil
}

// RegisterServer serves DeadLetterService.
func (j *Jobs) RegisterServer(r grpc.ServiceRegistrar) { j.registerServer(r) }
