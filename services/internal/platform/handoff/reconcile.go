package handoff

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// beforeAll and afterAll bound all ids.
	beforeAll = "00000000-0000-0000-0000-000000000000"
	afterAll  = "ffffffff-ffff-ffff-ffff-ffffffffffff"
	// comparedAtOnce is how many handoffs one page of a comparison has.
	comparedAtOnce = 500
	// listed is how many differences a report names.
	listed = 1000
)

// Reconcile compares what this department has offered with the ledgers of its receivers. Differences are described in
// words, and mended where the protocol allows it unless dryRun is set: offers are delivered again, and decisions applied. A
// receiver that cannot be asked is named with the error; the others are compared all the same.
func (e *Engine) Reconcile(ctx context.Context, dryRun bool) ([]*handoffv1.PeerReconciliation, error) {
	var out []*handoffv1.PeerReconciliation
	for _, d := range e.receivers() {
		report := &handoffv1.PeerReconciliation{To: d.String()}
		out = append(out, report)
		for after := beforeAll; after != ""; {
			next, err := e.comparePage(ctx, report, after, dryRun)
			if err != nil {
				report.Error = problem.Status(ctx, err).Message()
				e.cfg.Logger.WarnContext(ctx, "handoff: the ledgers could not be compared", "to", d.String(), "error", err)
				break
			}
			after = next
		}
	}
	return out, nil
}

// receivers are the departments that this one offers to, in the order of the relay.
func (e *Engine) receivers() []access.Department {
	return slices.DeleteFunc(access.Departments(), func(d access.Department) bool { return !e.sendsTo(d) })
}

// ours is what the sender's ledger says of a handoff, as far as it is compared.
type ours struct {
	id        string
	kind      handoffv1.Kind
	attempt   int32
	state     State
	delivery  handoffv1.Delivery
	offeredAt time.Time
}

func (r *entry) ours() *ours {
	h := r.h
	return &ours{h.GetId(), h.GetKind(), h.GetAttempt(), r.state(), h.GetDelivery(), h.GetOfferedAt().AsTime()}
}

// moved reports whether the row has changed since it was compared: then what the receiver said is older than it.
func (o *ours) moved(since *ours) bool {
	return o != nil && since != nil && (o.attempt != since.attempt || o.state != since.state || o.delivery != since.delivery)
}

type oursRow struct {
	ID, Kind  string
	Attempt   int64
	State     string
	Delivery  string
	OfferedAt time.Time
}

// comparePage compares the handoffs of one receiver with ids after one, and adds to the report. next is where to go on;
// empty at the end. Ours are read before theirs, so that what is under way looks late here, never lost there.
func (e *Engine) comparePage(ctx context.Context, report *handoffv1.PeerReconciliation, after string, dryRun bool) (next string, err error) {
	conn := e.peers[access.Department(report.GetTo())]
	if conn == nil {
		return "", problem.Unavailable(report.GetTo())
	}
	rows, err := store.Read(ctx, e.cfg.DB, func(tx store.Tx) ([]oursRow, error) {
		return store.Select[oursRow](ctx, tx, `SELECT CAST(id AS TEXT) AS id, kind, attempt, state, delivery, offered_at FROM handoffs
			WHERE side = 'OUT' AND from_department = $1 AND to_department = $2 AND handoffs.id > $3 ORDER BY handoffs.id LIMIT $4`,
			e.cfg.Department.String(), report.GetTo(), after, int64(comparedAtOnce))
	})
	if err != nil {
		return "", err
	}
	until := afterAll
	if len(rows) == comparedAtOnce {
		until = rows[len(rows)-1].ID
		next = until
	}
	theirs, reasons, err := e.theirs(ctx, conn, after, until)
	if err != nil {
		return "", err
	}
	report.Compared += int64(len(rows))
	for _, row := range rows {
		o := &ours{row.ID, kindNamed(row.Kind), int32(row.Attempt), State(row.State), deliveryNamed(row.Delivery), row.OfferedAt}
		if err := e.settle(ctx, report, o, theirs[row.ID], reasons, dryRun); err != nil {
			return "", err
		}
		delete(theirs, row.ID)
	}
	for _, t := range theirs { // those that we do not have
		report.Compared++
		if err := e.settle(ctx, report, nil, t, reasons, dryRun); err != nil {
			return "", err
		}
	}
	return next, nil
}

// theirs asks a receiver for its side of the handoffs of an interval of ids.
func (e *Engine) theirs(ctx context.Context, conn grpc.ClientConnInterface, after, until string) (map[string]*handoffv1.Handoff, map[string]*handoffv1.Reason, error) {
	handoffs, reasons := map[string]*handoffv1.Handoff{}, map[string]*handoffv1.Reason{}
	req := &handoffv1.ListReceivedRequest{From: e.cfg.Department.String(), AfterId: after, UntilId: until, PageSize: comparedAtOnce}
	for {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		resp, err := handoffv1.NewHandoffReceiverServiceClient(conn).ListReceived(call, req)
		cancel()
		if err != nil {
			return nil, nil, fmt.Errorf("handoff: compare: %w", err)
		}
		for _, h := range resp.GetHandoffs() {
			handoffs[h.GetId()] = h
		}
		for _, r := range resp.GetReasons() {
			reasons[kindName(r.GetKind())+"/"+r.GetCode()] = r
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return handoffs, reasons, nil
		}
	}
}

// settle judges one handoff, mends it and writes it into the report. It judges again under the lock: what has changed
// meanwhile is under way, and no difference.
func (e *Engine) settle(ctx context.Context, report *handoffv1.PeerReconciliation, o *ours, t *handoffv1.Handoff, reasons map[string]*handoffv1.Reason, dryRun bool) error {
	now := e.cfg.Clock.Now()
	v := judge(o, t, now)
	if v == nil {
		return nil
	}
	id := t.GetId()
	if o != nil {
		id = o.id
	}
	mended, err := store.Write(ctx, e.cfg.DB, func(tx store.Tx) (bool, error) {
		r, err := find(ctx, tx, id, true)
		if err != nil {
			return false, err
		}
		var here *ours
		if r != nil && r.side == Out {
			here = r.ours()
		}
		again := judge(here, t, now)
		if again == nil || again.finding != v.finding || here.moved(o) {
			v = nil
			return false, nil
		}
		if dryRun || again.mend == nil {
			return false, nil
		}
		return true, again.mend(ctx, e, tx, r, t, reasons)
	})
	if v == nil {
		return nil
	}
	d := v.difference(report.GetTo(), id, o, t)
	switch d.Mended = mended && err == nil; {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil: // a hook of the department refused: the others go on
		e.cfg.Logger.WarnContext(ctx, "handoff: a difference could not be mended", "handoff_id", id, "finding", v.finding.String(), "error", err)
		d.Description.Ja += "修復できませんでした。"
		d.Description.En += " Mending it failed."
	case dryRun && v.mend != nil:
		d.Description.Ja += "修復できます。"
		d.Description.En += " It can be mended."
	}
	report.Different++
	if d.Mended {
		report.Mended++
	}
	if len(report.GetDifferences()) < listed {
		report.Differences = append(report.Differences, d)
	}
	return nil
}

// ReconcileHandoffs implements HandoffDeskService.
func (d *desk) ReconcileHandoffs(ctx context.Context, req *handoffv1.ReconcileHandoffsRequest) (*handoffv1.ReconcileHandoffsResponse, error) {
	peers, err := d.e.Reconcile(store.WithoutGuard(ctx), req.GetDryRun())
	return &handoffv1.ReconcileHandoffsResponse{Peers: peers}, err
}
