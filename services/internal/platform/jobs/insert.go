package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivershared/uniquestates"
	"github.com/riverqueue/river/rivertype"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

// endless is the number of attempts of a job without a bound: River's column ends there. Such a job never gets there, see
// work.
const endless = math.MaxInt16

// The row that River's InsertTx would write, in a statement that travels with the commit; River's own insertion waits for
// two answers, and notifies inside the transaction. A test compares the rows of both ways. On PostgreSQL jobs without a key are
// appended, several in one statement: what is not named has its default there.
var (
	appendedJob = []string{"args", "kind", "max_attempts", "metadata", "queue", "state"}
	laterJob    = append(appendedJob[:len(appendedJob):len(appendedJob)], "scheduled_at")
)

const (
	uniquePostgres = `
INSERT INTO river_job (args, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags, unique_key, unique_states)
VALUES (CAST($1 AS jsonb), $2, $3, CAST($4 AS jsonb), 1, $5, COALESCE(CAST($6 AS timestamptz), now()),
	CAST(CAST($7 AS text) AS river_job_state), '{}', $8, CAST(CAST($9 AS integer) AS bit(8)))
ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL AND unique_states IS NOT NULL
	AND river_job_state_in_bitmask(unique_states, state) DO NOTHING`

	insertSQLite = `
INSERT INTO river_job (args, created_at, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags, unique_key, unique_states)
VALUES (CAST($1 AS BLOB), datetime('now', 'subsec'), $2, $3, json($4), 1, $5, COALESCE($6, datetime('now', 'subsec')),
	$7, json('[]'), $8, $9)
ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL AND unique_states IS NOT NULL
	AND CASE state
		WHEN 'available' THEN unique_states & (1 << 0)
		WHEN 'cancelled' THEN unique_states & (1 << 1)
		WHEN 'completed' THEN unique_states & (1 << 2)
		WHEN 'discarded' THEN unique_states & (1 << 3)
		WHEN 'pending'   THEN unique_states & (1 << 4)
		WHEN 'retryable' THEN unique_states & (1 << 5)
		WHEN 'running'   THEN unique_states & (1 << 6)
		WHEN 'scheduled' THEN unique_states & (1 << 7)
		ELSE 0
	END >= 1 DO NOTHING`

	// schedulerInterval is how far ahead River makes scheduled jobs available.
	schedulerInterval = 5 * time.Second

	// riverTime is how River writes times into SQLite.
	riverTime = "2006-01-02 15:04:05.999"
)

// live are the states in which a job holds its unique key.
var liveStates = uniquestates.UniqueStatesToBitmask([]rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
	rivertype.JobStateRetryable, rivertype.JobStateScheduled,
})

// metadata is what a job carries besides its arguments.
type metadata struct {
	Traceparent string `json:"traceparent,omitempty"`
}

func (j *Jobs) insert(ctx context.Context, tx store.Tx, args Args, opts Opts) error {
	kind := args.Kind()
	queue := opts.Queue
	if queue == "" {
		queue = river.QueueDefault
	}
	if !j.knows(kind) {
		return fmt.Errorf("jobs: no worker is registered for %q", kind)
	}
	if _, ok := j.queues[queue]; !ok {
		return fmt.Errorf("jobs: there is no queue %q", queue)
	}
	encoded, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("jobs: arguments of %s: %w", kind, err)
	}
	meta, err := json.Marshal(metadata{Traceparent: telemetry.Traceparent(ctx)})
	if err != nil {
		return fmt.Errorf("jobs: metadata of %s: %w", kind, err)
	}
	attempts := int64(opts.MaxAttempts)
	if attempts <= 0 || attempts > endless {
		attempts = endless
	}
	var key, states any // of a job that is there once
	if opts.UniqueKey != "" {
		sum := sha256.Sum256([]byte(kind + "\x00" + opts.UniqueKey))
		key, states = sum[:], int64(liveStates)
	}
	state := rivertype.JobStateAvailable
	if time.Until(opts.RunAt) > schedulerInterval { // as River does
		state = rivertype.JobStateScheduled
	}
	switch {
	case j.db.Engine() == store.SQLite:
		tx.Queue(insertSQLite, string(encoded), kind, attempts, string(meta), queue, runAtSQLite(opts.RunAt), string(state), key, states)
	case key != nil:
		tx.Queue(uniquePostgres, string(encoded), kind, attempts, string(meta), queue, runAtPostgres(opts.RunAt), string(state), key, states)
	case opts.RunAt.IsZero():
		tx.Append("river_job", appendedJob, string(encoded), kind, attempts, string(meta), queue, string(state))
	default:
		tx.Append("river_job", laterJob, string(encoded), kind, attempts, string(meta), queue, string(state), opts.RunAt)
	}
	tx.AfterCommit(func() {
		if time.Until(opts.RunAt) > 0 {
			j.alarm.add(opts.RunAt)
		} else {
			j.wakeup.add(queue)
		}
	})
	return nil
}

func runAtPostgres(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func runAtSQLite(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Round(time.Millisecond).Format(riverTime)
}

func (j *Jobs) knows(kind string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.kinds[kind]
}
