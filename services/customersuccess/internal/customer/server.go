package customer

import (
	"context"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/type/date"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/subscription"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves CustomerService.
type Server struct {
	pb.UnimplementedCustomerServiceServer
	db        *store.DB
	clock     clock.Clock
	customers *Store
	plans     Plans
	jobs      *jobs.Jobs
}

// NewServer makes the server, and registers the job that ends subscriptions on their day.
func NewServer(db *store.DB, c clock.Clock, customers *Store, plans Plans, j *jobs.Jobs) *Server {
	s := &Server{db: db, clock: c, customers: customers, plans: plans, jobs: j}
	jobs.Register(j, s.EndSubscription)
	return s
}

func (s *Server) today() civil.Date { return civil.DateOf(s.clock.Now()) }

// UpdateCustomer implements CustomerService.
func (s *Server) UpdateCustomer(ctx context.Context, req *pb.UpdateCustomerRequest) (*pb.Customer, error) {
	override, err := s.override(ctx, req)
	if err != nil {
		return nil, err
	}
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Customer, error) {
		c, err := s.customers.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		now := s.clock.Now()
		if req.Csm != nil {
			c.SetCSM(strings.TrimSpace(req.GetCsm()), now)
		}
		if req.TierOverride != nil {
			c.SetOverride(override, now)
		}
		company, err := changed(c.Company, req)
		if err != nil {
			return nil, err
		}
		if company != c.Company {
			c.SetCompany(company, now)
		}
		if !c.dirty {
			return s.full(ctx, tx, c)
		}
		totals, err := s.totals(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		if c.State != Churned {
			c.Assess(totals.Committed)
		}
		if err := s.customers.Save(ctx, tx, c, Fact{Data: &pb.CustomerUpdated{Customer: c.proto(s.today(), totals)}}); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}

// override is the override that the request asks for; nil ends it.
func (s *Server) override(ctx context.Context, req *pb.UpdateCustomerRequest) (*Override, error) {
	until, err := readDate("tier_until", req.GetTierUntil(), "")
	if err != nil || req.TierOverride == nil || req.GetTierOverride() == pb.Tier_TIER_UNSPECIFIED {
		return nil, err
	}
	if until != "" && until < s.today() {
		return nil, problem.Invalid(problem.Field("tier_until", "must not be in the past").Ja("過去の日付は指定できません。"))
	}
	by := access.ActorOf(ctx)
	by.Roles = nil // what the person may do is not a part of the record
	return &Override{Tier: Tier(req.GetTierOverride().String()), Note: req.GetTierNote(), Until: until, By: by, At: s.clock.Now()}, nil
}

func changed(c Company, req *pb.UpdateCustomerRequest) (Company, error) {
	if req.CompanyName != nil {
		c.Name = party.Fold(req.GetCompanyName())
		if c.Name == "" {
			return c, problem.Invalid(problem.Field("company_name", "must not be blank").Ja("会社名を入力してください。"))
		}
	}
	if req.CompanyDomain != nil {
		domain, ok := party.NormalizeDomain(req.GetCompanyDomain())
		if !ok && strings.TrimSpace(req.GetCompanyDomain()) != "" {
			return c, problem.Invalid(problem.Field("company_domain", "not a domain name; write it like example.co.jp").
				Ja("ドメイン名の形式（例: example.co.jp）で入力してください。"))
		}
		c.Domain = domain
	}
	if req.CompanyIndustry != nil {
		c.Industry = party.Fold(req.GetCompanyIndustry())
	}
	if req.CompanyEmployees != nil {
		c.Employees = req.GetCompanyEmployees()
	}
	return c, nil
}

// CancelSubscription implements CustomerService.
func (s *Server) CancelSubscription(ctx context.Context, req *pb.CancelSubscriptionRequest) (*pb.Customer, error) {
	effective, err := readDate("effective_date", req.GetEffectiveDate(), s.today())
	if err != nil {
		return nil, err
	}
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Customer, error) {
		c, book, err := s.withBook(ctx, tx, req.GetId(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		if err := c.CanCancel(); err != nil {
			return nil, err
		}
		sub, err := book.Find(req.GetSubscriptionId())
		if err != nil {
			return nil, err
		}
		line, err := book.Cancel(sub, req.GetReason(), req.GetNote(), effective, s.today(), s.clock.Now())
		if err != nil {
			return nil, err
		}
		if line == nil {
			err = s.schedule(ctx, tx, c, sub)
		} else {
			err = s.settle(ctx, tx, c, book, sub, line)
		}
		if err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}

// EndSubscription is the job that ends a subscription on the day for which it was cancelled.
type EndSubscription struct {
	CustomerID     string `json:"customer_id"`
	SubscriptionID string `json:"subscription_id"`
}

// Kind implements jobs.Args.
func (EndSubscription) Kind() string { return "customersuccess.end_subscription" }

func (s *Server) schedule(ctx context.Context, tx store.Tx, c *Customer, sub *subscription.Subscription) error {
	subscription.SaveEnd(tx, sub)
	err := s.jobs.Insert(ctx, tx, EndSubscription{CustomerID: c.ID, SubscriptionID: sub.ID}, jobs.Opts{RunAt: sub.EndDate.Start()})
	if err != nil {
		return err
	}
	return s.customers.Save(ctx, tx, c, Fact{JourneyID: sub.JourneyID, Data: &pb.CancellationScheduled{
		CustomerId: c.ID, AccountId: c.AccountID, Subscription: sub.Proto(),
	}})
}

// EndSubscription works on the job. It may run again, and too early.
func (s *Server) EndSubscription(ctx context.Context, job *jobs.Job[EndSubscription]) error {
	early, err := store.Write(ctx, s.db, func(tx store.Tx) (time.Duration, error) {
		c, book, err := s.withBook(ctx, tx, job.Args.CustomerID, "")
		if err != nil {
			return 0, err
		}
		sub, err := book.Find(job.Args.SubscriptionID)
		if err != nil {
			return 0, err
		}
		line := book.End(sub, s.today(), s.clock.Now())
		if line == nil { // done already, or our clock is behind the one of the database
			return sub.EndDate.Start().Sub(s.clock.Now()), nil
		}
		return 0, s.settle(ctx, tx, c, book, sub, line)
	})
	if err == nil && early > 0 {
		return jobs.Again(early)
	}
	return err
}

// settle writes down that a subscription has ended: the ledger's line, and the end of the customer when it was the last.
func (s *Server) settle(ctx context.Context, tx store.Tx, c *Customer, book *subscription.Book, sub *subscription.Subscription, line *subscription.Movement) error {
	now, actor := s.clock.Now(), access.ActorOf(ctx)
	totals, err := s.totals(ctx, tx, c)
	if err != nil {
		return err
	}
	c.touch(now)
	facts := []Fact{s.customers.write(c, line, actor, &totals)}
	subscription.SaveEnd(tx, sub)
	subscription.Record(tx, *line)
	if ended := book.Ended(); ended == "" {
		c.Assess(totals.Committed)
	} else {
		if err := c.Churn(actor, sub.CancelReason, sub.CancelNote, ended, now); err != nil {
			return err
		}
		if err := s.plans.Cancel(ctx, tx, c.ID, sub.CancelReason, sub.CancelNote); err != nil {
			return err
		}
		facts = append(facts, Fact{Data: churned(c, book, sub)})
	}
	return s.customers.Save(ctx, tx, c, facts...)
}

// ReactivateCustomer implements CustomerService.
func (s *Server) ReactivateCustomer(ctx context.Context, req *pb.ReactivateCustomerRequest) (*pb.Customer, error) {
	start, err := readDate("effective_date", req.GetEffectiveDate(), s.today())
	if err != nil {
		return nil, err
	}
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Customer, error) {
		c, book, err := s.withBook(ctx, tx, req.GetId(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		now, actor, ended := s.clock.Now(), access.ActorOf(ctx), c.ChurnedDate
		if err := c.Reactivate(actor, req.GetNote(), now); err != nil {
			return nil, err
		}
		if start < ended {
			return nil, problem.Invalid(problem.Field("effective_date", "the customer churned on "+string(ended)+": it cannot come back before").
				Ja("解約日（" + string(ended) + "）より前の日付は指定できません。"))
		}
		terms := book.Last()
		if id := req.GetSubscriptionId(); id != "" {
			if terms, err = book.Find(id); err != nil {
				return nil, err
			}
		}
		sub := terms.Again(party.NewID(), start, party.NewID)
		line, err := book.Subscribe(sub, now)
		if err != nil {
			return nil, err
		}
		totals, err := s.totals(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		moved := s.customers.write(c, &line, actor, &totals)
		c.Assess(totals.Committed)
		if err := s.customers.Save(ctx, tx, c, moved); err != nil {
			return nil, err
		}
		subscription.Insert(tx, sub)
		subscription.Record(tx, line)
		if err := s.plans.Open(ctx, tx, c.ID, sub.JourneyID, "", start); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}

// MarkRetained implements CustomerService.
func (s *Server) MarkRetained(ctx context.Context, req *pb.MarkRetainedRequest) (*pb.Customer, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Customer, error) {
		c, err := s.customers.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		if err := c.MarkRetained(access.ActorOf(ctx), req.GetNote(), s.clock.Now()); err != nil {
			return nil, err
		}
		if err := s.customers.Save(ctx, tx, c); err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}

// withBook reads a customer with its subscriptions to change them.
func (s *Server) withBook(ctx context.Context, tx store.Tx, id, tag string) (*Customer, *subscription.Book, error) {
	c, err := s.customers.ForUpdate(ctx, tx, id, etag.Match(tag))
	if err != nil {
		return nil, nil, err
	}
	book, err := subscription.Load(ctx, tx, c.ID)
	return c, book, err
}

func (s *Server) totals(ctx context.Context, tx store.Tx, c *Customer) (subscription.Totals, error) {
	sums, err := subscription.Sum(ctx, tx, []string{c.ID}, s.today())
	return sums[c.ID], err
}

// readDate reads a date of a request; def is the one when none was sent.
func readDate(field string, d *date.Date, def civil.Date) (civil.Date, error) {
	if d == nil {
		return def, nil
	}
	day, ok := civil.FromProto(d)
	if !ok {
		return "", problem.Invalid(problem.Field(field, "not a date that exists: year, month and day are needed").
			Ja("実在する日付（年月日）を指定してください。"))
	}
	return day, nil
}
