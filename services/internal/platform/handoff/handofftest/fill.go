// Package handofftest fills ledgers for tests and benchmarks that want them large.
package handofftest

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// states are how the handoffs of a ledger that has been in use for long stand: of a hundred, so many from a number on.
var states = []struct {
	from  int
	state handoffv1.State
}{
	{0, handoffv1.State_STATE_FULFILLED},
	{80, handoffv1.State_STATE_REJECTED},
	{97, handoffv1.State_STATE_RETURNED},
	{98, handoffv1.State_STATE_ACCEPTED},
	{99, handoffv1.State_STATE_OFFERED},
}

// Queue is where some of the handoffs are.
const Queue = "enterprise"

// idMark stands for the id in the messages that rows are made of; it is as long as an id.
const idMark = "#####################################"

// Fill writes n MQL handoffs from marketing to inside sales into one side's ledger, one a minute, the last of them a day ago:
// with a transition and an event each, and an attempt where it was returned, in few statements. What is open is not due yet, and no job waits for it. On
// PostgreSQL it brings the statistics up to date.
func Fill(ctx context.Context, db *store.DB, side handoff.Side, n int) error {
	f := filler{d: db.Dialect(), n: n, side: side, last: time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Microsecond)}
	if db.Engine() == store.SQLite {
		f.f = sqliteForms
	} else {
		f.f = postgresForms
	}
	// One transaction for each table: a single one would make the log of SQLite as large as all of them.
	for _, sql := range []string{f.handoffs(), f.attempts(), f.transitions(), f.events()} {
		_, err := store.Write(store.WithoutGuard(ctx), db, func(tx store.Tx) (int64, error) {
			if db.Engine() == store.Postgres {
				tx.Queue("SET LOCAL session_replication_role = replica") // no trigger looks at each row
			}
			return tx.Exec(ctx, sql)
		})
		if err != nil {
			return fmt.Errorf("handofftest: fill: %w", err)
		}
	}
	if pool := db.Pool(); pool != nil {
		if _, err := pool.Exec(ctx, "VACUUM ANALYZE"); err != nil {
			return fmt.Errorf("handofftest: analyse: %w", err)
		}
		return nil
	}
	return nil // nobody brings them up to date on SQLite
}

// forms are what the engines write differently. i is the number of a handoff, id its id, at the time of its offer.
type forms struct{ series, id, at, text, blob, join, null string }

var postgresForms = forms{
	series: "SELECT i, %s AS id, %s AS at FROM generate_series(1, %d) AS i",
	id:     "CAST('0190' || lpad(to_hex(i), 8, '0') || '7000800000000000dead' AS uuid)",
	at:     "CAST('%s' AS timestamptz) - (%d - i) * interval '1 minute'",
	text:   "CAST(id AS text)", blob: "'\\x%s'::bytea", join: " || convert_to(CAST(id AS text), 'UTF8') || ", null: "CAST(NULL AS timestamptz)",
}

var sqliteForms = forms{
	series: "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < %[3]d) SELECT i, %[1]s AS id, %[2]s AS at FROM s",
	id:     "printf('0190%%04x-%%04x-7000-8000-00000000dead', i / 65536, i %% 65536)",
	at:     "strftime('%%Y-%%m-%%dT%%H:%%M:%%S.000000Z', julianday('%s') - (%d - i) / 1440.0)",
	text:   "id", blob: "x'%s'", join: " || CAST(id AS BLOB) || ", null: "NULL",
}

type filler struct {
	d    store.Dialect
	f    forms
	n    int
	side handoff.Side
	last time.Time
}

// from is the series as a subquery.
func (f filler) from() string {
	last := f.last.Format("2006-01-02T15:04:05.000000Z")
	id := strings.ReplaceAll(f.f.id, "%%", "%")
	return "(" + fmt.Sprintf(f.f.series, id, fmt.Sprintf(f.f.at, last, f.n), f.n) + ") AS made"
}

// byState chooses a value by the state that a handoff is in.
func byState(value func(handoffv1.State) string) string {
	out := "CASE"
	for i := len(states) - 1; i >= 0; i-- {
		out += fmt.Sprintf(" WHEN i %% 100 >= %d THEN %s", states[i].from, value(states[i].state))
	}
	return out + " END"
}

// queue has nearly a fifth of the handoffs, the open ones among them.
func queue(s handoffv1.State) string {
	if s == handoffv1.State_STATE_REJECTED || s == handoffv1.State_STATE_OFFERED {
		return Queue
	}
	return ""
}

func name(s handoffv1.State) string { return "'" + strings.TrimPrefix(s.String(), "STATE_") + "'" }

// example is a handoff in a state, with marks for its id.
func (f filler) example(s handoffv1.State) *handoffv1.Handoff {
	mark := idMark[:36]
	h := &handoffv1.Handoff{
		Id: mark, Kind: handoffv1.Kind_KIND_MQL, PayloadVersion: 1, ChainId: mark, Attempt: 1, JourneyId: mark, PersonId: mark,
		From: access.Marketing.String(), To: access.InsideSales.String(), State: s, OfferedAt: timestamppb.New(f.last),
		Payload: f.payload(), SenderSubject: "lead/" + mark, ReceiverSubject: "work-item/" + mark, Queue: queue(s),
	}
	if f.side == handoff.Out {
		h.Delivery = handoffv1.Delivery_DELIVERY_DELIVERED
	}
	if s != handoffv1.State_STATE_OFFERED {
		h.Assignee, h.DecidedAt = "suzuki", h.GetOfferedAt()
		h.Decision = &handoffv1.Decision{State: s, At: h.GetOfferedAt()}
	}
	if s == handoffv1.State_STATE_FULFILLED {
		h.FulfilledAt = h.GetOfferedAt()
	}
	return h
}

func (f filler) payload() *handoffv1.Payload {
	return &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{
		Person:     &typev1.Person{Name: &typev1.PersonName{Full: "佐藤 花子"}, Mail: "hanako@example.co.jp", Title: "主任"},
		Company:    &typev1.Company{Name: "株式会社タスキ", Domain: "example.co.jp", Industry: "製造業", Employees: 30},
		FirstTouch: &typev1.Touch{Channel: "EVENT"}, Score: &handoffv1.LeadScore{Fit: 20}, QualifyingAction: "manual",
	}}}
}

// message is a message as SQL that puts the id in place of the marks.
func (f filler) message(m proto.Message) string {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil { // it is made above
		panic(err)
	}
	parts := bytes.Split(body, []byte(idMark[:36]))
	out := make([]string, len(parts))
	for i, part := range parts {
		out[i] = fmt.Sprintf(f.f.blob, hex.EncodeToString(part))
	}
	return "CAST(" + strings.Join(out, f.f.join) + " AS " + f.blobType() + ")"
}

func (f filler) blobType() string {
	if f.d.Name() == string(store.Postgres) {
		return "bytea"
	}
	return "BLOB"
}

func (f filler) handoffs() string {
	delivery := "''"
	if f.side == handoff.Out {
		delivery = "'DELIVERED'"
	}
	t := f.f.text
	return `INSERT INTO handoffs (id, side, kind, chain_id, attempt, journey_id, person_id, account_id, from_department,
		to_department, queue, assignee, state, delivery, reason, completeness, offered_at, accept_due_at, first_action_due_at,
		decided_at, fulfilled_at, policy, calendar, sender_subject, receiver_subject, version, updated_at, body)
	SELECT id, '` + string(f.side) + `', 'MQL', id, 1, ` + t + `, ` + t + `, '', 'marketing', 'inside-sales',
		` + byState(func(s handoffv1.State) string { return "'" + queue(s) + "'" }) + `,
		CASE WHEN i % 100 >= 99 THEN '' ELSE 'person-' || (i % 50) END, ` + byState(name) + `, ` + delivery + `, '', 80, at,
		CASE WHEN i % 100 >= 99 THEN ` + f.later() + ` ELSE ` + f.f.null + ` END, CASE WHEN i % 100 = 98 THEN ` + f.later() + ` ELSE ` + f.f.null + ` END,
		CASE WHEN i % 100 >= 99 THEN ` + f.f.null + ` ELSE at END, CASE WHEN i % 100 < 80 THEN at ELSE ` + f.f.null + ` END, 'MQL', 'company',
		'lead/' || ` + t + `, 'work-item/' || ` + t + `, 3, at, ` +
		byState(func(s handoffv1.State) string { return f.message(f.example(s)) }) + ` FROM ` + f.from()
}

// later is when what is open is due.
func (f filler) later() string {
	at := f.last.AddDate(1, 0, 0).Format("2006-01-02T15:04:05.000000Z")
	if f.d.Name() == string(store.Postgres) {
		return "CAST('" + at + "' AS timestamptz)"
	}
	return "'" + at + "'"
}

// attempts are those that are over and may be followed by another.
func (f filler) attempts() string {
	h := f.example(handoffv1.State_STATE_RETURNED)
	return `INSERT INTO handoff_attempts (handoff_id, number, state, reason, offered_at, decided_at, body)
	SELECT id, 1, 'RETURNED', '', at, at, ` +
		f.message(&handoffv1.Attempt{Number: 1, OfferedAt: h.GetOfferedAt(), Payload: h.GetPayload(), Decision: h.GetDecision()}) +
		` FROM ` + f.from() + ` WHERE i % 100 = 97`
}

func (f filler) transitions() string {
	return `INSERT INTO handoff_transitions (handoff_id, version, attempt, from_state, to_state, at, actor_kind, actor_id, actor_name,
		reason, note, time_in_from) SELECT id, 1, 1, '', 'OFFERED', at, 'SYSTEM', 'system:fill', '', '', '', 0 FROM ` + f.from()
}

// events are those that nobody but desks reads: subscriptions pass over them.
func (f filler) events() string {
	h := f.example(handoffv1.State_STATE_OFFERED)
	var data proto.Message = &handoffv1.HandoffReceived{Handoff: h}
	if f.side == handoff.Out {
		data = &handoffv1.HandoffOffered{Handoff: h}
	}
	return `INSERT INTO events (id, type, subject, subject_version, journey_id, actor_kind, actor_id, actor_name, cause, traceparent, at, data)
	SELECT id, '` + string(data.ProtoReflect().Descriptor().FullName()) + `', 'handoff/' || ` + f.f.text + `, 1, ` + f.f.text + `, 'SYSTEM',
		'system:fill', '', '', '', at, ` + f.message(data) + ` FROM ` + f.from()
}
