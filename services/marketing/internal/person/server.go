package person

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves PersonService.
type Server struct {
	pb.UnimplementedPersonServiceServer
	DB     *store.DB
	Clock  clock.Clock
	Events *event.Log
	People *people.Book
	// Leads ends the leads of somebody who is erased.
	Leads interface {
		Forget(ctx context.Context, tx store.Tx, personID string) error
	}
	// Departments are those that an erasure waits for, marketing aside.
	Departments []string
}

// GetPerson implements the contract.
func (s *Server) GetPerson(ctx context.Context, req *pb.GetPersonRequest) (*pb.PersonRecord, error) {
	return store.Read(ctx, s.DB, func(tx store.Tx) (*pb.PersonRecord, error) {
		p, err := s.get(ctx, tx, req.GetId(), false)
		if err != nil {
			return nil, err
		}
		return s.record(ctx, tx, p)
	})
}

// RecordConsent implements the contract.
func (s *Server) RecordConsent(ctx context.Context, req *pb.RecordConsentRequest) (*pb.PersonRecord, error) {
	return s.hear(ctx, req.GetId(), req.GetEtag(), "record-consent", req.GetEvidence(), func(*Person) []people.Consent {
		basis := strings.TrimPrefix(req.GetBasis().String(), "CONSENT_BASIS_")
		return []people.Consent{{Channel: req.GetChannel(), Granted: true, Basis: basis, At: s.at(req.GetAt())}}
	})
}

// WithdrawConsent implements the contract.
func (s *Server) WithdrawConsent(ctx context.Context, req *pb.WithdrawConsentRequest) (*pb.PersonRecord, error) {
	return s.hear(ctx, req.GetId(), req.GetEtag(), "withdraw-consent", req.GetEvidence(), func(p *Person) []people.Consent {
		channels := []string{req.GetChannel()}
		if req.GetChannel() == "" {
			channels = p.channels()
		}
		var words []people.Consent
		for _, channel := range channels {
			words = append(words, people.Consent{Channel: channel, At: s.at(req.GetAt())})
		}
		return words
	})
}

// at is when somebody said something: never later than now.
func (s *Server) at(t *timestamppb.Timestamp) time.Time {
	now := s.Clock.Now().UTC().Truncate(time.Microsecond)
	if t == nil || t.AsTime().After(now) {
		return now
	}
	return t.AsTime().Truncate(time.Microsecond)
}

// hear records words of a person, each as an entry, and tells all departments when something else holds now.
func (s *Server) hear(ctx context.Context, id, tag, command string, how *pb.ConsentEvidence, words func(*Person) []people.Consent) (*pb.PersonRecord, error) {
	return store.Write(ctx, s.DB, func(tx store.Tx) (*pb.PersonRecord, error) {
		p, err := s.forUpdate(ctx, tx, id, tag, command)
		if err != nil {
			return nil, err
		}
		changed := false
		for _, c := range words(p) {
			changed = p.Hear(c) || changed
			insertRecord(tx, Record{
				PersonID: p.ID, Consent: c, TextVersion: how.GetTextVersion(), Method: how.GetMethod(), Address: how.GetAddress(),
				Evidence: how.GetEvidence(), Source: command, ActorID: access.ActorOf(ctx).ID, RecordedAt: s.Clock.Now(),
			})
		}
		if changed {
			if p.ToldAt == nil { // rare enough to be told of anybody, and then others must hear what follows
				now := s.Clock.Now()
				p.ToldAt = &now
			}
			save(tx, p)
			err := s.Events.Append(ctx, tx, event.Event{
				Subject: people.Subject(p.ID), SubjectVersion: p.Version,
				Data: &partyv1.ConsentChanged{PersonId: p.ID, Consents: people.ConsentsProto(p.Consents)},
			})
			if err != nil {
				return nil, err
			}
		}
		return s.record(ctx, tx, p)
	})
}

// forUpdate reads the person that an id means to change it. Nothing is changed of people who were erased.
func (s *Server) forUpdate(ctx context.Context, tx store.Tx, id, tag, command string) (*Person, error) {
	p, err := s.get(ctx, tx, id, true)
	if err != nil {
		return nil, err
	}
	gone, err := s.People.Erased(ctx, tx, p.ID)
	if err != nil {
		return nil, err
	}
	if gone {
		return nil, notErased(command)
	}
	return p, etag.Match(tag).Check(p.Version)
}

// ListConsentRecords implements the contract.
func (s *Server) ListConsentRecords(ctx context.Context, req *pb.ListConsentRecordsRequest) (*pb.ListConsentRecordsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var before string
	if _, err := query.Decode(req.GetPageToken(), &before); err != nil {
		return nil, err
	}
	return store.Read(ctx, s.DB, func(tx store.Tx) (*pb.ListConsentRecordsResponse, error) {
		p, err := s.get(ctx, tx, req.GetId(), false)
		if err != nil {
			return nil, err
		}
		merged, err := s.People.Merged(ctx, tx, p.ID)
		if err != nil {
			return nil, err
		}
		list, err := records(ctx, tx, append(merged, p.ID), before, limit+1)
		if err != nil {
			return nil, err
		}
		list, next := page.Cut(list, limit, func(last Record) string { return query.Encode(last.ID) })
		out := &pb.ListConsentRecordsResponse{NextPageToken: next}
		for _, r := range list {
			out.ConsentRecords = append(out.ConsentRecords, r.proto())
		}
		return out, nil
	})
}
