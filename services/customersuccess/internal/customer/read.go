package customer

import (
	"context"
	"strings"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/subscription"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// GetCustomer implements CustomerService.
func (s *Server) GetCustomer(ctx context.Context, req *pb.GetCustomerRequest) (*pb.Customer, error) {
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.Customer, error) {
		c, err := s.customers.Get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		return s.full(ctx, tx, c)
	})
}

// full is the customer with everything that lists leave out.
func (s *Server) full(ctx context.Context, tx store.Tx, c *Customer) (*pb.Customer, error) {
	totals, err := s.totals(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	p := c.proto(s.today(), totals)
	if p.Contacts, err = Contacts(ctx, tx, c.ID); err != nil {
		return nil, err
	}
	if p.Handovers, err = documents(ctx, tx, c.ID); err != nil {
		return nil, err
	}
	moves, err := transitions.List(ctx, tx, c.ID)
	if err != nil {
		return nil, err
	}
	p.Transitions = history.Protos(moves)
	raised, err := flags(ctx, tx, c.ID)
	if err != nil {
		return nil, err
	}
	for _, f := range raised {
		p.Flags = append(p.Flags, f.proto())
	}
	book, err := subscription.Load(ctx, tx, c.ID)
	if err != nil {
		return nil, err
	}
	for i := len(book.Subscriptions) - 1; i >= 0; i-- {
		p.Subscriptions = append(p.Subscriptions, book.Subscriptions[i].Proto())
	}
	return p, nil
}

// ListCustomers implements CustomerService.
func (s *Server) ListCustomers(ctx context.Context, req *pb.ListCustomersRequest) (*pb.ListCustomersResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	f := Filter{States: short(req.GetStates(), "STATE_"), CSM: req.GetCsm(), JourneyID: req.GetJourneyId(), Flagged: req.GetFlagged()}
	if req.GetTier() != pb.Tier_TIER_UNSPECIFIED {
		f.Tier = Tier(req.GetTier().String())
	}
	f.Domain, _ = party.NormalizeDomain(req.GetDomain()) // what is no domain finds nobody
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.ListCustomersResponse, error) {
		list, err := s.customers.List(ctx, tx, f, after, limit+1)
		if err != nil {
			return nil, err
		}
		list, next := page.Cut(list, limit, func(c *Customer) string { return query.Encode(c.CreatedAt, c.ID) })
		ids := make([]string, len(list))
		for i, c := range list {
			ids[i] = c.ID
		}
		sums, err := subscription.Sum(ctx, tx, ids, s.today())
		if err != nil {
			return nil, err
		}
		res := &pb.ListCustomersResponse{NextPageToken: next}
		for _, c := range list {
			res.Customers = append(res.Customers, c.proto(s.today(), sums[c.ID]))
		}
		return res, nil
	})
}

// ListSubscriptions implements CustomerService.
func (s *Server) ListSubscriptions(ctx context.Context, req *pb.ListSubscriptionsRequest) (*pb.ListSubscriptionsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.ListSubscriptionsResponse, error) {
		if _, err := s.customers.Get(ctx, tx, req.GetCustomerId()); err != nil {
			return nil, err
		}
		list, err := subscription.List(ctx, tx, req.GetCustomerId(), short(req.GetStates(), "STATE_"), after, limit+1)
		if err != nil {
			return nil, err
		}
		list, next := page.Cut(list, limit, func(sub *subscription.Subscription) string { return query.Encode(sub.CreatedAt, sub.ID) })
		res := &pb.ListSubscriptionsResponse{NextPageToken: next}
		for _, sub := range list {
			res.Subscriptions = append(res.Subscriptions, sub.Proto())
		}
		return res, nil
	})
}

// ListMrrMovements implements CustomerService.
func (s *Server) ListMrrMovements(ctx context.Context, req *pb.ListMrrMovementsRequest) (*pb.ListMrrMovementsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	f := subscription.MovementFilter{CustomerID: req.GetCustomerId(), Kinds: short(req.GetKinds(), "KIND_")}
	if f.From, err = readDate("effective_from", req.GetEffectiveFrom(), ""); err != nil {
		return nil, err
	}
	if f.Before, err = readDate("effective_before", req.GetEffectiveBefore(), ""); err != nil {
		return nil, err
	}
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.ListMrrMovementsResponse, error) {
		if f.CustomerID != "" {
			if _, err := s.customers.Get(ctx, tx, f.CustomerID); err != nil {
				return nil, err
			}
		}
		list, err := subscription.Movements(ctx, tx, f, after, limit+1)
		if err != nil {
			return nil, err
		}
		list, next := page.Cut(list, limit, func(m subscription.Movement) string { return query.Encode(m.CreatedAt, m.ID) })
		res := &pb.ListMrrMovementsResponse{NextPageToken: next}
		for _, m := range list {
			res.Movements = append(res.Movements, m.Proto())
		}
		return res, nil
	})
}

// short are enum values as tables hold them: their names without the prefix.
func short[E interface{ String() string }](values []E, prefix string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.TrimPrefix(v.String(), prefix)
	}
	return out
}
