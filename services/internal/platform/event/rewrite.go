package event

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Rewrite changes the data of events that were written before, of this service's own log and of those it has parked: it is
// for erasing a person, and for nothing else. change is called with the data of every event of the subjects, and tells
// whether it changed them; id, type, order and all else stay. It returns how many rows were changed. The event that asks for
// the rewriting may be among what is rewritten.
func Rewrite(ctx context.Context, tx store.Tx, subjects []string, change func(proto.Message) bool) (events, parked int64, err error) {
	if events, err = rewriteLog(ctx, tx, subjects, change); err != nil {
		return 0, 0, err
	}
	parked, err = rewriteParked(ctx, tx, change)
	return events, parked, err
}

// atOnce bounds the subjects of one statement.
const atOnce = 100

func rewriteLog(ctx context.Context, tx store.Tx, subjects []string, change func(proto.Message) bool) (int64, error) {
	type row struct {
		Seq           int64
		Type, Subject string
		Data          []byte
	}
	var n int64
	for len(subjects) > 0 {
		some := subjects[:min(atOnce, len(subjects))]
		subjects = subjects[len(some):]
		marks, args := make([]string, len(some)), make([]any, len(some))
		for i, s := range some {
			marks[i], args[i] = "$"+strconv.Itoa(i+1), s
		}
		rows, err := store.Select[row](ctx, tx, `SELECT seq, type, subject, data FROM events WHERE subject IN (`+strings.Join(marks, ", ")+`)
			ORDER BY seq`, args...)
		if err != nil {
			return 0, err
		}
		for _, r := range rows {
			kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(r.Type))
			if err != nil {
				return 0, fmt.Errorf("event: rewrite: %w", err)
			}
			data, changed, err := rewritten(kind.New().Interface(), r.Data, change)
			if err != nil {
				return 0, err
			}
			if changed {
				tx.Queue(`UPDATE events SET data = $3 WHERE subject = $1 AND seq = $2`, r.Subject, r.Seq, data)
				n++
			}
		}
	}
	return n, nil
}

func rewriteParked(ctx context.Context, tx store.Tx, change func(proto.Message) bool) (int64, error) {
	type row struct {
		Subscription string
		Position     int64
		Event        []byte
	}
	rows, err := store.Select[row](ctx, tx, `SELECT subscription, position, event FROM parked_events ORDER BY subscription, position`)
	if err != nil {
		return 0, err
	}
	var n int64
	for _, r := range rows {
		data, changed, err := rewritten(&feedv1.Event{}, r.Event, change)
		if err != nil {
			return 0, err
		}
		if changed {
			tx.Queue(`UPDATE parked_events SET event = $3 WHERE subscription = $1 AND position = $2`, r.Subscription, r.Position, data)
			n++
		}
	}
	return n, nil
}

func rewritten(into proto.Message, data []byte, change func(proto.Message) bool) ([]byte, bool, error) {
	if err := proto.Unmarshal(data, into); err != nil {
		return nil, false, fmt.Errorf("event: rewrite: %w", err)
	}
	if !change(into) {
		return nil, false, nil
	}
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(into)
	if err != nil {
		return nil, false, fmt.Errorf("event: rewrite: %w", err)
	}
	if out == nil {
		out = []byte{} // an empty message is not NULL
	}
	return out, true, nil
}
