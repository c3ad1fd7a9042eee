package person

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// record is a person as the contract writes it.
func (s *Server) record(ctx context.Context, tx store.Tx, p *Person) (*pb.PersonRecord, error) {
	merged, err := s.People.Merged(ctx, tx, p.ID)
	if err != nil {
		return nil, err
	}
	gone, err := erasure(ctx, tx, "person_id", p.ID, false)
	if err != nil {
		return nil, err
	}
	out := p.proto()
	out.MergedIds = merged
	if gone != nil {
		out.ErasureId = gone.ID
	}
	return out, nil
}

func (p *Person) proto() *pb.PersonRecord {
	person := &typev1.Person{Id: p.ID, Mail: p.Mail, Phone: p.Phone, Title: p.Title}
	if p.Full != "" {
		person.Name = &typev1.PersonName{
			Family: p.Family, Given: p.Given, FamilyKana: p.FamilyKana, GivenKana: p.GivenKana, Full: p.Full,
		}
	}
	return &pb.PersonRecord{
		Id: p.ID, Person: person, Consents: people.ConsentsProto(people.Latest(p.Consents, nil)), Etag: etag.Format(p.Version),
		CreateTime: timestamppb.New(p.CreatedAt),
	}
}

func (r Record) proto() *pb.ConsentRecord {
	out := &pb.ConsentRecord{
		Id: r.ID, PersonId: r.PersonID, Channel: r.Channel, Granted: r.Granted, Basis: r.Basis, At: timestamppb.New(r.At),
		Source: r.Source, RecordTime: timestamppb.New(r.RecordedAt), RecordedBy: r.ActorID,
	}
	if r.TextVersion+r.Method+r.Address+r.Evidence != "" {
		out.Evidence = &pb.ConsentEvidence{TextVersion: r.TextVersion, Method: r.Method, Address: r.Address, Evidence: r.Evidence}
	}
	return out
}

func (e *Erasure) proto() *pb.Erasure {
	out := &pb.Erasure{
		Id: e.ID, PersonId: e.PersonID, State: pb.Erasure_STATE_REQUESTED, Reason: e.Reason, RequestedBy: e.By.Proto(),
		CreateTime: timestamppb.New(e.CreatedAt), CompleteTime: timeProto(e.CompletedAt),
	}
	if e.CompletedAt != nil {
		out.State = pb.Erasure_STATE_COMPLETED
	}
	for _, a := range e.Answers {
		answer := &pb.ErasureAnswer{Department: a.Department, Acknowledged: a.At != nil, AcknowledgeTime: timeProto(a.At)}
		for _, c := range a.Erased {
			answer.Erased = append(answer.Erased, &partyv1.ErasedCount{Table: c.Table, Rows: c.Rows})
		}
		out.Answers = append(out.Answers, answer)
	}
	return out
}

func timeProto(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func counts(list []*partyv1.ErasedCount) []Count {
	var out []Count
	for _, c := range list {
		out = append(out, Count{Table: c.GetTable(), Rows: c.GetRows()})
	}
	return out
}
