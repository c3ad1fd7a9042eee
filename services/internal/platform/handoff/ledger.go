package handoff

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

//go:embed migrations
var embedded embed.FS

// Migrations makes the tables of this package, and fills handoff_reasons.
func Migrations() store.Migrations {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil { // the folder is embedded above
		panic(err)
	}
	return store.Migrations{Name: "handoff", FS: sub}
}

// entry is one row of the ledger in memory. h says everything about it but the side.
type entry struct {
	side    Side
	version int64
	h       *handoffv1.Handoff
}

func (r *entry) state() State { return stateOf(r.h.GetState()) }

// find reads a row; with lock it is locked until the transaction ends. Nil when there is none.
func find(ctx context.Context, tx store.Tx, id string, lock bool) (*entry, error) {
	sql := `SELECT side, version, body FROM handoffs WHERE id = $1`
	if lock {
		if r := held(ctx, id); r != nil {
			return r, nil
		}
		sql += tx.Dialect().ForUpdate()
	}
	var side string
	var version int64
	var body []byte
	err := tx.QueryRow(ctx, sql, id).Scan(&side, &version, &body)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("handoff: read: %w", err)
	}
	return decode(side, version, body)
}

// findAll reads rows by their ids, with a clause that locks them, in the order of the ids, or an empty one. Ids without a row
// are left out.
func findAll(ctx context.Context, tx store.Tx, ids []string, lock string) (map[string]*entry, error) {
	d := tx.Dialect()
	where, arg := d.InUUID("id", 1)+` ORDER BY id`, d.Strings(ids)
	if len(ids) == 1 { // PostgreSQL plans a list anew each time
		where, arg = `id = $1`, ids[0]
	}
	rows, err := store.Select[handoffRow](ctx, tx, `SELECT side, version, body FROM handoffs WHERE `+where+lock, arg)
	if err != nil {
		return nil, fmt.Errorf("handoff: read: %w", err)
	}
	found := make(map[string]*entry, len(rows))
	for _, row := range rows {
		r, err := decode(row.Side, row.Version, row.Body)
		if err != nil {
			return nil, err
		}
		found[r.h.GetId()] = r
	}
	return found, nil
}

func decode(side string, version int64, body []byte) (*entry, error) {
	h := &handoffv1.Handoff{}
	if err := proto.Unmarshal(body, h); err != nil {
		return nil, fmt.Errorf("handoff: stored handoff: %w", err)
	}
	h.Etag = etag.Format(version)
	return &entry{side: Side(side), version: version, h: h}, nil
}

// mustFind is find with a lock; RESOURCE_NOT_FOUND when there is no row.
func mustFind(ctx context.Context, tx store.Tx, id string) (*entry, error) {
	r, err := find(ctx, tx, id, true)
	if err == nil && r == nil {
		err = problem.NotFound("handoff", id)
	}
	return r, err
}

var handoffColumns = []string{
	"id", "side", "kind", "chain_id", "attempt", "journey_id", "person_id", "account_id", "from_department", "to_department",
	"queue", "assignee", "state", "delivery", "reason", "completeness", "offered_at", "accept_due_at", "first_action_due_at", "decided_at",
	"fulfilled_at", "policy", "calendar", "sender_subject", "receiver_subject", "version", "updated_at", "body",
}

// What was offered to whom never changes; the rest may.
const updateHandoff = `
UPDATE handoffs SET attempt = $2, account_id = $3, queue = $4, assignee = $5, state = $6, delivery = $7, reason = $8,
	completeness = $9, offered_at = $10, accept_due_at = $11, first_action_due_at = $12, decided_at = $13, fulfilled_at = $14,
	policy = $15, calendar = $16, receiver_subject = $17, version = $18, updated_at = $19, body = $20
WHERE id = $1`

// save queues the row as a new version. The row is locked, or new, so that is a compare-and-set.
func (r *entry) save(tx store.Tx, now time.Time) error {
	fresh := r.version == 0
	r.version++
	h := r.h
	h.Etag, h.UpdateTime = etag.Format(r.version), timestamppb.New(now)
	body, err := proto.Marshal(h)
	if err != nil {
		return fmt.Errorf("handoff: %w", err)
	}
	state, delivery, reason := string(r.state()), deliveryName(h.GetDelivery()), h.GetDecision().GetReason()
	offered, acceptDue, firstDue := h.GetOfferedAt().AsTime(), nullTime(h.GetAcceptDueAt()), nullTime(h.GetFirstActionDueAt())
	decided, fulfilled, score := nullTime(h.GetDecidedAt()), nullTime(h.GetFulfilledAt()), int64(h.GetCompleteness().GetScore())
	if fresh {
		tx.Append("handoffs", handoffColumns, h.GetId(), string(r.side), kindName(h.GetKind()), h.GetChainId(), int64(h.GetAttempt()),
			h.GetJourneyId(), h.GetPersonId(), h.GetAccountId(), h.GetFrom(), h.GetTo(), h.GetQueue(), h.GetAssignee(), state,
			delivery, reason, score, offered, acceptDue, firstDue, decided, fulfilled, h.GetPolicy(), h.GetCalendar(),
			h.GetSenderSubject(), h.GetReceiverSubject(), r.version, now, body)
		return nil
	}
	tx.Queue(updateHandoff, h.GetId(), int64(h.GetAttempt()), h.GetAccountId(), h.GetQueue(), h.GetAssignee(), state, delivery,
		reason, score, offered, acceptDue, firstDue, decided, fulfilled, h.GetPolicy(), h.GetCalendar(), h.GetReceiverSubject(),
		r.version, now, body)
	return nil
}

// presentAttempt is the attempt that the handoff itself tells of.
func presentAttempt(h *handoffv1.Handoff) *handoffv1.Attempt {
	return &handoffv1.Attempt{Number: h.GetAttempt(), OfferedAt: h.GetOfferedAt(), Payload: h.GetPayload(), Decision: h.GetDecision()}
}

// keepAttempt queues the present attempt where another may take its place: the handoff itself tells of the present one only.
// That is when it is over, not when the next one comes: programs of the version before offer again without looking back.
func (r *entry) keepAttempt(tx store.Tx) error {
	h := r.h
	body, err := proto.Marshal(presentAttempt(h))
	if err != nil {
		return fmt.Errorf("handoff: %w", err)
	}
	tx.Queue(`INSERT INTO handoff_attempts (handoff_id, number, state, reason, offered_at, decided_at, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (handoff_id, number)
		DO UPDATE SET state = excluded.state, reason = excluded.reason, decided_at = excluded.decided_at, body = excluded.body`,
		h.GetId(), int64(h.GetAttempt()), string(r.state()), h.GetDecision().GetReason(), h.GetOfferedAt().AsTime(),
		nullTime(h.GetDecidedAt()), body)
	return nil
}

// step is one change of state.
type step struct {
	from         State
	since        time.Time // when it came into from; zero for the first
	at           time.Time
	actor        access.Actor
	reason, note string
}

var transitionColumns = []string{
	"handoff_id", "version", "attempt", "from_state", "to_state", "at", "actor_kind", "actor_id", "actor_name", "reason", "note",
	"time_in_from",
}

// saveTransition queues the step to the state the row is in now; call it after save.
func (r *entry) saveTransition(ctx context.Context, tx store.Tx, s step) {
	var spent int64
	if !s.since.IsZero() {
		spent = max(0, s.at.Sub(s.since).Microseconds())
	}
	tx.Append("handoff_transitions", transitionColumns, r.h.GetId(), r.version, int64(r.h.GetAttempt()), string(s.from),
		string(r.state()), s.at, string(s.actor.Kind), s.actor.ID, s.actor.Name, s.reason, s.note, spent)
	r.countTransition(ctx, tx)
}

// since is when the row came into its present state, as far as its own times tell.
func (r *entry) since() time.Time {
	switch r.state() {
	case Offered:
		return r.h.GetOfferedAt().AsTime()
	case Fulfilled:
		return r.h.GetFulfilledAt().AsTime()
	}
	return r.h.GetDecidedAt().AsTime()
}

// attempts are the earlier ones, which were kept, and the present one. What else was kept of the present one is older than h.
func attempts(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) ([]*handoffv1.Attempt, error) {
	bodies, err := store.Select[[]byte](ctx, tx, `SELECT body FROM handoff_attempts WHERE handoff_id = $1 AND number < $2 ORDER BY number`,
		h.GetId(), int64(h.GetAttempt()))
	if err != nil {
		return nil, err
	}
	out := make([]*handoffv1.Attempt, len(bodies), len(bodies)+1)
	for i, body := range bodies {
		out[i] = &handoffv1.Attempt{}
		if err := proto.Unmarshal(body, out[i]); err != nil {
			return nil, fmt.Errorf("handoff: stored attempt: %w", err)
		}
	}
	return append(out, presentAttempt(h)), nil
}

type transitionRow struct {
	FromState, ToState            string
	At                            time.Time
	ActorKind, ActorID, ActorName string
	Reason, Note                  string
	TimeInFrom                    int64
}

func transitions(ctx context.Context, tx store.Tx, id string) ([]*typev1.Transition, error) {
	rows, err := store.Select[transitionRow](ctx, tx, `SELECT from_state, to_state, at, actor_kind, actor_id, actor_name, reason,
		note, time_in_from FROM handoff_transitions WHERE handoff_id = $1 ORDER BY version`, id)
	if err != nil {
		return nil, err
	}
	out := make([]*typev1.Transition, len(rows))
	for i, t := range rows {
		out[i] = &typev1.Transition{
			From: t.FromState, To: t.ToState, At: timestamppb.New(t.At), Reason: t.Reason, Note: t.Note,
			Actor:      access.Actor{Kind: access.Kind(t.ActorKind), ID: t.ActorID, Name: t.ActorName}.Proto(),
			TimeInFrom: durationpb.New(time.Duration(t.TimeInFrom) * time.Microsecond),
		}
	}
	return out, nil
}
