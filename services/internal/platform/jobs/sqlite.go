package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivershared/baseservice"
	"github.com/riverqueue/river/rivershared/riverpilot"
	"github.com/riverqueue/river/rivertype"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// sqliteDriver gives River a pilot of ours: SQLite has no LISTEN/NOTIFY, and River wakes its producers only for jobs that
// are inserted without a transaction.
type sqliteDriver struct {
	mendedDriver[*sql.Tx]
	pilot *sqlitePilot
}

var _ riverdriver.Driver[*sql.Tx] = (*sqliteDriver)(nil)

// PluginInit and PluginPilot are how River finds the pilot.
func (d *sqliteDriver) PluginInit(*baseservice.Archetype) {}

// PluginPilot returns the pilot.
func (d *sqliteDriver) PluginPilot() riverpilot.Pilot { return d.pilot }

type sqlitePilot struct {
	riverpilot.StandardPilot
	db     *store.DB
	notify atomic.Pointer[func(context.Context, []*rivertype.JobInsertResult)]
}

// PilotInit keeps River's own way to wake its producers.
func (p *sqlitePilot) PilotInit(a *baseservice.Archetype, params *riverpilot.PilotInitParams) {
	p.StandardPilot.PilotInit(a, params)
	p.notify.Store(&params.NotifyNonTxJobInsert)
}

// JobGetAvailable looks on a reading connection first. A poll that finds nothing, which is nearly every one, neither takes
// the writing connection nor writes.
func (p *sqlitePilot) JobGetAvailable(ctx context.Context, exec riverdriver.Executor, state riverpilot.ProducerState,
	params *riverdriver.JobGetAvailableParams,
) ([]*rivertype.JobRow, error) {
	if params.MaxToLock <= 0 {
		return nil, nil
	}
	some, err := store.Read(ctx, p.db, func(tx store.Tx) (bool, error) {
		var n int64
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM river_job
			WHERE priority >= 0 AND queue = $1 AND scheduled_at <= datetime('now', 'subsec') AND state = 'available')`,
			params.Queue).Scan(&n)
		return n != 0, err
	})
	if err != nil || !some {
		return nil, err
	}
	return p.StandardPilot.JobGetAvailable(ctx, exec, state, params)
}

func (j *Jobs) startSQLite(ctx, run context.Context) (client, error) {
	// One process owns a SQLite file: what is running, or leads, belongs to a process that is dead.
	_, err := store.Write(store.WithoutGuard(ctx), j.db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(`UPDATE river_job SET state = 'available', scheduled_at = datetime('now', 'subsec') WHERE state = 'running'`)
		tx.Queue(`DELETE FROM river_leader`)
		return struct{}{}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("take over: %w", err)
	}
	pilot := &sqlitePilot{db: j.db}
	c, err := river.NewClient(&sqliteDriver{mendedDriver[*sql.Tx]{riversqlite.New(j.db.Writer()), j.leadership}, pilot}, j.config())
	if err != nil {
		return nil, err
	}
	if err := c.Start(run); err != nil {
		return nil, err
	}
	j.loop(run, func(ctx context.Context) {
		j.tellQueues(ctx, func(ctx context.Context, queues map[string]bool) {
			results := make([]*rivertype.JobInsertResult, 0, len(queues))
			for queue := range queues {
				results = append(results, &rivertype.JobInsertResult{Job: &rivertype.JobRow{Queue: queue}})
			}
			(*pilot.notify.Load())(ctx, results)
		})
	})
	return c, nil
}
