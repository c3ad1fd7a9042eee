package account

import (
	"context"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves AccountService.
type Server struct {
	fieldsalesv1.UnimplementedAccountServiceServer
	DB   *store.DB
	Book *Book
	// Summary is what customer success told last of an account; nil when it told nothing. It may be nil itself.
	Summary func(ctx context.Context, tx store.Tx, accountID string) (*fieldsalesv1.CustomerSummary, error)
}

// CreateAccount implements AccountService.
func (s *Server) CreateAccount(ctx context.Context, req *fieldsalesv1.CreateAccountRequest) (*fieldsalesv1.Account, error) {
	if err := (Edit{Name: &req.Name, Domain: &req.Domain}).Check(); err != nil {
		return nil, err
	}
	company := Company{Name: req.GetName(), Domain: req.GetDomain(), Industry: req.GetIndustry(), Employees: req.GetEmployees()}
	return store.Write(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.Account, error) {
		a, created, err := s.Book.Resolve(ctx, tx, company, req.GetOwner(), "")
		if err != nil {
			return nil, err
		}
		if !created && req.GetOnMatch() != fieldsalesv1.OnMatch_ON_MATCH_LINK {
			return nil, problem.Exists("account", a.ID)
		}
		return a.Proto(), nil
	})
}

// GetAccount implements AccountService.
func (s *Server) GetAccount(ctx context.Context, req *fieldsalesv1.GetAccountRequest) (*fieldsalesv1.Account, error) {
	return store.Read(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.Account, error) {
		a, err := Get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		p := a.Proto()
		if s.Summary != nil {
			p.CustomerSummary, err = s.Summary(ctx, tx, a.ID)
		}
		return p, err
	})
}

// ListAccounts implements AccountService.
func (s *Server) ListAccounts(ctx context.Context, req *fieldsalesv1.ListAccountsRequest) (*fieldsalesv1.ListAccountsResponse, error) {
	filter := Filter{
		Key: party.CompanyKey(req.GetName()), KeyPrefix: party.CompanyKey(req.GetNamePrefix()), Owner: req.GetOwner(),
	}
	if req.GetDomain() != "" {
		domain, ok := party.NormalizeDomain(req.GetDomain())
		if !ok {
			return nil, Edit{Domain: &req.Domain}.Check()
		}
		filter.Domain = domain
	}
	query := page.Bind(req)
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.GetPageSize())
	return store.Read(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.ListAccountsResponse, error) {
		rows, err := List(ctx, tx, filter, after, limit+1)
		if err != nil {
			return nil, err
		}
		rows, next := page.Cut(rows, limit, func(last *Account) string { return query.Encode(last.CreatedAt, last.ID) })
		out := &fieldsalesv1.ListAccountsResponse{NextPageToken: next}
		for _, a := range rows {
			out.Accounts = append(out.Accounts, a.Proto())
		}
		return out, nil
	})
}

// UpdateAccount implements AccountService.
func (s *Server) UpdateAccount(ctx context.Context, req *fieldsalesv1.UpdateAccountRequest) (*fieldsalesv1.Account, error) {
	edit := Edit{Name: req.Name, Domain: req.Domain, Industry: req.Industry, Owner: req.Owner, Employees: req.Employees}
	return store.Write(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.Account, error) {
		a, err := ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		if err := s.Book.Change(ctx, tx, a, edit); err != nil {
			return nil, err
		}
		return a.Proto(), nil
	})
}
