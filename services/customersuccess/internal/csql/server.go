package csql

import (
	"context"
	"strings"
	"time"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves CsqlService.
type Server struct {
	pb.UnimplementedCsqlServiceServer
	db        *store.DB
	clock     clock.Clock
	csqls     *Store
	customers *customer.Store
	handoffs  *handoff.Engine
}

// NewServer makes the server.
func NewServer(db *store.DB, c clock.Clock, csqls *Store, customers *customer.Store, handoffs *handoff.Engine) *Server {
	return &Server{db: db, clock: c, csqls: csqls, customers: customers, handoffs: handoffs}
}

// GetCsql implements CsqlService.
func (s *Server) GetCsql(ctx context.Context, req *pb.GetCsqlRequest) (*pb.Csql, error) {
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.Csql, error) {
		c, err := s.csqls.Get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}

// full is the expansion with its history.
func (s *Server) full(ctx context.Context, tx store.Tx, c *Csql) (*pb.Csql, error) {
	p := c.protoAt(s.clock.Now())
	moves, err := transitions.List(ctx, tx, c.ID)
	p.Transitions = history.Protos(moves)
	return p, err
}

// ListCsqls implements CsqlService.
func (s *Server) ListCsqls(ctx context.Context, req *pb.ListCsqlsRequest) (*pb.ListCsqlsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	f := Filter{CustomerID: req.GetCustomerId(), Owner: req.GetOwner(), HandoffID: req.GetHandoffId()}
	for _, state := range req.GetStates() {
		f.States = append(f.States, strings.TrimPrefix(state.String(), "STATE_"))
	}
	if req.GetExpansionType() != pb.ExpansionType_EXPANSION_TYPE_UNSPECIFIED {
		f.Type = string(typeOf(req.GetExpansionType()))
	}
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.ListCsqlsResponse, error) {
		list, err := s.csqls.List(ctx, tx, f, after, limit+1)
		if err != nil {
			return nil, err
		}
		list, next := page.Cut(list, limit, func(c *Csql) string { return query.Encode(c.CreatedAt, c.ID) })
		res := &pb.ListCsqlsResponse{NextPageToken: next}
		for _, c := range list {
			res.Csqls = append(res.Csqls, c.protoAt(s.clock.Now()))
		}
		return res, nil
	})
}

// CreateCsql implements CsqlService.
func (s *Server) CreateCsql(ctx context.Context, req *pb.CreateCsqlRequest) (*pb.Csql, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Csql, error) {
		buyer, err := s.customers.Get(ctx, tx, req.GetCustomerId())
		if err != nil {
			return nil, err
		}
		if churned := (Customer{Churned: buyer.State == customer.Churned}).Unmet(); len(churned) > 0 {
			return nil, notMet("create", churned)
		}
		form, err := s.form(ctx, tx, buyer, Content{})
		if err != nil {
			return nil, err
		}
		form.create(req)
		content, err := form.read()
		if err != nil {
			return nil, err
		}
		actor := access.ActorOf(ctx)
		c := Create(Csql{
			ID: party.NewID(), CustomerID: buyer.ID, AccountID: buyer.AccountID, JourneyID: buyer.JourneyID,
			Company: Company{
				ID: buyer.AccountID, Name: buyer.Company.Name, Domain: buyer.Company.Domain, Industry: buyer.Company.Industry,
				Employees: buyer.Company.Employees,
			},
			Content: content, Owner: actor.ID,
		}, actor, s.clock.Now())
		if err := s.csqls.Save(ctx, tx, c); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}

// command is a request on one expansion.
type command interface {
	GetId() string
	GetEtag() string
}

// change runs a command on an expansion in one transaction.
func (s *Server) change(ctx context.Context, req command, do func(tx store.Tx, c *Csql, now time.Time) error) (*pb.Csql, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Csql, error) {
		c, err := s.csqls.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		if err := do(tx, c, s.clock.Now()); err != nil {
			return nil, err
		}
		if err := s.csqls.Save(ctx, tx, c); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}

// UpdateCsql implements CsqlService.
func (s *Server) UpdateCsql(ctx context.Context, req *pb.UpdateCsqlRequest) (*pb.Csql, error) {
	return s.change(ctx, req, func(tx store.Tx, c *Csql, now time.Time) error {
		if err := c.Check(Update); err != nil {
			return err
		}
		buyer, err := s.customers.Get(ctx, tx, c.CustomerID)
		if err != nil {
			return err
		}
		form, err := s.form(ctx, tx, buyer, c.Content)
		if err != nil {
			return err
		}
		form.update(req)
		content, err := form.read()
		if err != nil {
			return err
		}
		return c.Change(content, now)
	})
}

// QualifyCsql implements CsqlService.
func (s *Server) QualifyCsql(ctx context.Context, req *pb.QualifyCsqlRequest) (*pb.Csql, error) {
	return s.change(ctx, req, func(tx store.Tx, c *Csql, now time.Time) error {
		buyer, err := buyerOf(ctx, tx, s.customers, c.CustomerID, now)
		if err != nil {
			return err
		}
		return c.Qualify(buyer.unmet(), access.ActorOf(ctx), req.GetNote(), now)
	})
}

// DropCsql implements CsqlService.
func (s *Server) DropCsql(ctx context.Context, req *pb.DropCsqlRequest) (*pb.Csql, error) {
	return s.change(ctx, req, func(_ store.Tx, c *Csql, now time.Time) error {
		return c.GiveUp(req.GetReason(), req.GetNote(), access.ActorOf(ctx), now)
	})
}

// OfferCsql implements CsqlService. What was returned or has expired is offered again as the next attempt of the same
// handoff; after a refusal or a recall a new handoff goes on in the chain.
func (s *Server) OfferCsql(ctx context.Context, req *pb.OfferCsqlRequest) (*pb.Csql, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Csql, error) {
		c, err := s.csqls.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		now := s.clock.Now()
		buyer, err := buyerOf(ctx, tx, s.customers, c.CustomerID, now)
		if err != nil {
			return nil, err
		}
		if err := c.CanOffer(buyer.unmet(), now); err != nil {
			return nil, err
		}
		payload, err := buyer.payload(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		chain := ""
		if c.HandoffID != "" {
			earlier, err := s.handoffs.Get(ctx, tx, c.HandoffID)
			if err != nil {
				return nil, err
			}
			switch earlier.GetState() {
			case handoffv1.State_STATE_RETURNED, handoffv1.State_STATE_EXPIRED:
				if _, err := s.handoffs.Resubmit(ctx, tx, c.HandoffID, payload, req.GetNote()); err != nil {
					return nil, err
				}
				if c, err = s.csqls.Get(ctx, tx, c.ID); err != nil { // the hook has moved it
					return nil, err
				}
				return s.full(ctx, tx, c)
			}
			chain = earlier.GetChainId()
		}
		to, err := ownerOf(ctx, tx, buyer.Tier(buyer.today))
		if err != nil {
			return nil, err
		}
		h, err := s.handoffs.Offer(ctx, tx, handoff.NewOffer{
			Kind: handoffv1.Kind_KIND_CSQL, Queue: to.queue(), JourneyID: c.JourneyID, PersonID: buyer.PersonID,
			AccountID: c.AccountID, Payload: payload, SenderSubject: Subject(c.ID), ChainID: chain,
		})
		if err != nil {
			return nil, err
		}
		if err := c.IsOffered(h.GetId(), h.GetQueue(), access.ActorOf(ctx), req.GetNote(), now); err != nil {
			return nil, err
		}
		if err := s.csqls.Save(ctx, tx, c); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}
