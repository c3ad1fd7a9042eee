package event

import (
	"context"
	"time"

	"google.golang.org/grpc"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

const (
	defaultPage, maxPage = 100, 1000
	// streamBatch bounds the events of a stream's message, messageBytes its size: well under gRPC's limit of 4 MiB.
	streamBatch  = 500
	messageBytes = 1 << 20
	// heartbeat is the longest silence of a stream.
	heartbeat = 15 * time.Second
)

// RegisterServer serves FeedService.
func (l *Log) RegisterServer(r grpc.ServiceRegistrar) {
	feedv1.RegisterFeedServiceServer(r, &feedServer{log: l})
}

type feedServer struct {
	feedv1.UnimplementedFeedServiceServer
	log *Log
}

// ListEvents implements FeedService.
func (s *feedServer) ListEvents(ctx context.Context, req *feedv1.ListEventsRequest) (*feedv1.ListEventsResponse, error) {
	after, err := parseCursor(req.GetPageToken())
	if err != nil {
		return nil, problem.PageTokenInvalid()
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	b, err := s.log.read(ctx, after, filter{req.GetTypes(), req.GetSubject()}, min(size, maxPage))
	if err != nil {
		return nil, err
	}
	return &feedv1.ListEventsResponse{Events: b.events, NextPageToken: b.cursor.String()}, nil
}

// StreamEvents implements FeedService.
func (s *feedServer) StreamEvents(req *feedv1.StreamEventsRequest, stream grpc.ServerStreamingServer[feedv1.StreamEventsResponse]) error {
	if err := s.log.connected(stream.Context(), req.GetSubscriber(), req.GetAfter()); err != nil {
		return err
	}
	return s.log.Follow(stream.Context(), FollowRequest{After: req.GetAfter(), Types: req.GetTypes(), Subject: req.GetSubject()}, stream.Send)
}

// FollowRequest says where to begin and what to show.
type FollowRequest struct {
	// After is the cursor to begin after; empty begins with the oldest event, Now with the next one.
	After string
	// Types and Subject narrow the events as in the contract.
	Types   []string
	Subject string
}

// Now is the cursor of a stream that begins with the next event.
const Now = "now"

// Follow calls send with the events after a cursor, as they are committed, oldest first, and with none after 15 seconds of
// silence. It ends when ctx ends, with send's error, or when the service stops (UNAVAILABLE).
func (l *Log) Follow(ctx context.Context, req FollowRequest, send func(*feedv1.StreamEventsResponse) error) error {
	at, err := l.begin(ctx, req.After)
	if err != nil {
		return err
	}
	alive := func() error { return send(&feedv1.StreamEventsResponse{Cursor: at.String()}) }
	if req.After == Now { // at once, so that the caller has a cursor to resume from
		if err := alive(); err != nil {
			return err
		}
	}
	f := filter{req.Types, req.Subject}
	t := l.joinTail(f) //nolint:contextcheck // it outlives the stream that comes first
	defer l.leaveTail(t, f)
	silent := time.NewTimer(heartbeat)
	defer silent.Stop()
	for {
		b, changed, err := l.behind(ctx, t, at, f)
		if err != nil {
			return err
		}
		at = b.cursor
		if len(b.events) > 0 {
			if err := sendParts(b, send); err != nil {
				return err
			}
			silent.Reset(heartbeat)
		}
		if b.full {
			continue
		}
		select {
		case <-changed:
		case <-silent.C:
			if err := alive(); err != nil {
				return err
			}
			silent.Reset(heartbeat)
		case <-ctx.Done():
			return ctx.Err()
		case <-l.stopped:
			return problem.Unavailable("the feed")
		}
	}
}

// behind is what there is behind a cursor, from the tail, or from the table where that does not reach. changed is closed when
// there may be more; full tells that there may be already.
func (l *Log) behind(ctx context.Context, t *tail, at cursor, f filter) (batch, <-chan struct{}, error) {
	b, covered, changed, err := t.after(at, f)
	if covered || err != nil {
		return b, changed, err
	}
	b, err = l.read(ctx, at, f, streamBatch)
	b.full = b.full || b.cursor != at // the tail may have gone on meanwhile
	return b, changed, err
}

func (l *Log) begin(ctx context.Context, after string) (cursor, error) {
	if after == Now {
		return l.end(ctx)
	}
	at, err := parseCursor(after)
	if err != nil {
		return cursor{}, problem.PageTokenInvalid()
	}
	return at, nil
}

// sendParts sends a batch in messages of a bounded size.
func sendParts(b batch, send func(*feedv1.StreamEventsResponse) error) error {
	for from := 0; from < len(b.events); {
		msg := &feedv1.StreamEventsResponse{}
		to, size := from, 0
		for to < len(b.events) && (to == from || size < messageBytes) {
			size += len(b.events[to].GetData().GetValue()) + 300 // the rest of an event is around that
			msg.Cursors = append(msg.Cursors, b.places[to].String())
			to++
		}
		msg.Events, msg.Cursor = b.events[from:to], msg.Cursors[to-from-1]
		if to == len(b.events) {
			msg.Cursor = b.cursor.String()
		}
		if err := send(msg); err != nil {
			return err
		}
		from = to
	}
	return nil
}
