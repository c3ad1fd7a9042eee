package workitem

import (
	"context"
	"errors"
	"sync"
	"testing"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// desk stands for the handoff engine: it remembers what it was asked for.
type desk struct {
	hooks *Hooks

	mu       sync.Mutex
	handoffs map[string]*handoffv1.Handoff
	offers   []handoff.NewOffer
	fulfils  []string
}

func (d *desk) Offer(_ context.Context, _ store.Tx, o handoff.NewOffer) (*handoffv1.Handoff, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &handoffv1.Handoff{Id: party.NewID(), ChainId: o.ChainID, Payload: o.Payload}
	if h.ChainId == "" {
		h.ChainId = h.Id
	}
	d.offers, d.handoffs[h.Id] = append(d.offers, o), h
	return h, nil
}

func (d *desk) Get(_ context.Context, _ store.Tx, id string) (*handoffv1.Handoff, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h, offered := d.handoffs[id]; offered {
		return h, nil
	}
	return &handoffv1.Handoff{Id: id, State: handoffv1.State_STATE_OFFERED}, nil // one of marketing
}

func (d *desk) Resubmit(ctx context.Context, tx store.Tx, id string, payload *handoffv1.Payload, _ string) (*handoffv1.Handoff, error) {
	d.mu.Lock()
	h := d.handoffs[id]
	h.State, h.Payload = handoffv1.State_STATE_OFFERED, payload
	d.mu.Unlock()
	return h, d.hooks.meetingResubmitted(ctx, tx, h)
}

func (d *desk) Assign(ctx context.Context, tx store.Tx, id, assignee string) (*handoffv1.Handoff, error) {
	h := &handoffv1.Handoff{Id: id, Assignee: assignee}
	return h, d.hooks.assigned(ctx, tx, h)
}

func (d *desk) Fulfil(_ context.Context, _ store.Tx, id, note string) (*handoffv1.Handoff, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fulfils = append(d.fulfils, id+" "+note)
	return &handoffv1.Handoff{Id: id}, nil
}

func (d *desk) Reason(_ context.Context, _ store.Tx, kind handoffv1.Kind, code string) (*handoffv1.Reason, error) {
	if kind != handoffv1.Kind_KIND_MQL {
		return nil, errors.New("reasons are those of MQL")
	}
	switch code {
	case "BAD_TIMING":
		return &handoffv1.Reason{Code: code, Action: handoffv1.Reason_ACTION_RECYCLE, WakeAfterDays: 60}, nil
	case "COMPETITOR":
		return &handoffv1.Reason{Code: code, Action: handoffv1.Reason_ACTION_ARCHIVE}, nil
	}
	return nil, problem.ReasonUnknown(code, "MQL", "BAD_TIMING", "COMPETITOR")
}

type bench struct {
	*Server
	desk  *desk
	clock *testkit.Clock
	db    *store.DB
	ctx   context.Context
}

func servers(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	engines(t, func(t *testing.T, db *store.DB, items *Store, c *testkit.Clock) {
		hooks := NewHooks(items, c)
		d := &desk{hooks: hooks, handoffs: map[string]*handoffv1.Handoff{}}
		test(t, &bench{NewServer(db, c, items, d), d, c, db, access.WithActor(context.Background(), sato)})
	})
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// accepted is a work item of an MQL handoff that sato has accepted.
func (b *bench) accepted(t *testing.T) (id string, h *handoffv1.Handoff) {
	t.Helper()
	h = prospect(1)
	write(t, b.db, func(ctx context.Context, tx store.Tx) error {
		subject, err := b.desk.hooks.received(ctx, tx, h)
		if err != nil {
			return err
		}
		id = subject[len("work-item/"):]
		h.Assignee = "sato"
		_, err = b.desk.hooks.accepted(ctx, tx, h)
		return err
	})
	return id, h
}

func (b *bench) call(id string, result pb.Activity_Result) (*pb.Activity, error) {
	return b.LogActivity(b.ctx, &pb.LogActivityRequest{WorkItemId: id, Kind: pb.Activity_KIND_CALL, Result: result})
}

func (b *bench) decide(t *testing.T, h *handoffv1.Handoff) *pb.WorkItem {
	t.Helper()
	write(t, b.db, func(ctx context.Context, tx store.Tx) error { return b.desk.hooks.meetingDecided(ctx, tx, h, nil) })
	w := must(b.ListWorkItems(b.ctx, &pb.ListWorkItemsRequest{}))(t).GetWorkItems()[0]
	return w
}
