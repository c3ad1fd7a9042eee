package event

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// pruneBatch is how many events at the most go in one transaction.
const pruneBatch = 1000

// lockRetention lets readers come and events go one after another.
func lockRetention(tx store.Tx) { store.Lock(tx, "event.retention") }

// Reader is a subscription of another service, as it last connected.
type Reader struct {
	Name   string
	SeenAt time.Time
}

// Prune deletes events that are older than before, oldest first, in bounded transactions. It stops at the first event that a
// subscription has not passed, and returns which one holds events back that are old enough to go; nil when none does. The
// newest event always stays.
func (l *Log) Prune(ctx context.Context, before time.Time) (deleted int64, holding *Reader, err error) {
	for {
		var n int64
		n, holding, err = l.pruneSome(ctx, before)
		deleted += n
		if err != nil || n < pruneBatch {
			return deleted, holding, err
		}
	}
}

type placed struct {
	cursor
	at time.Time
}

func (l *Log) pruneSome(ctx context.Context, before time.Time) (n int64, holding *Reader, err error) {
	_, err = store.Write(store.WithoutGuard(ctx), l.db, func(tx store.Tx) (struct{}, error) {
		n, holding = 0, nil
		lockRetention(tx)
		slowest, reader, err := slowestReader(ctx, tx)
		if err != nil {
			return struct{}{}, err
		}
		oldest, err := oldestEvents(ctx, tx, pruneBatch+1)
		if err != nil || len(oldest) == 0 {
			return struct{}{}, err
		}
		var last cursor
		for _, ev := range oldest[:len(oldest)-1] {
			if !ev.at.Before(before) {
				break
			}
			if reader != nil && slowest.before(ev.cursor) {
				holding = reader
				break
			}
			last = ev.cursor
			n++
		}
		if n == 0 {
			return struct{}{}, nil
		}
		xid := strconv.FormatUint(last.xid, 10)
		place := tx.Dialect().XIDArg("CAST($1 AS text)")
		upTo := `(xid, seq) <= (` + place + `, $2)`
		if l.db.Engine() == store.SQLite { // its key is seq alone
			upTo = `xid = ` + place + ` AND seq <= $2`
		}
		tx.Queue(`DELETE FROM events WHERE `+upTo, xid, last.seq)
		tx.Queue(`INSERT INTO events_gone (one, xid, seq) VALUES (1, `+place+`, $2)
			ON CONFLICT (one) DO UPDATE SET xid = excluded.xid, seq = excluded.seq`, xid, last.seq)
		return struct{}{}, nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("event: prune: %w", err)
	}
	return n, holding, nil
}

// slowestReader is how far the subscription is that has read least; nil when there is none.
func slowestReader(ctx context.Context, tx store.Tx) (at cursor, r *Reader, err error) {
	var xid string
	var reader Reader
	err = tx.QueryRow(ctx, `SELECT name, `+tx.Dialect().XIDText("xid")+`, seq, seen_at FROM feed_readers ORDER BY feed_readers.xid, seq LIMIT 1`).
		Scan(&reader.Name, &xid, &at.seq, &reader.SeenAt)
	if errors.Is(err, store.ErrNoRows) {
		return cursor{}, nil, nil
	}
	if err == nil {
		at.xid, err = strconv.ParseUint(xid, 10, 64)
	}
	return at, &reader, err
}

// oldestEvents are the first events that may be shown, in the order of the feed.
func oldestEvents(ctx context.Context, tx store.Tx, limit int) ([]placed, error) {
	rows, err := tx.Query(ctx, `SELECT `+tx.Dialect().XIDText("xid")+`, seq, at FROM events WHERE `+visible(tx.Dialect())+`
		ORDER BY events.xid, seq LIMIT $1`, int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []placed
	for rows.Next() {
		var p placed
		var xid string
		if err := rows.Scan(&xid, &p.seq, &p.at); err != nil {
			return nil, err
		}
		if p.xid, err = strconv.ParseUint(xid, 10, 64); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// connected notes how far a subscription of another service is: what lies behind its cursor is kept until it connects anew.
func (l *Log) connected(ctx context.Context, name, after string) error {
	if name == "" || after == Now || access.ActorOf(ctx).Kind != access.KindService {
		return nil
	}
	at, err := parseCursor(after)
	if err != nil {
		return problem.PageTokenInvalid()
	}
	_, err = store.Write(store.WithoutGuard(ctx), l.db, func(tx store.Tx) (struct{}, error) {
		lockRetention(tx)
		xid, place := strconv.FormatUint(at.xid, 10), tx.Dialect().XIDArg("CAST($1 AS text)")
		if at != (cursor{}) {
			var gone int64
			err := tx.QueryRow(ctx, `SELECT count(*) FROM events_gone WHERE (xid, seq) > (`+place+`, $2)`, xid, at.seq).Scan(&gone)
			if err == nil && gone > 0 {
				err = expired(ctx, tx)
			}
			if err != nil {
				return struct{}{}, err
			}
		}
		if l.db.Engine() == store.SQLite {
			outrun(tx, at.seq, l.clock.Now())
		}
		tx.Queue(`INSERT INTO feed_readers (name, xid, seq, seen_at) VALUES ($3, `+place+`, $2, $4)
			ON CONFLICT (name) DO UPDATE SET xid = excluded.xid, seq = excluded.seq, seen_at = excluded.seen_at`,
			xid, at.seq, name, l.clock.Now())
		return struct{}{}, nil
	})
	return err
}

// expired is the error of a cursor behind which events are gone.
func expired(ctx context.Context, tx store.Tx) error {
	oldest, err := oldestEvents(ctx, tx, 1)
	if err != nil {
		return err
	}
	var from time.Time
	if len(oldest) > 0 {
		from = oldest[0].at
	}
	return problem.CursorExpired(from)
}
