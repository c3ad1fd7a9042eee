package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

var (
	delay = telemetry.Histogram("tasuki.jobs.delay", "s",
		"How long after it was due an attempt at a job began, by kind.",
		0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
	failures = telemetry.Counter("tasuki.jobs.failures", "{attempt}", "Attempts at jobs that failed, by kind.")
)

// measureStart notes how late an attempt begins.
func (j *Jobs) measureStart(ctx context.Context, kind string, due time.Time) {
	delay.Record(ctx, max(0, time.Since(due)).Seconds(), j.attributes(kind))
}

func (j *Jobs) attributes(kind string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("department", j.department), attribute.String("kind", kind))
}

// depths are the states that are counted as depth; what is dead is counted by itself.
var depths = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled,
}

type depthRow struct {
	State, Kind string
	Number      int64
	Until       float64 // seconds until the first of them is due; negative when it is over
}

// Measure reports depth, age and dead letters until end is called. Every replica reports all jobs of the service.
func (j *Jobs) Measure(ctx context.Context) (end func()) {
	depth := telemetry.NewGauge("tasuki.jobs.depth", "{job}", "Jobs that are not done, by kind and state.")
	waiting := telemetry.NewGauge("tasuki.jobs.waiting", "s", "For how long the oldest job that is due has waited for a worker, by kind.")
	dead := telemetry.NewGauge("tasuki.jobs.dead", "{job}", "Dead letters: jobs that were given up and wait for somebody to replay them, by kind.")
	for _, kind := range j.registered() { // a rate needs a beginning
		failures.Add(ctx, 0, j.attributes(kind))
	}
	return telemetry.Observe(func(ctx context.Context, record telemetry.Record) error {
		rows, err := store.Read(ctx, j.db, func(tx store.Tx) ([]depthRow, error) {
			return store.Select[depthRow](ctx, tx, `SELECT state, kind, count(*) AS number, min(`+j.sqlUntil()+`) AS until FROM river_job
				WHERE state IN ('available', 'running', 'retryable', 'scheduled', 'discarded', 'cancelled') GROUP BY state, kind`)
		})
		if err != nil {
			return err
		}
		byKind := map[string]map[string]depthRow{}
		for _, kind := range j.registered() {
			byKind[kind] = map[string]depthRow{}
		}
		for _, r := range rows {
			if byKind[r.Kind] == nil { // of an older version of the program
				byKind[r.Kind] = map[string]depthRow{}
			}
			byKind[r.Kind][r.State] = r
		}
		for kind, states := range byKind {
			own := []attribute.KeyValue{attribute.String("department", j.department), attribute.String("kind", kind)}
			for _, state := range depths {
				record(depth, states[string(state)].Number, append(own[:2:2], attribute.String("state", string(state)))...)
			}
			record(dead, states[string(rivertype.JobStateDiscarded)].Number+states[string(rivertype.JobStateCancelled)].Number, own...)
			record(waiting, int64(max(0, -states[string(rivertype.JobStateAvailable)].Until)), own...)
		}
		return nil
	}, depth, waiting, dead)
}

// registered are the kinds that have a worker here.
func (j *Jobs) registered() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	kinds := make([]string, 0, len(j.kinds))
	for kind := range j.kinds {
		kinds = append(kinds, kind)
	}
	return kinds
}
