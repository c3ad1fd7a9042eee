package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = time.Minute
	// keepErrors is how many errors of an endless job are kept in its row. Later ones are only logged: the row must not grow
	// for as long as a neighbour is away, and the attempts must not reach their end.
	keepErrors = 25
)

var tracer = otel.Tracer("github.com/tasuki-project/tasuki/services/internal/platform/jobs")

// backoff is the pause after the attempt of this number: doubling from 0.2 s to a minute, less up to a quarter by chance.
func backoff(attempt int) time.Duration {
	d := lastBackoff
	if shift := attempt - 1; shift < 9 {
		d = min(firstBackoff<<max(shift, 0), lastBackoff)
	}
	return d - rand.N(d/4)
}

type deadError struct{ err error }

func (e *deadError) Error() string { return e.err.Error() }
func (e *deadError) Unwrap() error { return e.err }

type againError struct{ after time.Duration }

func (e *againError) Error() string { return fmt.Sprintf("again in %s", e.after) }

func register[T Args](j *Jobs, fn Worker[T]) {
	var zero T
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.client != nil {
		panic("jobs: Register after Start: " + zero.Kind())
	}
	if err := river.AddWorkerSafely(j.workers, &worker[T]{j: j, fn: fn}); err != nil {
		panic("jobs: " + err.Error())
	}
	j.kinds[zero.Kind()] = true
	j.byHand[zero.Kind()] = func(ctx context.Context, row *rivertype.JobRow) error {
		job := &Job[T]{ID: row.ID, Attempt: row.Attempt, CreatedAt: row.CreatedAt}
		if err := json.Unmarshal(row.EncodedArgs, &job.Args); err != nil {
			return fmt.Errorf("jobs: arguments of %s: %w", row.Kind, err)
		}
		return fn(access.WithActor(ctx, access.System(row.Kind)), job)
	}
}

// worker makes a Worker fit River.
type worker[T Args] struct {
	river.WorkerDefaults[T]
	j  *Jobs
	fn Worker[T]
}

// Work implements river.Worker.
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	ctx, span := startSpan(ctx, job.Kind, job.Metadata, job.CreatedAt)
	defer span.End()
	w.j.measureStart(ctx, job.Kind, job.ScheduledAt)
	ctx = access.WithActor(ctx, access.System(job.Kind))
	err := w.fn(ctx, &Job[T]{ID: job.ID, Args: job.Args, Attempt: job.Attempt, CreatedAt: job.CreatedAt})

	var dead *deadError
	var again *againError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &again):
		return river.JobSnooze(again.after)
	}
	span.SetStatus(codes.Error, "the job failed")
	failures.Add(ctx, 1, w.j.attributes(job.Kind))
	w.j.logger.WarnContext(ctx, "jobs: failed", slog.String("kind", job.Kind), slog.Int64("job_id", job.ID),
		slog.Int("attempt", job.Attempt), slog.Time("created_at", job.CreatedAt), slog.Any("error", err))
	shown := &shownError{text: problem.Status(ctx, err).Message(), err: err}
	switch {
	case errors.As(err, &dead):
		return river.JobCancel(shown)
	case job.MaxAttempts == endless && job.Attempt > keepErrors:
		return river.JobSnooze(backoff(job.Attempt)) // does not count the attempt
	}
	return shown
}

// shownError is what is stored with the job, where people see it: the log has the cause.
type shownError struct {
	text string
	err  error
}

func (e *shownError) Error() string { return e.text }
func (e *shownError) Unwrap() error { return e.err }

// startSpan continues the trace of the transaction that left the job, or links to it, see telemetry.Resume.
func startSpan(ctx context.Context, kind string, raw []byte, left time.Time) (context.Context, trace.Span) {
	var m metadata
	_ = json.Unmarshal(raw, &m) // what is not ours has no traceparent
	return telemetry.Resume(ctx, tracer, "job "+kind, m.Traceparent, left, trace.WithAttributes(attribute.String("job.kind", kind)))
}
