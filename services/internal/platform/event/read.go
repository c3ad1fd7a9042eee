package event

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// filter narrows what is read; its zero value is everything.
type filter struct {
	types   []string
	subject string
}

func (f filter) wants(ev *feedv1.Event) bool {
	return (len(f.types) == 0 || slices.Contains(f.types, ev.GetType())) && (f.subject == "" || f.subject == ev.GetSubject())
}

// batch is a stretch of the feed.
type batch struct {
	events []*feedv1.Event
	// places are the cursors after each of the events.
	places []cursor
	// cursor is after everything that was looked at.
	cursor cursor
	// full tells that there may be more right behind; pending that there are committed events which may not be shown yet.
	full, pending bool
}

// read is the one query of the feed. The horizon is where the visible part ends in the snapshot of the query: what matches
// no filter up to there is passed over for good. Whether events are pending is asked of the last one: asked whether there are
// any, PostgreSQL expects many and reads the table from its beginning.
func (l *Log) read(ctx context.Context, after cursor, f filter, limit int) (batch, error) {
	return store.Read(ctx, l.db, func(tx store.Tx) (batch, error) {
		sql, args := readSQL(tx.Dialect(), after, f, limit)
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return batch{}, fmt.Errorf("event: read: %w", err)
		}
		defer rows.Close()
		b := batch{cursor: after}
		var horizon cursor
		gone := false
		for rows.Next() {
			r, err := scanRow(rows)
			if err != nil {
				return batch{}, fmt.Errorf("event: read: %w", err)
			}
			horizon, b.pending, gone = r.horizon, r.pending, r.gone
			if r.ev != nil {
				b.events, b.places = append(b.events, r.ev), append(b.places, r.at)
				b.cursor = r.at
			}
		}
		if err := rows.Err(); err != nil {
			return batch{}, fmt.Errorf("event: read: %w", err)
		}
		if gone && after != (cursor{}) {
			rows.Close()
			return batch{}, expired(ctx, tx)
		}
		b.full = limit > 0 && len(b.events) == limit
		if !b.full && b.cursor.before(horizon) {
			b.cursor = horizon
		}
		return b, nil
	})
}

func readSQL(d store.Dialect, after cursor, f filter, limit int) (string, []any) {
	args := []any{strconv.FormatUint(after.xid, 10), after.seq, int64(limit)}
	var where strings.Builder
	if len(f.types) > 0 {
		args = append(args, d.Strings(f.types))
		where.WriteString(" AND " + d.In("type", len(args)))
	}
	if f.subject != "" {
		args = append(args, f.subject)
		where.WriteString(" AND subject = $" + strconv.Itoa(len(args)))
	}
	const columns = `id, type, subject, subject_version, journey_id, actor_kind, actor_id, actor_name, cause, traceparent, at, data`
	if d.Name() == string(store.Postgres) {
		return `
SELECT CAST(h.horizon AS text), CAST(0 AS bigint), h.pending, h.gone, CAST(e.xid AS text), e.seq, CAST(e.id AS text), ` + prefixed(columns) + `
FROM (SELECT ` + horizonSQL + ` AS horizon,
	COALESCE((SELECT xid FROM events ORDER BY events.xid DESC, seq DESC LIMIT 1) >= ` + horizonSQL + `, FALSE) AS pending,
	EXISTS (SELECT FROM events_gone WHERE (xid, seq) > (CAST(CAST($1 AS text) AS xid8), $2)) AS gone) AS h
LEFT JOIN (
	SELECT xid, seq, ` + columns + ` FROM events
	WHERE (xid, seq) > (CAST(CAST($1 AS text) AS xid8), $2) AND ` + visible(d) + where.String() + `
	ORDER BY xid, seq LIMIT $3
) AS e ON TRUE
ORDER BY e.xid, e.seq`, args
	}
	return `
SELECT '0', h.horizon, FALSE, h.gone, CAST(e.xid AS TEXT), e.seq, e.id, ` + prefixed(columns) + `
FROM (SELECT COALESCE(MAX(seq), 0) AS horizon, EXISTS (SELECT 1 FROM events_gone WHERE seq > $2) AS gone FROM events) AS h
LEFT JOIN (
	SELECT xid, seq, ` + columns + ` FROM events
	WHERE xid = CAST($1 AS INTEGER) AND seq > $2` + where.String() + `
	ORDER BY seq LIMIT $3
) AS e ON TRUE
ORDER BY e.seq`, args
}

// prefixed names the columns after the id as those of e.
func prefixed(columns string) string {
	names := strings.Split(columns, ", ")[1:]
	for i, name := range names {
		names[i] = "e." + name
	}
	return strings.Join(names, ", ")
}

type row struct {
	horizon cursor
	pending bool
	gone    bool // events behind the cursor are no longer kept
	at      cursor
	ev      *feedv1.Event // nil in the one row that is there when nothing was found
}

func scanRow(rows store.Rows) (row, error) {
	var r row
	var horizonXID string
	var xid, id, typ, subject, journey, kind, actor, name, cause, trace *string
	var seq, version *int64
	var at *time.Time
	var data []byte
	if err := rows.Scan(&horizonXID, &r.horizon.seq, &r.pending, &r.gone, &xid, &seq, &id, &typ, &subject, &version, &journey, &kind,
		&actor, &name, &cause, &trace, &at, &data); err != nil {
		return row{}, err
	}
	var err error
	if r.horizon.xid, err = strconv.ParseUint(horizonXID, 10, 64); err != nil {
		return row{}, err
	}
	if id == nil {
		return r, nil
	}
	if r.at.xid, err = strconv.ParseUint(*xid, 10, 64); err != nil {
		return row{}, err
	}
	r.at.seq = *seq
	r.ev = &feedv1.Event{
		Id: *id, Type: *typ, Subject: *subject, SubjectVersion: *version, JourneyId: *journey,
		Actor: &typev1.Actor{Kind: typev1.Actor_Kind(typev1.Actor_Kind_value["KIND_"+*kind]), Id: *actor, DisplayName: *name},
		Cause: *cause, Traceparent: *trace, At: timestamppb.New(*at),
		Data: &anypb.Any{TypeUrl: "type.googleapis.com/" + *typ, Value: data},
	}
	return r, nil
}

// end is the cursor after everything that can be seen now.
func (l *Log) end(ctx context.Context) (cursor, error) {
	// Of no events, the horizon is all that comes.
	b, err := l.read(ctx, cursor{}, filter{}, 0)
	return b.cursor, err
}
