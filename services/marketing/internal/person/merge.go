package person

import (
	"cmp"
	"context"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// MergePeople implements the contract.
func (s *Server) MergePeople(ctx context.Context, req *pb.MergePeopleRequest) (*pb.MergePeopleResponse, error) {
	return store.Write(store.Alone(ctx), s.DB, func(tx store.Tx) (*pb.MergePeopleResponse, error) {
		a, b, err := s.pair(ctx, tx, req)
		if err != nil {
			return nil, err
		}
		stays, goes, rule := Survivor(a, b)
		moves, err := s.People.Moves(ctx, tx, goes.ID)
		if err != nil {
			return nil, err
		}
		out := &pb.MergePeopleResponse{MergedId: goes.ID, Rule: rule, DryRun: req.GetDryRun()}
		for _, m := range moves {
			out.Moves = append(out.Moves, &pb.PersonMove{Table: m.Table, Row: m.Row, Why: m.Why})
		}
		stays.Absorb(goes)
		if req.GetDryRun() {
			if out.Survivor, err = s.record(ctx, tx, stays); err == nil {
				out.Survivor.MergedIds = append(out.Survivor.MergedIds, goes.ID)
			}
			return out, err
		}
		if err := s.merge(ctx, tx, stays, goes, req.GetNote()); err != nil {
			return nil, err
		}
		out.Survivor, err = s.record(ctx, tx, stays)
		return out, err
	})
}

// pair reads the two people of a merge, in one order for everybody, so that rivals wait and never for each other.
func (s *Server) pair(ctx context.Context, tx store.Tx, req *pb.MergePeopleRequest) (a, b *Person, err error) {
	first, err := s.People.Resolve(ctx, tx, req.GetId())
	if err != nil {
		return nil, nil, err
	}
	second, err := s.People.Resolve(ctx, tx, req.GetOtherId())
	if err != nil {
		return nil, nil, err
	}
	if first == second {
		return nil, nil, problem.GuardNotMet("merge", "two_people")
	}
	if a, err = s.forUpdate(ctx, tx, min(first, second), "", "merge"); err != nil {
		return nil, nil, err
	}
	if b, err = s.forUpdate(ctx, tx, max(first, second), "", "merge"); err != nil {
		return nil, nil, err
	}
	named := a
	if b.ID == first {
		named = b
	}
	return a, b, etag.Match(req.GetEtag()).Check(named.Version)
}

// merge moves everything of one person to the other. The merged row stays, to be found by what it was known by.
func (s *Server) merge(ctx context.Context, tx store.Tx, stays, goes *Person, note string) error {
	if _, err := s.People.Move(ctx, tx, goes.ID, stays.ID); err != nil {
		return err
	}
	s.People.Redirect(tx, goes.ID, stays.ID)
	redirect(tx, goes.ID, stays.ID)
	now := s.Clock.Now()
	stays.ToldAt = cmp.Or(stays.ToldAt, goes.ToldAt, &now) // of the merge everybody hears
	save(tx, stays)
	for _, c := range stays.Consents {
		insertRecord(tx, Record{
			PersonID: stays.ID, Consent: c, Evidence: note, Source: "merge", ActorID: access.ActorOf(ctx).ID, RecordedAt: now,
		})
	}
	return s.Events.Append(ctx, tx, event.Event{
		Subject: people.Subject(stays.ID), SubjectVersion: stays.Version,
		Data: &partyv1.PersonMerged{SurvivorId: stays.ID, MergedId: goes.ID, Consents: people.ConsentsProto(stays.Consents)},
	})
}
