package handoff

import (
	"context"
	"time"

	"google.golang.org/grpc"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// desk implements HandoffDeskService.
type desk struct {
	handoffv1.UnimplementedHandoffDeskServiceServer
	e *Engine
}

type handoffRow struct {
	Side    string
	Version int64
	Body    []byte
}

// ListHandoffs implements HandoffDeskService.
func (d *desk) ListHandoffs(ctx context.Context, req *handoffv1.ListHandoffsRequest) (*handoffv1.ListHandoffsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	w := d.filter(req)
	var offeredAt time.Time
	var id string
	more, err := query.Decode(req.GetPageToken(), &offeredAt, &id)
	if err != nil {
		return nil, err
	}
	if more {
		w.And("(offered_at, id) < (?, ?)", offeredAt, id)
	}
	sql, args := newest(w, stretches(req), int64(limit)+1)
	found, err := store.Read(ctx, d.e.cfg.DB, func(tx store.Tx) ([]*handoffv1.Handoff, error) {
		rows, err := store.Select[handoffRow](ctx, tx, sql, args...)
		if err != nil {
			return nil, err
		}
		out := make([]*handoffv1.Handoff, len(rows))
		for i, row := range rows {
			r, err := decode(row.Side, row.Version, row.Body)
			if err != nil {
				return nil, err
			}
			out[i] = r.h
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	found, next := page.Cut(found, limit, func(last *handoffv1.Handoff) string {
		return query.Encode(last.GetOfferedAt().AsTime(), last.GetId())
	})
	return &handoffv1.ListHandoffsResponse{Handoffs: found, NextPageToken: next}, nil
}

// GetHandoff implements HandoffDeskService.
func (d *desk) GetHandoff(ctx context.Context, req *handoffv1.GetHandoffRequest) (*handoffv1.GetHandoffResponse, error) {
	return store.Read(ctx, d.e.cfg.DB, func(tx store.Tx) (*handoffv1.GetHandoffResponse, error) {
		h, err := d.e.Get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		resp := &handoffv1.GetHandoffResponse{Handoff: h}
		if resp.Attempts, err = attempts(ctx, tx, h); err != nil {
			return nil, err
		}
		if resp.Transitions, err = transitions(ctx, tx, h.GetId()); err != nil {
			return nil, err
		}
		resp.Breaches, err = breaches(ctx, tx, h.GetId())
		return resp, err
	})
}

// watched are the events that the desk shows.
var watched = []string{
	"tasuki.handoff.v1.HandoffOffered", "tasuki.handoff.v1.HandoffReceived", "tasuki.handoff.v1.HandoffAssigned",
	"tasuki.handoff.v1.HandoffAccepted", "tasuki.handoff.v1.HandoffRejected", "tasuki.handoff.v1.HandoffReturned",
	"tasuki.handoff.v1.HandoffRecalled", "tasuki.handoff.v1.HandoffExpired", "tasuki.handoff.v1.HandoffFulfilled",
	"tasuki.handoff.v1.HandoffDecisionApplied", "tasuki.handoff.v1.HandoffBreached", "tasuki.handoff.v1.HandoffUndelivered",
}

// WatchHandoffs implements HandoffDeskService.
func (d *desk) WatchHandoffs(req *handoffv1.WatchHandoffsRequest, stream grpc.ServerStreamingServer[handoffv1.WatchHandoffsResponse]) error {
	after := req.GetAfter()
	if after == "" {
		after = event.Now
	}
	follow := event.FollowRequest{After: after, Types: watched}
	return d.e.cfg.Events.Follow(stream.Context(), follow, func(msg *feedv1.StreamEventsResponse) error {
		if len(msg.GetEvents()) == 0 {
			return stream.Send(&handoffv1.WatchHandoffsResponse{Cursor: msg.GetCursor()})
		}
		for i, ev := range msg.GetEvents() {
			data, err := ev.GetData().UnmarshalNew()
			if err != nil {
				return problem.Internal(err)
			}
			h := data.(interface{ GetHandoff() *handoffv1.Handoff }).GetHandoff()
			if !d.shows(req, h) {
				continue
			}
			name := string(data.ProtoReflect().Descriptor().Name())
			if err := stream.Send(&handoffv1.WatchHandoffsResponse{Handoff: h, Event: name, Cursor: msg.GetCursors()[i]}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *desk) shows(req *handoffv1.WatchHandoffsRequest, h *handoffv1.Handoff) bool {
	me := d.e.cfg.Department.String()
	switch {
	case req.GetKind() != handoffv1.Kind_KIND_UNSPECIFIED && req.GetKind() != h.GetKind():
		return false
	case req.GetBox() == handoffv1.Box_BOX_INBOX:
		return h.GetTo() == me
	case req.GetBox() == handoffv1.Box_BOX_OUTBOX:
		return h.GetFrom() == me
	}
	return true
}
