package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// leap is by how much the feed goes ahead after a restore: more than a department ever writes between a backup and the loss of
// its database, and little enough for millions of restores.
const leap = 1 << 40

// horizonSQL is where the visible part of the feed ends on PostgreSQL: in the snapshot of the statement, no running transaction
// can precede what is before it.
const horizonSQL = `(SELECT CAST(CAST(CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) + shift AS text) AS xid8) FROM feed_clock)`

// visible is the predicate on events that no running transaction can still precede them.
func visible(d store.Dialect) string {
	if d.Name() == string(store.Postgres) {
		return "xid < " + horizonSQL
	}
	return "1=1"
}

// Resume lets the feed go on where readers cannot miss it, and tells whether it had to leap for that. Call it before the
// service starts. A database that was restored is behind what its readers have seen: the same places in the feed would be given
// a second time, and readers would pass over what is new there. On another PostgreSQL server transaction ids may even
// be lower than those of events that are stored. So the feed leaps far ahead; every cursor stays what it is.
//
// Another server, a server that was promoted or recovered to a point in time, and events from the future are noticed. What else
// is a restore, the caller must say: another SQLite file, or a copy of the disk.
func Resume(ctx context.Context, db *store.DB, restored bool, now time.Time) (leapt bool, err error) {
	if db.Engine() == store.SQLite {
		if !restored {
			return false, nil
		}
		return true, leapSQLite(ctx, db, now)
	}
	if leapt, err = resumePostgres(ctx, db, restored, now); err != nil {
		return false, fmt.Errorf("event: resume: %w", err)
	}
	return leapt, nil
}

// firstInSequence is for a table that never had a row: it is not in sqlite_sequence.
const firstInSequence = `INSERT INTO sqlite_sequence (name, seq) SELECT 'events', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events')`

func leapSQLite(ctx context.Context, db *store.DB, now time.Time) error {
	_, err := store.Write(ctx, db, func(tx store.Tx) (struct{}, error) {
		tx.Queue(firstInSequence)
		tx.Queue(`UPDATE sqlite_sequence SET seq = seq + $1 WHERE name = 'events'`, int64(leap))
		tx.Queue(`UPDATE feed_clock SET leaps = leaps + 1, leapt_at = $1`, now)
		return struct{}{}, nil
	})
	if err != nil {
		return fmt.Errorf("event: resume: %w", err)
	}
	return nil
}

// outrun leaps when a reader is ahead of everything that the file ever had: then it is an older one, which somebody has put back
// without a word.
func outrun(tx store.Tx, seen int64, now time.Time) {
	const behind = `EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events' AND seq < $1)`
	tx.Queue(firstInSequence)
	tx.Queue(`UPDATE feed_clock SET leaps = leaps + 1, leapt_at = $2 WHERE `+behind, seen, now)
	tx.Queue(`UPDATE sqlite_sequence SET seq = $1 + $2 WHERE name = 'events' AND seq < $1`, seen, int64(leap))
}

// whereabouts is where a PostgreSQL database is, and where it was.
type whereabouts struct {
	// server is the present one; empty where nobody may know.
	server, last string
	// future tells that events are stored which this server's transactions would precede.
	future bool
}

func (w whereabouts) moved() bool {
	return w.future || w.last != "" && w.server != "" && w.server != w.last
}
func (w whereabouts) unknown() bool { return w.last == "" && w.server != "" }

// serverOf names the server: its system identifier, and its timeline, with which the name of a WAL file begins (that of the last
// checkpoint would lag behind a promotion). Empty where it does not tell, as some that others run do not.
func serverOf(ctx context.Context, db *store.DB) (string, error) {
	server, err := store.Read(ctx, db, func(tx store.Tx) (server string, err error) {
		err = tx.QueryRow(ctx, `SELECT CAST(system_identifier AS text) || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
			FROM pg_control_system()`).Scan(&server)
		return server, err
	})
	var refused *store.Error
	if errors.As(err, &refused) && refused.Kind == nil {
		return "", nil
	}
	return server, err
}

func lookAround(ctx context.Context, tx store.Tx, server string) (whereabouts, error) {
	w := whereabouts{server: server}
	err := tx.QueryRow(ctx, `SELECT server, COALESCE((SELECT xid FROM events ORDER BY events.xid DESC LIMIT 1) >=
		CAST(CAST(CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) + shift AS text) AS xid8), FALSE) FROM feed_clock`).
		Scan(&w.last, &w.future)
	return w, err
}

func resumePostgres(ctx context.Context, db *store.DB, restored bool, now time.Time) (leapt bool, err error) {
	server, err := serverOf(ctx, db)
	if err != nil {
		return false, err
	}
	w, err := store.Read(ctx, db, func(tx store.Tx) (whereabouts, error) { return lookAround(ctx, tx, server) })
	if err != nil || !restored && !w.moved() && !w.unknown() {
		return false, err
	}
	_, err = store.Write(ctx, db, func(tx store.Tx) (struct{}, error) {
		leapt = false
		store.Lock(tx, "event.resume")
		w, err := lookAround(ctx, tx, server)
		if err != nil {
			return struct{}{}, err
		}
		if leapt = restored || w.moved(); leapt {
			err = leapPostgres(ctx, tx, now)
		}
		tx.Queue(`UPDATE feed_clock SET server = $1 WHERE $1 <> ''`, w.server)
		return struct{}{}, err
	})
	return leapt, err
}

// leapPostgres changes what transaction ids are counted from. Nobody reads or writes meanwhile: transactions that took their
// place by the old count have ended, and later ones take theirs by the new one.
func leapPostgres(ctx context.Context, tx store.Tx, now time.Time) error {
	tx.Queue(`LOCK TABLE events IN ACCESS EXCLUSIVE MODE`)
	var shift int64
	err := tx.QueryRow(ctx, `SELECT $1 + GREATEST(shift,
			COALESCE((SELECT CAST(CAST(max(events.xid) AS text) AS bigint) FROM events), 0) - present,
			COALESCE((SELECT CAST(CAST(max(events_gone.xid) AS text) AS bigint) FROM events_gone), 0) - present,
			COALESCE((SELECT CAST(CAST(max(feed_readers.xid) AS text) AS bigint) FROM feed_readers), 0) - present)
		FROM feed_clock, (SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint) AS present) AS p`, int64(leap)).Scan(&shift)
	if err != nil {
		return err
	}
	// A default takes no parameters. Where a database never leapt, it is the plain transaction id.
	tx.Queue(fmt.Sprintf(`ALTER TABLE events ALTER COLUMN xid SET DEFAULT
		CAST(CAST(CAST(CAST(pg_current_xact_id() AS text) AS bigint) + %d AS text) AS xid8)`, shift))
	tx.Queue(`UPDATE feed_clock SET shift = $1, leaps = leaps + 1, leapt_at = $2`, shift, now)
	return nil
}
