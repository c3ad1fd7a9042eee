package jobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Settings of River that are the same for every service.
const (
	// fetchCooldown is the least time between two fetches: it bounds how long a new job waits while others arrive.
	fetchCooldown = 5 * time.Millisecond
	// workers are how many jobs of a queue run at once. Most wait for a neighbour, and deliveries to the same one go together: as
	// many as are there.
	workers = 64
	// tellEvery is the least time between two wake-ups of the producers.
	tellEvery = 5 * time.Millisecond
	// These polls find jobs whose wake-up was lost, also while the connection that hears of them is: with them, and for a
	// jitter of a tenth, due jobs still start within a second. In one process no wake-up is lost.
	pollPostgres = 500 * time.Millisecond
	pollSQLite   = 900 * time.Millisecond
	// completedRetention is how long completed jobs are kept. Dead ones are kept until somebody replays them.
	completedRetention = time.Hour
	// keepForEver is River's value for that.
	keepForEver = -1
)

// Jobs is the durable work of one service. It is safe for concurrent use.
type Jobs struct {
	db         *store.DB
	logger     *slog.Logger
	department string
	id         string
	queues     map[string]river.QueueConfig
	timeout    time.Duration
	workers    *river.Workers

	mu     sync.Mutex
	kinds  map[string]bool
	byHand map[string]func(ctx context.Context, job *rivertype.JobRow) error // the workers, for Manual
	client client
	cancel context.CancelFunc
	loops  sync.WaitGroup

	leadership *leadership // of the present client

	wakeup wakeup
	alarm  alarm
	poll   time.Duration
}

// client is what both instances of river.Client have in common.
type client interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
	JobList(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error)
	JobGet(ctx context.Context, id int64) (*rivertype.JobRow, error)
	JobRetry(ctx context.Context, id int64) (*rivertype.JobRow, error)
}

// wakeup hands queues that have new jobs to whatever tells the producers. It does nothing until it is started: the
// producers look at the table when they start.
type wakeup struct {
	started atomic.Bool
	mu      sync.Mutex
	queues  map[string]bool
	ready   chan struct{}
}

func (w *wakeup) add(queue string) {
	if !w.started.Load() {
		return
	}
	w.mu.Lock()
	w.queues[queue] = true
	w.mu.Unlock()
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

func (w *wakeup) take() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	queues := w.queues
	w.queues = map[string]bool{}
	return queues
}

func newJobs(db *store.DB, cfg Config) *Jobs {
	queues := map[string]int{river.QueueDefault: workers}
	maps.Copy(queues, cfg.Queues)
	j := &Jobs{
		db: db, logger: cfg.Logger, department: cfg.Department, id: clientID(), timeout: cfg.Timeout,
		queues: map[string]river.QueueConfig{}, kinds: map[string]bool{}, byHand: map[string]func(context.Context, *rivertype.JobRow) error{}, workers: river.NewWorkers(),
		wakeup: wakeup{queues: map[string]bool{}, ready: make(chan struct{}, 1)},
		alarm:  alarm{poke: make(chan struct{}, 1)},
		poll:   pollSQLite,
	}
	if db.Engine() == store.Postgres {
		j.poll = pollPostgres
	}
	if j.logger == nil {
		j.logger = slog.Default()
	}
	if j.timeout == 0 {
		j.timeout = time.Minute
	}
	for name, n := range queues {
		j.queues[name] = river.QueueConfig{MaxWorkers: n}
	}
	return j
}

func clientID() string {
	host, _ := os.Hostname()
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails
	return fmt.Sprintf("%.40s-%d-%s", host, os.Getpid(), hex.EncodeToString(b))
}

func (j *Jobs) config() *river.Config {
	return &river.Config{
		ID:                          j.id,
		Logger:                      slog.New(riverLog{j.logger.Handler(), slog.LevelError, j.leadership}), // failing jobs are logged by work
		Queues:                      j.queues,
		Workers:                     j.workers,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           j.poll,
		JobTimeout:                  j.timeout,
		ReindexerSchedule:           river.NeverSchedule(), // it is for indexes that were dropped, see dropUnused
		RescueStuckJobsAfter:        max(5*time.Minute, 2*j.timeout),
		RetryPolicy:                 retryPolicy{},
		CompletedJobRetentionPeriod: completedRetention,
		CancelledJobRetentionPeriod: keepForEver,
		DiscardedJobRetentionPeriod: keepForEver,
	}
}

func (j *Jobs) start(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.client != nil {
		return errors.New("jobs: started twice")
	}
	status, err := SchemaStatus(ctx, j.db)
	if err != nil {
		return err
	}
	if status.Behind() {
		return fmt.Errorf("jobs: the tables of River are at version %d, this program needs %d: run migrate",
			status.Have, status.Want)
	}
	if len(j.kinds) == 0 { // River refuses to start without a worker
		return nil
	}
	// The end of ctx must not tear jobs from their work: Stop ends them in order.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	j.leadership = &leadership{}
	start := j.startSQLite
	if j.db.Engine() == store.Postgres {
		start = j.startPostgres
	}
	if j.client, err = start(ctx, run); err != nil {
		j.client = nil
		cancel()
		j.loops.Wait()
		return fmt.Errorf("jobs: start: %w", err)
	}
	j.cancel = cancel
	j.wakeup.started.Store(true)
	j.loop(run, j.keepTime)
	return nil
}

func (j *Jobs) stop(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.client == nil {
		return nil
	}
	j.wakeup.started.Store(false)
	j.leadership.end(ctx)
	err := j.client.Stop(ctx)
	if err != nil { // the deadline came first
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = j.client.StopAndCancel(hard)
	}
	j.cancel()
	j.loops.Wait()
	j.client = nil
	if err != nil {
		return fmt.Errorf("jobs: stop: %w", err)
	}
	return nil
}

// running is the client, nil before Start and after Stop.
func (j *Jobs) running() client {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.client
}

// loop runs fn until the service stops.
func (j *Jobs) loop(ctx context.Context, fn func(ctx context.Context)) {
	j.loops.Go(func() { fn(ctx) })
}

// tellQueues calls tell for the queues that have new jobs until ctx ends. Wake-ups that come meanwhile are told together.
func (j *Jobs) tellQueues(ctx context.Context, tell func(ctx context.Context, queues map[string]bool)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.wakeup.ready:
			tell(ctx, j.wakeup.take())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(tellEvery):
		}
	}
}

// retryPolicy spaces attempts exponentially.
type retryPolicy struct{}

func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().UTC().Add(backoff(job.Attempt))
}
