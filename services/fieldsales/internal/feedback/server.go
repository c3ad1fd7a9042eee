package feedback

import (
	"context"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/account"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/contract"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/opportunity"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves CustomerFeedbackService.
type Server struct {
	fieldsalesv1.UnimplementedCustomerFeedbackServiceServer
	DB *store.DB
}

// ListCustomerFeedback implements CustomerFeedbackService.
func (s *Server) ListCustomerFeedback(ctx context.Context, req *fieldsalesv1.ListCustomerFeedbackRequest) (*fieldsalesv1.ListCustomerFeedbackResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := afterToken(query, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	f := Filter{
		OpportunityID: req.GetOpportunityId(), Kinds: bits(req.GetKind()), From: moment(req.GetFromTime()), Before: moment(req.GetBeforeTime()),
	}
	return store.Read(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.ListCustomerFeedbackResponse, error) {
		if req.GetAccountId() != "" {
			a, err := account.Get(ctx, tx, req.GetAccountId())
			if err != nil {
				return nil, err
			}
			f.AccountID = a.ID
		}
		rows, err := list(ctx, tx, f, after, limit+1)
		if err != nil {
			return nil, err
		}
		messages, next, err := messagesOf(rows, query, limit)
		return &fieldsalesv1.ListCustomerFeedbackResponse{CustomerFeedback: messages, NextPageToken: next}, err
	})
}

// ListSimilarCustomerFeedback implements CustomerFeedbackService.
func (s *Server) ListSimilarCustomerFeedback(ctx context.Context, req *fieldsalesv1.ListSimilarCustomerFeedbackRequest) (*fieldsalesv1.ListSimilarCustomerFeedbackResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := afterToken(query, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	return store.Read(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.ListSimilarCustomerFeedbackResponse, error) {
		o, err := opportunity.Get(ctx, tx, req.GetOpportunityId())
		if err != nil {
			return nil, err
		}
		a, err := account.Get(ctx, tx, o.AccountID)
		if err != nil {
			return nil, err
		}
		products, err := contract.Products(ctx, tx, a.ID)
		if err != nil {
			return nil, err
		}
		profile := NewProfile(a.Industry, a.Employees, append(products, req.GetProduct())...)
		rows, err := similar(ctx, tx, profile, a.ID, bits(req.GetKind()), after, limit+1)
		if err != nil {
			return nil, err
		}
		messages, next, err := messagesOf(rows, query, limit)
		return &fieldsalesv1.ListSimilarCustomerFeedbackResponse{CustomerFeedback: messages, NextPageToken: next}, err
	})
}

func afterToken(query page.Query, token string) (*After, error) {
	var after After
	more, err := query.Decode(token, &after.Matches, &after.At, &after.ID)
	if err != nil || !more {
		return nil, err
	}
	return &after, nil
}

// moment is a time of a filter; nil when it was not sent.
func moment(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime().Truncate(time.Microsecond)
	return &at
}

func messagesOf(rows []row, query page.Query, limit int) (out []*fieldsalesv1.CustomerFeedback, next string, err error) {
	rows, next = page.Cut(rows, limit, func(last row) string { return query.Encode(last.N, last.At, last.ID) })
	for _, r := range rows {
		f := &fieldsalesv1.CustomerFeedback{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(r.Record.V, f); err != nil {
			return nil, "", err
		}
		f.AccountName = r.AccountName
		for _, m := range []struct {
			agrees int64
			match  fieldsalesv1.CustomerFeedback_Match
		}{
			{r.Industry, fieldsalesv1.CustomerFeedback_MATCH_INDUSTRY},
			{r.Size, fieldsalesv1.CustomerFeedback_MATCH_SIZE},
			{r.Product, fieldsalesv1.CustomerFeedback_MATCH_PRODUCT},
		} {
			if m.agrees > 0 {
				f.Matches = append(f.Matches, m.match)
			}
		}
		out = append(out, f)
	}
	return out, next, nil
}

// OfAccount is what customer success told last of an account; nil when it told nothing.
func OfAccount(ctx context.Context, tx store.Tx, accountID string) (*fieldsalesv1.CustomerSummary, error) {
	of, err := marks(ctx, tx, accountID)
	if err != nil {
		return nil, err
	}
	s := Summarize(of)
	if s == nil {
		return nil, nil
	}
	out := &fieldsalesv1.CustomerSummary{
		CustomerId: s.CustomerID, Rating: int32(s.Rating), HandoverScore: s.Handover, ChurnReason: s.ChurnReason,
	}
	if !s.RatedAt.IsZero() {
		out.RatedAt = timestamppb.New(s.RatedAt)
	}
	if !s.ChurnedAt.IsZero() {
		out.ChurnedAt = timestamppb.New(s.ChurnedAt)
	}
	return out, nil
}
