package event

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// RegisterServer serves SubscriptionService.
func (s *Subscriber) RegisterServer(r grpc.ServiceRegistrar) {
	feedv1.RegisterSubscriptionServiceServer(r, &subscriptionServer{s: s})
}

type subscriptionServer struct {
	feedv1.UnimplementedSubscriptionServiceServer
	s *Subscriber
}

type subscriptionRow struct {
	Name        string
	Source      string
	Cursor      string
	MovedAt     *time.Time
	LastEventAt *time.Time
	Holder      string
	LastError   string
	Parked      int64
}

// ListSubscriptions implements SubscriptionService.
func (v *subscriptionServer) ListSubscriptions(ctx context.Context, req *feedv1.ListSubscriptionsRequest) (*feedv1.ListSubscriptionsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	rows, err := store.Read(ctx, v.s.db, func(tx store.Tx) ([]subscriptionRow, error) {
		return store.Select[subscriptionRow](ctx, tx, `
			SELECT name, source, cursor, moved_at, last_event_at, holder, last_error,
				(SELECT count(*) FROM parked_events AS p WHERE p.subscription = s.name) AS parked
			FROM subscriptions AS s WHERE name > $1 ORDER BY name LIMIT $2`, after, int64(limit)+1)
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(last subscriptionRow) string { return query.Encode(last.Name) })
	resp := &feedv1.ListSubscriptionsResponse{NextPageToken: next}
	for _, r := range rows {
		resp.Subscriptions = append(resp.Subscriptions, &feedv1.Subscription{
			Name: r.Name, Source: r.Source, Cursor: r.Cursor, MovedAt: timestamp(r.MovedAt), LastEventAt: timestamp(r.LastEventAt),
			ParkedCount: int32(r.Parked), Holder: r.Holder, LastError: r.LastError,
		})
	}
	return resp, nil
}

func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

type parkedRow struct {
	Position int64
	Event    []byte
	Error    string
	Attempts int64
	ParkedAt time.Time
}

// ListParkedEvents implements SubscriptionService.
func (v *subscriptionServer) ListParkedEvents(ctx context.Context, req *feedv1.ListParkedEventsRequest) (*feedv1.ListParkedEventsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after int64
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	rows, err := store.Read(ctx, v.s.db, func(tx store.Tx) ([]parkedRow, error) {
		if err := mustExist(ctx, tx, req.GetSubscription()); err != nil {
			return nil, err
		}
		return store.Select[parkedRow](ctx, tx, `SELECT position, event, error, attempts, parked_at FROM parked_events
			WHERE subscription = $1 AND position > $2 ORDER BY position LIMIT $3`, req.GetSubscription(), after, int64(limit)+1)
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(last parkedRow) string { return query.Encode(last.Position) })
	resp := &feedv1.ListParkedEventsResponse{NextPageToken: next}
	for _, r := range rows {
		ev := &feedv1.Event{}
		if err := proto.Unmarshal(r.Event, ev); err != nil {
			return nil, fmt.Errorf("event: parked event: %w", err)
		}
		resp.ParkedEvents = append(resp.ParkedEvents, &feedv1.ParkedEvent{
			Event: ev, Error: r.Error, Attempts: int32(r.Attempts), ParkedAt: timestamppb.New(r.ParkedAt),
		})
	}
	return resp, nil
}

func mustExist(ctx context.Context, tx store.Tx, subscription string) error {
	n, err := store.Get[int64](ctx, tx, `SELECT count(*) FROM subscriptions WHERE name = $1`, subscription)
	if err == nil && n == 0 {
		err = problem.NotFound("subscription", subscription)
	}
	return err
}

// ReplayParkedEvents implements SubscriptionService.
func (v *subscriptionServer) ReplayParkedEvents(ctx context.Context, req *feedv1.ReplayParkedEventsRequest) (*feedv1.ReplayParkedEventsResponse, error) {
	sub := v.s.find(req.GetSubscription())
	if sub == nil {
		return nil, problem.NotFound("subscription", req.GetSubscription())
	}
	subjects := []string{req.GetSubject()}
	if req.GetSubject() == "" {
		var err error
		subjects, err = store.Read(ctx, v.s.db, func(tx store.Tx) ([]string, error) {
			return store.Select[string](ctx, tx, `SELECT subject FROM parked_events WHERE subscription = $1
				GROUP BY subject ORDER BY MIN(position)`, sub.Name)
		})
		if err != nil {
			return nil, err
		}
	}
	resp := &feedv1.ReplayParkedEventsResponse{}
	for _, subject := range subjects {
		n, err := sub.replay(ctx, subject)
		if err != nil {
			return nil, err
		}
		resp.ReplayedCount += n
	}
	left, err := store.Read(ctx, v.s.db, func(tx store.Tx) (int64, error) {
		return store.Get[int64](ctx, tx, `SELECT count(*) FROM parked_events WHERE subscription = $1`, sub.Name)
	})
	resp.ParkedCount = int32(left)
	return resp, err
}
