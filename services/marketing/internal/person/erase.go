package person

import (
	"context"
	"fmt"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Answers are the events by which other departments acknowledge an erasure.
var Answers = []string{"tasuki.party.v1.ErasureAcknowledged"}

// RequestErasure implements the contract. Somebody whom marketing does not know may be known elsewhere, so that is no error.
func (s *Server) RequestErasure(ctx context.Context, req *pb.RequestErasureRequest) (*pb.Erasure, error) {
	return store.Write(store.Alone(ctx), s.DB, func(tx store.Tx) (*pb.Erasure, error) {
		id, err := s.People.Resolve(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		store.Lock(tx, "erasure:"+id)
		if have, err := erasure(ctx, tx, "person_id", id, false); err != nil || have != nil {
			if err != nil {
				return nil, err
			}
			return have.proto(), nil
		}
		merged, err := s.People.Merged(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		ids := append([]string{id}, merged...)
		now := s.Clock.Now()
		me := access.Marketing.String()
		e := NewErasure(id, req.GetReason(), append([]string{me}, s.Departments...), access.ActorOf(ctx), now)
		if err := s.Leads.Forget(ctx, tx, id); err != nil {
			return nil, err
		}
		erased, err := s.People.Erase(ctx, tx, e.ID, ids...)
		if err != nil {
			return nil, err
		}
		e.Acknowledge(me, counts(erased), now)
		insertErasure(tx, e)
		return e.proto(), s.Events.Append(ctx, tx, event.Event{
			Subject: "erasure/" + e.ID, SubjectVersion: 1,
			Data: &partyv1.ErasureRequested{ErasureId: e.ID, PersonId: id, PersonIds: ids, Reason: e.Reason},
		})
	})
}

// GetErasure implements the contract.
func (s *Server) GetErasure(ctx context.Context, req *pb.GetErasureRequest) (*pb.Erasure, error) {
	return store.Read(ctx, s.DB, func(tx store.Tx) (*pb.Erasure, error) {
		e, err := erasure(ctx, tx, "id", req.GetId(), false)
		if err != nil {
			return nil, err
		}
		if e == nil {
			return nil, problem.NotFound("erasure", req.GetId())
		}
		return e.proto(), nil
	})
}

// Heard takes in that a department has erased. It is an event.Handler.
func (s *Server) Heard(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
	data, err := ev.GetData().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("person: event %s: %w", ev.GetId(), err)
	}
	told, ok := data.(*partyv1.ErasureAcknowledged)
	if !ok {
		return nil
	}
	e, err := erasure(ctx, tx, "id", told.GetErasureId(), true)
	if err != nil || e == nil { // not asked for here: perhaps by a marketing that was set up anew
		return err
	}
	if e.Acknowledge(told.GetDepartment(), counts(told.GetErased()), s.Clock.Now()) {
		saveErasure(tx, e)
	}
	return nil
}
