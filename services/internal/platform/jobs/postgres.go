package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

const (
	// runnerLock is the class of the advisory locks that runners hold while they live.
	runnerLock = 0x7461736b // "task"
	// takeOverEvery is how often a runner looks for jobs of dead runners, and for its own that were forgotten.
	takeOverEvery = 2 * time.Second
	// takeOverTimeout bounds the looking: a connection may have died without a word.
	takeOverTimeout = 10 * time.Second
)

// takeOver puts the jobs of runners that no longer hold their lock back to work, and those of this runner that it does not
// know of.
const takeOver = `
UPDATE river_job SET state = 'available', scheduled_at = now()
WHERE state = 'running' AND (attempted_by[array_upper(attempted_by, 1)] IN (
	SELECT id FROM (
		SELECT DISTINCT attempted_by[array_upper(attempted_by, 1)] AS id FROM river_job WHERE state = 'running'
	) AS runners
	WHERE id <> $1 AND pg_try_advisory_xact_lock($2, hashtext(id)))
OR attempted_by[array_upper(attempted_by, 1)] = $1 AND attempted_at < now() - $3::interval AND id <> ALL($4))`

func (j *Jobs) startPostgres(ctx, run context.Context) (client, error) {
	// The lock lives as long as the connection: it says that this runner lives. PostgreSQL drops it the moment the process
	// dies, long before a timeout could tell.
	conn, err := j.announce(ctx)
	if err != nil {
		return nil, err
	}
	working := &atWork{ended: map[int64]time.Time{}}
	if err := j.takeOver(ctx, conn, working); err != nil {
		release(ctx, conn)
		return nil, err
	}
	config := j.config()
	config.Middleware = append(config.Middleware, working)
	c, err := river.NewClient(mendedDriver[pgx.Tx]{riverpgxv5.New(j.db.Pool()), j.leadership}, config)
	if err != nil {
		release(ctx, conn)
		return nil, err
	}
	if err := c.Start(run); err != nil {
		release(ctx, conn)
		return nil, err
	}
	j.loop(run, func(ctx context.Context) { j.live(ctx, conn, working) })
	j.loop(run, func(ctx context.Context) { j.tellQueues(ctx, j.notify) })
	return c, nil
}

// notify wakes the producers of all processes. It is sent after the commit and for many commits at once, because
// transactions that notify commit one after another. A wake-up that is lost costs one poll interval.
func (j *Jobs) notify(ctx context.Context, queues map[string]bool) {
	for queue := range queues {
		_, err := j.db.Pool().Exec(ctx, `SELECT pg_notify(concat(current_schema(), '.river_insert'), $1)`,
			fmt.Sprintf("{\"queue\": %q}", queue))
		if err != nil && ctx.Err() == nil {
			j.logger.WarnContext(ctx, "jobs: waking the workers failed", slog.Any("error", err))
		}
	}
}

func (j *Jobs) announce(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, takeOverTimeout)
	defer cancel()
	conn, err := j.db.Pool().Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1, hashtext($2))`, runnerLock, j.id); err != nil {
		release(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// release closes the connection instead of giving it back: the lock must not live on in the pool.
func release(ctx context.Context, conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Hijack().Close(ctx) // nothing to be done about a connection that does not close
}

// live keeps the lock and takes over the jobs of the dead, and its own forgotten ones, until ctx ends.
func (j *Jobs) live(ctx context.Context, conn *pgxpool.Conn, working *atWork) {
	ticker := time.NewTicker(takeOverEvery)
	defer ticker.Stop()
	defer func() {
		if conn != nil {
			release(ctx, conn)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var err error
		if conn == nil {
			conn, err = j.announce(ctx)
		}
		if err == nil {
			err = j.takeOver(ctx, conn, working)
		}
		if err == nil || errors.Is(err, context.Canceled) {
			continue
		}
		j.logger.WarnContext(ctx, "jobs: looking for jobs that nobody works on failed", slog.Any("error", err))
		if conn != nil {
			release(ctx, conn)
			conn = nil
		}
	}
}

func (j *Jobs) takeOver(ctx context.Context, conn *pgxpool.Conn, working *atWork) error {
	ctx, cancel := context.WithTimeout(ctx, takeOverTimeout)
	defer cancel()
	tag, err := conn.Exec(ctx, takeOver, j.id, runnerLock, forgottenAfter, working.ids())
	if err != nil {
		return err
	}
	if n := tag.RowsAffected(); n > 0 {
		j.logger.InfoContext(ctx, "jobs: took over jobs that nobody works on", slog.Int64("jobs", n))
		for queue := range j.queues {
			j.wakeup.add(queue)
		}
	}
	return nil
}
