package feedback

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/subscription"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves FeedbackService.
type Server struct {
	pb.UnimplementedFeedbackServiceServer
	db        *store.DB
	clock     clock.Clock
	records   *Store
	customers *customer.Store
}

// NewServer makes the server.
func NewServer(db *store.DB, c clock.Clock, records *Store, customers *customer.Store) *Server {
	return &Server{db: db, clock: c, records: records, customers: customers}
}

// CreateCustomerFeedback implements FeedbackService.
func (s *Server) CreateCustomerFeedback(ctx context.Context, req *pb.CreateCustomerFeedbackRequest) (*pb.CustomerFeedback, error) {
	now := s.clock.Now()
	at, err := past("said_at", req.GetSaidAt(), now)
	if err != nil {
		return nil, err
	}
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.CustomerFeedback, error) {
		c, err := s.customers.Get(ctx, tx, req.GetCustomerId())
		if err != nil {
			return nil, err
		}
		f := &pb.CustomerFeedback{
			Id: party.NewID(), CustomerId: c.ID, AccountId: c.AccountID, JourneyId: c.JourneyID, Kinds: slices.Sorted(slices.Values(req.GetKinds())),
			Text: req.GetText(), Rating: req.GetRating(), SaidBy: tidy(req.GetSaidBy()), SaidAt: timestamppb.New(at),
			RecordedBy: access.ActorOf(ctx).Proto(), CreateTime: timestamppb.New(now),
		}
		r := Record{
			ID: f.GetId(), Type: Feedback, CustomerID: c.ID, JourneyID: c.JourneyID, Revision: 1, Who: people(f.GetSaidBy()), Kinds: bits(f.GetKinds()...),
			At: at, Message: f,
		}
		if f.GetRating() > 0 {
			r.Score = score(f.GetRating())
		}
		company, products, err := s.profile(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		return f, s.records.Add(ctx, tx, r,
			&pb.CustomerFeedbackRecorded{CustomerFeedback: f, Company: company, Products: products})
	})
}

// profile is by what others find similar customers.
func (s *Server) profile(ctx context.Context, tx store.Tx, c *customer.Customer) (*typev1.Company, []string, error) {
	book, err := subscription.Load(ctx, tx, c.ID)
	if err != nil {
		return nil, nil, err
	}
	return c.CompanyProto(), book.Products(), nil
}

// people are those who are known.
func people(all ...*typev1.Person) []*typev1.Person {
	return slices.DeleteFunc(all, func(p *typev1.Person) bool { return p == nil })
}

func score[N ~int32](n N) *int64 {
	v := int64(n)
	return &v
}

// RateHandover implements FeedbackService.
func (s *Server) RateHandover(ctx context.Context, req *pb.RateHandoverRequest) (*pb.HandoverQuality, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.HandoverQuality, error) {
		s.records.Only(tx, HandoverQuality, req.GetHandoffId())
		d, found, err := dealOf(ctx, tx, req.GetHandoffId())
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, problem.NotFound("handoff", req.GetHandoffId())
		}
		last, err := latest[*pb.HandoverQuality](ctx, tx, HandoverQuality, req.GetHandoffId())
		if err != nil {
			return nil, err
		}
		if last != nil {
			return nil, problem.Exists("handover-quality", req.GetHandoffId())
		}
		return s.rate(ctx, tx, d.CustomerID, &pb.HandoverQuality{
			HandoffId: req.GetHandoffId(), CustomerId: d.CustomerID, JourneyId: d.JourneyID, OpportunityId: d.OpportunityID,
			Score: req.GetScore(), LateGaps: req.GetLateGaps(), BrokenPromises: req.GetBrokenPromises(), Note: req.GetNote(), Revision: 1,
		})
	})
}

// CorrectHandoverQuality implements FeedbackService.
func (s *Server) CorrectHandoverQuality(ctx context.Context, req *pb.CorrectHandoverQualityRequest) (*pb.HandoverQuality, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.HandoverQuality, error) {
		s.records.Only(tx, HandoverQuality, req.GetHandoffId())
		last, err := latest[*pb.HandoverQuality](ctx, tx, HandoverQuality, req.GetHandoffId())
		if err != nil {
			return nil, err
		}
		if last == nil {
			return nil, problem.NotFound("handover-quality", req.GetHandoffId())
		}
		if err := etag.Match(req.GetEtag()).Check(int64(last.GetRevision())); err != nil {
			return nil, err
		}
		return s.rate(ctx, tx, last.GetCustomerId(), &pb.HandoverQuality{
			HandoffId: last.GetHandoffId(), CustomerId: last.GetCustomerId(), JourneyId: last.GetJourneyId(), OpportunityId: last.GetOpportunityId(),
			Score: req.GetScore(), LateGaps: req.GetLateGaps(), BrokenPromises: req.GetBrokenPromises(), Note: req.GetNote(),
			Revision: last.GetRevision() + 1, CorrectionReason: req.GetCorrectionReason(),
		})
	})
}

// rate adds a revision of a rating.
func (s *Server) rate(ctx context.Context, tx store.Tx, customerID string, q *pb.HandoverQuality) (*pb.HandoverQuality, error) {
	c, err := s.customers.Get(ctx, tx, customerID)
	if err != nil {
		return nil, err
	}
	company, products, err := s.profile(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	q.AccountId, q.Etag = c.AccountID, etag.Format(int64(q.GetRevision()))
	q.RatedBy, q.RatedAt = access.ActorOf(ctx).Proto(), timestamppb.New(now)
	return q, s.records.Add(ctx, tx, Record{
		ID: party.NewID(), Type: HandoverQuality, CustomerID: c.ID, JourneyID: q.GetJourneyId(), Key: q.GetHandoffId(),
		Revision: int64(q.GetRevision()), Score: score(q.GetScore()), At: now, Message: q,
	}, &pb.HandoverQualityRated{HandoverQuality: q, Company: company, Products: products})
}

// CreateNpsResponse implements FeedbackService.
func (s *Server) CreateNpsResponse(ctx context.Context, req *pb.CreateNpsResponseRequest) (*pb.NpsResponse, error) {
	now := s.clock.Now()
	at, err := past("answered_at", req.GetAnsweredAt(), now)
	if err != nil {
		return nil, err
	}
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.NpsResponse, error) {
		if req.GetInvitationId() != "" {
			s.records.Only(tx, NPS, req.GetInvitationId())
		}
		c, err := s.customers.Get(ctx, tx, req.GetCustomerId())
		if err != nil {
			return nil, err
		}
		n := &pb.NpsResponse{
			Id: party.NewID(), CustomerId: c.ID, AccountId: c.AccountID, JourneyId: c.JourneyID, InvitationId: req.GetInvitationId(),
			Score: req.GetScore(), Category: category(req.GetScore()), Verbatim: req.GetVerbatim(), Respondent: tidy(req.GetRespondent()),
			AnsweredAt: timestamppb.New(at), RecordedBy: access.ActorOf(ctx).Proto(), CreateTime: timestamppb.New(now),
		}
		answered, err := latest[*pb.NpsResponse](ctx, tx, NPS, req.GetInvitationId())
		switch {
		case err != nil:
			return nil, err
		case answered != nil && sameAnswer(answered, n):
			return answered, nil
		case answered != nil:
			return nil, problem.Exists("nps-response", answered.GetId())
		}
		return n, s.records.Add(ctx, tx, Record{
			ID: n.GetId(), Type: NPS, CustomerID: c.ID, JourneyID: c.JourneyID, Key: n.GetInvitationId(), Revision: 1, Who: people(n.GetRespondent()),
			Kinds: bits(n.GetCategory()), Score: score(n.GetScore()), At: at, Message: n,
		}, &pb.NpsResponseRecorded{NpsResponse: n, PersonId: c.PersonID})
	})
}

// Values of Record.Kinds of an advocacy.
const (
	begins int32 = 1
	ends   int32 = 2
)

// MarkAdvocate implements FeedbackService.
func (s *Server) MarkAdvocate(ctx context.Context, req *pb.MarkAdvocateRequest) (*pb.Advocacy, error) {
	return s.turn(ctx, req.GetCustomerId(), &pb.Advocacy{IsAdvocate: true, Contact: tidy(req.GetContact()), Note: req.GetNote()})
}

// EndAdvocacy implements FeedbackService.
func (s *Server) EndAdvocacy(ctx context.Context, req *pb.EndAdvocacyRequest) (*pb.Advocacy, error) {
	return s.turn(ctx, req.GetCustomerId(), &pb.Advocacy{Note: req.GetNote()})
}

// turn adds a record that a customer begins or ceases to speak for us.
func (s *Server) turn(ctx context.Context, customerID string, a *pb.Advocacy) (*pb.Advocacy, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Advocacy, error) {
		s.records.Only(tx, Advocacy, customerID)
		c, err := s.customers.Get(ctx, tx, customerID)
		if err != nil {
			return nil, err
		}
		last, err := latest[*pb.Advocacy](ctx, tx, Advocacy, c.ID)
		if err != nil {
			return nil, err
		}
		if a.Revision, err = turn(last, a.GetIsAdvocate()); err != nil {
			return nil, err
		}
		if !a.GetIsAdvocate() {
			a.Contact = last.GetContact()
		}
		now, kind := s.clock.Now(), ends
		if a.GetIsAdvocate() {
			kind = begins
		}
		a.Id, a.CustomerId, a.AccountId, a.JourneyId = party.NewID(), c.ID, c.AccountID, c.JourneyID
		a.RecordedBy, a.CreateTime = access.ActorOf(ctx).Proto(), timestamppb.New(now)
		return a, s.records.Add(ctx, tx, Record{
			ID: a.GetId(), Type: Advocacy, CustomerID: c.ID, JourneyID: c.JourneyID, Key: c.ID, Revision: int64(a.GetRevision()), Who: people(a.GetContact()),
			Kinds: bits(kind), At: now, Message: a,
		}, &pb.AdvocacyChanged{Advocacy: a, PersonId: c.PersonID})
	})
}

// CreateReferral implements FeedbackService.
func (s *Server) CreateReferral(ctx context.Context, req *pb.CreateReferralRequest) (*pb.Referral, error) {
	if err := reachable(req.GetPerson()); err != nil {
		return nil, err
	}
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Referral, error) {
		c, err := s.customers.Get(ctx, tx, req.GetCustomerId())
		if err != nil {
			return nil, err
		}
		now := s.clock.Now()
		r := &pb.Referral{
			Id: party.NewID(), CustomerId: c.ID, AccountId: c.AccountID, JourneyId: c.JourneyID, ReferredBy: tidy(req.GetReferredBy()),
			Person: tidy(req.GetPerson()), Company: req.GetCompany(), Note: req.GetNote(),
			RecordedBy: access.ActorOf(ctx).Proto(), CreateTime: timestamppb.New(now),
		}
		return r, s.records.Add(ctx, tx, Record{
			ID: r.GetId(), Type: Referral, CustomerID: c.ID, JourneyID: c.JourneyID, Revision: 1,
			Who: people(r.GetReferredBy(), r.GetPerson()), At: now, Message: r,
		}, &pb.ReferralRecorded{Referral: r, PersonId: c.PersonID})
	})
}

// CreateFitSignal implements FeedbackService.
func (s *Server) CreateFitSignal(ctx context.Context, req *pb.CreateFitSignalRequest) (*pb.FitSignal, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.FitSignal, error) {
		c, err := s.customers.Get(ctx, tx, req.GetCustomerId())
		if err != nil {
			return nil, err
		}
		now := s.clock.Now()
		f := &pb.FitSignal{
			Id: party.NewID(), CustomerId: c.ID, AccountId: c.AccountID, JourneyId: c.JourneyID, Fit: req.GetFit(),
			Reasons: req.GetReasons(), Note: req.GetNote(), RecordedBy: access.ActorOf(ctx).Proto(), CreateTime: timestamppb.New(now),
		}
		return f, s.records.Add(ctx, tx, Record{
			ID: f.GetId(), Type: Fit, CustomerID: c.ID, JourneyID: c.JourneyID, Revision: 1, Kinds: bits(f.GetFit()), At: now, Message: f,
		}, &pb.FitSignalRecorded{FitSignal: f, PersonId: c.PersonID})
	})
}
