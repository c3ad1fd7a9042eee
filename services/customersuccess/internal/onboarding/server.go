package onboarding

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Fulfiller records that the first action of a handoff was done.
type Fulfiller interface {
	Fulfil(ctx context.Context, tx store.Tx, handoffID, note string) (*handoffv1.Handoff, error)
}

// Server serves OnboardingService.
type Server struct {
	pb.UnimplementedOnboardingServiceServer
	db        *store.DB
	clock     clock.Clock
	plans     *Store
	customers *customer.Store
	handoffs  Fulfiller
}

// NewServer makes the server.
func NewServer(db *store.DB, c clock.Clock, plans *Store, customers *customer.Store, handoffs Fulfiller) *Server {
	return &Server{db: db, clock: c, plans: plans, customers: customers, handoffs: handoffs}
}

func (s *Server) today() civil.Date { return civil.DateOf(s.clock.Now()) }

// GetOnboardingPlan implements OnboardingService.
func (s *Server) GetOnboardingPlan(ctx context.Context, req *pb.GetOnboardingPlanRequest) (*pb.OnboardingPlan, error) {
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.OnboardingPlan, error) {
		p, err := s.plans.Get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		return s.full(ctx, tx, p)
	})
}

func (s *Server) full(ctx context.Context, tx store.Tx, p *Plan) (*pb.OnboardingPlan, error) {
	out := p.proto(s.today())
	moves, err := transitions.List(ctx, tx, p.ID)
	out.Transitions = history.Protos(moves)
	return out, err
}

// ListOnboardingPlans implements OnboardingService.
func (s *Server) ListOnboardingPlans(ctx context.Context, req *pb.ListOnboardingPlansRequest) (*pb.ListOnboardingPlansResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	f := Filter{CustomerID: req.GetCustomerId()}
	for _, state := range req.GetStates() {
		f.States = append(f.States, strings.TrimPrefix(state.String(), "STATE_"))
	}
	if req.GetOverdue() {
		f.OverdueOn = s.today()
	}
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.ListOnboardingPlansResponse, error) {
		list, err := s.plans.List(ctx, tx, f, after, limit+1)
		if err != nil {
			return nil, err
		}
		list, next := page.Cut(list, limit, func(p *Plan) string { return query.Encode(p.CreatedAt, p.ID) })
		res := &pb.ListOnboardingPlansResponse{NextPageToken: next}
		for _, p := range list {
			res.Plans = append(res.Plans, p.proto(s.today()))
		}
		return res, nil
	})
}

// ListOnboardingTemplates implements OnboardingService.
func (s *Server) ListOnboardingTemplates(ctx context.Context, req *pb.ListOnboardingTemplatesRequest) (*pb.ListOnboardingTemplatesResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.ListOnboardingTemplatesResponse, error) {
		list, err := s.plans.Templates(ctx, tx, "", after, limit+1)
		if err != nil {
			return nil, err
		}
		list, next := page.Cut(list, limit, func(t Template) string { return query.Encode(t.Code) })
		res := &pb.ListOnboardingTemplatesResponse{NextPageToken: next}
		for _, t := range list {
			res.Templates = append(res.Templates, t.proto())
		}
		return res, nil
	})
}

// StartOnboarding implements OnboardingService.
func (s *Server) StartOnboarding(ctx context.Context, req *pb.StartOnboardingRequest) (*pb.OnboardingPlan, error) {
	kickoff, err := s.when("kickoff_at", req.GetKickoffAt())
	if err != nil {
		return nil, err
	}
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.OnboardingPlan, error) {
		p, c, err := s.both(ctx, tx, req.GetId(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		now, actor := s.clock.Now(), access.ActorOf(ctx)
		if err := p.Start(kickoff, actor, req.GetNote(), now); err != nil {
			return nil, err
		}
		if err := s.plans.Save(ctx, tx, p, started(p)); err != nil {
			return nil, err
		}
		if err := c.StartOnboarding(actor, req.GetNote(), now); err != nil {
			return nil, err
		}
		if err := s.customers.Save(ctx, tx, c); err != nil {
			return nil, err
		}
		// One kickoff is the first action of every deal that was handed over by then.
		handoffs, err := customer.HandoffIDs(ctx, tx, c.ID)
		if err != nil {
			return nil, err
		}
		note := req.GetNote()
		if note == "" {
			note = "kickoff held"
		}
		for _, id := range handoffs {
			if _, err := s.handoffs.Fulfil(ctx, tx, id, note); err != nil {
				return nil, err
			}
		}
		return s.full(ctx, tx, p)
	})
}

// CompleteMilestone implements OnboardingService.
func (s *Server) CompleteMilestone(ctx context.Context, req *pb.CompleteMilestoneRequest) (*pb.OnboardingPlan, error) {
	at, err := s.when("completed_at", req.GetCompletedAt())
	if err != nil {
		return nil, err
	}
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.OnboardingPlan, error) {
		p, err := s.plans.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		m, err := p.CompleteMilestone(req.GetCode(), at, access.ActorOf(ctx), req.GetNote(), s.clock.Now())
		if err != nil {
			return nil, err
		}
		if err := s.plans.Save(ctx, tx, p, reached(p, m)); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, p)
	})
}

// SkipMilestone implements OnboardingService.
func (s *Server) SkipMilestone(ctx context.Context, req *pb.SkipMilestoneRequest) (*pb.OnboardingPlan, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.OnboardingPlan, error) {
		p, err := s.plans.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		m, err := p.SkipMilestone(req.GetCode(), access.ActorOf(ctx), req.GetNote(), s.clock.Now())
		if err != nil {
			return nil, err
		}
		if err := s.plans.Save(ctx, tx, p, skipped(p, m)); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, p)
	})
}

// CompleteOnboarding implements OnboardingService.
func (s *Server) CompleteOnboarding(ctx context.Context, req *pb.CompleteOnboardingRequest) (*pb.OnboardingPlan, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.OnboardingPlan, error) {
		p, c, err := s.both(ctx, tx, req.GetId(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		now, actor := s.clock.Now(), access.ActorOf(ctx)
		if err := p.Complete(actor, req.GetNote(), now); err != nil {
			return nil, err
		}
		if err := c.CompleteOnboarding(actor, req.GetNote(), now); err != nil {
			return nil, err
		}
		if err := s.plans.Save(ctx, tx, p, completed(p)); err != nil {
			return nil, err
		}
		if err := s.customers.Save(ctx, tx, c); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, p)
	})
}

// both reads a plan and its customer to change them: the customer first, as everybody does.
func (s *Server) both(ctx context.Context, tx store.Tx, id, tag string) (*Plan, *customer.Customer, error) {
	customerID, err := s.plans.CustomerOf(ctx, tx, id)
	if err != nil {
		return nil, nil, err
	}
	c, err := s.customers.ForUpdate(ctx, tx, customerID, etag.Match(""))
	if err != nil {
		return nil, nil, err
	}
	p, err := s.plans.ForUpdate(ctx, tx, id, etag.Match(tag))
	return p, c, err
}

// when reads a time of a request; now when none was sent.
func (s *Server) when(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return s.clock.Now(), nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, problem.Invalid(problem.Field(field, "not a time that exists").Ja("日時が正しくありません。"))
	}
	return t.AsTime().Truncate(time.Microsecond), nil
}
