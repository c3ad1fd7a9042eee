package event

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

//go:embed migrations
var embedded embed.FS

func migrationFS() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil { // the folder is embedded above
		panic(err)
	}
	return sub
}

var eventColumns = []string{
	"id", "type", "subject", "subject_version", "journey_id", "actor_kind", "actor_id", "actor_name", "cause", "traceparent", "at", "data",
}

func (l *Log) append(ctx context.Context, tx store.Tx, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	actor := access.ActorOf(ctx)
	trace := telemetry.Traceparent(ctx)
	now := l.clock.Now()
	for _, ev := range events {
		if ev.Subject == "" || ev.Data == nil {
			return errors.New("event: an event needs a subject and data")
		}
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(ev.Data)
		if err != nil {
			return fmt.Errorf("event: %w", err)
		}
		if data == nil {
			data = []byte{} // an empty message is not NULL
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("event: id: %w", err)
		}
		cause := ev.Cause
		if cause == "" {
			cause = Cause(ctx)
		}
		tx.Append("events", eventColumns, id.String(), string(ev.Data.ProtoReflect().Descriptor().FullName()), ev.Subject,
			ev.SubjectVersion, ev.JourneyID, string(actor.Kind), actor.ID, actor.Name, cause, trace, now, data)
	}
	tx.AfterCommit(l.committed)
	return nil
}

// committed wakes the streams of this process now, and those of others soon.
func (l *Log) committed() {
	l.wakeup.wake()
	select {
	case l.dirty <- struct{}{}:
	default:
	}
}
