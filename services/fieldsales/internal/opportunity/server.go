package opportunity

import (
	"context"

	"google.golang.org/genproto/googleapis/type/date"
	moneypb "google.golang.org/genproto/googleapis/type/money"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/account"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/contract"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves OpportunityService, and takes part in the handoffs of deals.
type Server struct {
	fieldsalesv1.UnimplementedOpportunityServiceServer
	DB       *store.DB
	Clock    clock.Clock
	Events   *event.Log
	Jobs     *jobs.Jobs
	Handoffs *handoff.Engine
	Accounts *account.Book
}

// CreateOpportunity implements OpportunityService.
func (s *Server) CreateOpportunity(ctx context.Context, req *fieldsalesv1.CreateOpportunityRequest) (*fieldsalesv1.Opportunity, error) {
	amount, expected, err := expectation(req.GetAmount(), req.GetExpectedCloseDate())
	if err != nil {
		return nil, err
	}
	actor := access.ActorOf(ctx)
	draft := Opportunity{
		ID: party.NewID(), JourneyID: req.GetJourneyId(), Name: req.GetName(), Type: typeOf(req.GetType()), Owner: req.GetOwner(),
		Amount: amount, ExpectedClose: expected, Competitor: req.GetCompetitor(),
		Contact: party.PersonOf(req.GetContact()).Named().Identified(),
	}
	draft.PersonID = draft.Contact.ID
	if draft.JourneyID == "" {
		draft.JourneyID = party.NewID()
	}
	if draft.Owner == "" {
		draft.Owner = actor.ID
	}
	return store.Write(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.Opportunity, error) {
		a, err := account.Get(ctx, tx, req.GetAccountId())
		if err != nil {
			return nil, err
		}
		stages, err := pipeline.LoadStages(ctx, tx)
		if err != nil {
			return nil, err
		}
		draft.AccountID, draft.AccountName = a.ID, a.Name
		o := Create(draft, stages, actor, s.Clock.Now())
		return o.message(stages), s.save(ctx, tx, o, stages, nil)
	})
}

// GetOpportunity implements OpportunityService.
func (s *Server) GetOpportunity(ctx context.Context, req *fieldsalesv1.GetOpportunityRequest) (*fieldsalesv1.Opportunity, error) {
	return store.Read(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.Opportunity, error) {
		o, err := Get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		stages, err := pipeline.LoadStages(ctx, tx)
		if err != nil {
			return nil, err
		}
		history, err := History(ctx, tx, o.ID)
		if err != nil {
			return nil, err
		}
		p := o.message(stages)
		for _, t := range history {
			p.Transitions = append(p.Transitions, t.message())
		}
		if o.State != ClosedWon {
			return p, nil
		}
		c, err := contract.Of(ctx, tx, o.ID)
		if err != nil {
			return nil, err
		}
		if c != nil {
			p.Contract = c.Proto()
		}
		h, err := s.Handoffs.Get(ctx, tx, o.Handover.ID)
		if err != nil {
			return nil, err
		}
		// The ledger knows it best: a returned document may have been completed and offered again since.
		p.Handover, p.HandoverState = h.GetPayload().GetClosedWon(), h.GetState()
		return p, nil
	})
}

// ListOpportunities implements OpportunityService.
func (s *Server) ListOpportunities(ctx context.Context, req *fieldsalesv1.ListOpportunitiesRequest) (*fieldsalesv1.ListOpportunitiesResponse, error) {
	filter := Filter{Stage: req.GetStage(), Owner: req.GetOwner(), AccountID: req.GetAccountId(), JourneyID: req.GetJourneyId()}
	for _, st := range req.GetStates() {
		filter.States = append(filter.States, stateOf(st))
	}
	query := page.Bind(req)
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.GetPageSize())
	return store.Read(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.ListOpportunitiesResponse, error) {
		stages, err := pipeline.LoadStages(ctx, tx)
		if err != nil {
			return nil, err
		}
		rows, err := List(ctx, tx, filter, after, limit+1)
		if err != nil {
			return nil, err
		}
		rows, next := page.Cut(rows, limit, func(last *Opportunity) string { return query.Encode(last.CreatedAt, last.ID) })
		out := &fieldsalesv1.ListOpportunitiesResponse{NextPageToken: next}
		for _, o := range rows {
			out.Opportunities = append(out.Opportunities, o.message(stages))
		}
		return out, nil
	})
}

// ListStages implements OpportunityService.
func (s *Server) ListStages(ctx context.Context, req *fieldsalesv1.ListStagesRequest) (*fieldsalesv1.ListStagesResponse, error) {
	query := page.Bind(req)
	var after int64
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	limit := page.Limit(req.GetPageSize())
	return store.Read(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.ListStagesResponse, error) {
		stages, err := pipeline.LoadStages(ctx, tx)
		if err != nil {
			return nil, err
		}
		for len(stages) > 0 && stages[0].Position <= after {
			stages = stages[1:]
		}
		rows, next := page.Cut(stages, limit, func(last pipeline.Stage) string { return query.Encode(last.Position) })
		out := &fieldsalesv1.ListStagesResponse{NextPageToken: next}
		for _, st := range rows {
			out.Stages = append(out.Stages, stageRow(st))
		}
		return out, nil
	})
}

// ListCloseReasons implements OpportunityService.
func (s *Server) ListCloseReasons(ctx context.Context, req *fieldsalesv1.ListCloseReasonsRequest) (*fieldsalesv1.ListCloseReasonsResponse, error) {
	query := page.Bind(req)
	var after string
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	limit := page.Limit(req.GetPageSize())
	return store.Read(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.ListCloseReasonsResponse, error) {
		reasons, err := pipeline.LoadReasons(ctx, tx)
		if err != nil {
			return nil, err
		}
		for len(reasons) > 0 && reasons[0].Code <= after {
			reasons = reasons[1:]
		}
		rows, next := page.Cut(reasons, limit, func(last pipeline.Reason) string { return query.Encode(last.Code) })
		out := &fieldsalesv1.ListCloseReasonsResponse{NextPageToken: next}
		for _, r := range rows {
			out.CloseReasons = append(out.CloseReasons, reasonRow(r))
		}
		return out, nil
	})
}

// expectation reads the expected amount and close date of a request; both may be missing.
func expectation(m *moneypb.Money, d *date.Date) (money.Amount, civil.Date, error) {
	var wrong []problem.Violation
	amount, err := money.FromProto(m)
	switch {
	case err != nil:
		wrong = append(wrong, problem.Field("amount", err.Error()).Ja("金額または通貨が正しくありません。"))
	case amount.Minor < 0:
		wrong = append(wrong, problem.Field("amount", "must not be negative").Ja("0 以上の金額を入力してください。"))
	}
	expected, ok := civil.FromProto(d)
	if !ok {
		wrong = append(wrong, problem.Field("expected_close_date", "is no full calendar date").Ja("年月日を正しく指定してください。"))
	}
	if len(wrong) > 0 {
		return money.Amount{}, "", problem.Invalid(wrong...)
	}
	return amount, expected, nil
}

func (s *Server) save(ctx context.Context, tx store.Tx, o *Opportunity, stages pipeline.Stages, c *contract.Contract) error {
	return Save(ctx, tx, s.Events, o, teller(stages, c))
}
