package feedback

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// listRequest is what the lists of records have in common.
type listRequest interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
	GetCustomerId() string
	GetFromTime() *timestamppb.Timestamp
	GetBeforeTime() *timestamppb.Timestamp
}

// listed reads a page of records of one type, newest first.
func listed[M proto.Message](ctx context.Context, s *Server, req listRequest, t Type, kinds int64) (list []M, next string, err error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, "", err
	}
	f := Filter{Type: t, CustomerID: req.GetCustomerId(), Kinds: kinds, From: moment(req.GetFromTime()), Before: moment(req.GetBeforeTime())}
	rows, err := store.Read(ctx, s.db, func(tx store.Tx) ([]row, error) { return selectRows(ctx, tx, f, after, limit+1) })
	if err != nil {
		return nil, "", err
	}
	rows, next = page.Cut(rows, limit, func(last row) string { return query.Encode(last.At, last.ID) })
	for _, r := range rows {
		m, err := parse[M](r.Record.V)
		if err != nil {
			return nil, "", err
		}
		list = append(list, m)
	}
	return list, next, nil
}

// moment is a time of a filter; nil when it was not sent.
func moment(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime().Truncate(time.Microsecond)
	return &at
}

// ListCustomerFeedback implements FeedbackService.
func (s *Server) ListCustomerFeedback(ctx context.Context, req *pb.ListCustomerFeedbackRequest) (*pb.ListCustomerFeedbackResponse, error) {
	list, next, err := listed[*pb.CustomerFeedback](ctx, s, req, Feedback, bits(req.GetKind()))
	return &pb.ListCustomerFeedbackResponse{CustomerFeedback: list, NextPageToken: next}, err
}

// GetHandoverQuality implements FeedbackService.
func (s *Server) GetHandoverQuality(ctx context.Context, req *pb.GetHandoverQualityRequest) (*pb.HandoverQuality, error) {
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.HandoverQuality, error) {
		list, err := revisions[*pb.HandoverQuality](ctx, tx, HandoverQuality, req.GetHandoffId())
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, problem.NotFound("handover-quality", req.GetHandoffId())
		}
		q := list[len(list)-1]
		q.Earlier = list[:len(list)-1]
		return q, nil
	})
}

// ListHandoverQualities implements FeedbackService.
func (s *Server) ListHandoverQualities(ctx context.Context, req *pb.ListHandoverQualitiesRequest) (*pb.ListHandoverQualitiesResponse, error) {
	list, next, err := listed[*pb.HandoverQuality](ctx, s, req, HandoverQuality, 0)
	return &pb.ListHandoverQualitiesResponse{HandoverQualities: list, NextPageToken: next}, err
}

// ListNpsResponses implements FeedbackService.
func (s *Server) ListNpsResponses(ctx context.Context, req *pb.ListNpsResponsesRequest) (*pb.ListNpsResponsesResponse, error) {
	list, next, err := listed[*pb.NpsResponse](ctx, s, req, NPS, bits(req.GetCategory()))
	return &pb.ListNpsResponsesResponse{NpsResponses: list, NextPageToken: next}, err
}

// ListAdvocacies implements FeedbackService.
func (s *Server) ListAdvocacies(ctx context.Context, req *pb.ListAdvocaciesRequest) (*pb.ListAdvocaciesResponse, error) {
	var kinds int64
	if req.IsAdvocate != nil {
		kinds = bits(ends)
		if req.GetIsAdvocate() {
			kinds = bits(begins)
		}
	}
	list, next, err := listed[*pb.Advocacy](ctx, s, req, Advocacy, kinds)
	return &pb.ListAdvocaciesResponse{Advocacies: list, NextPageToken: next}, err
}

// ListReferrals implements FeedbackService.
func (s *Server) ListReferrals(ctx context.Context, req *pb.ListReferralsRequest) (*pb.ListReferralsResponse, error) {
	list, next, err := listed[*pb.Referral](ctx, s, req, Referral, 0)
	return &pb.ListReferralsResponse{Referrals: list, NextPageToken: next}, err
}

// ListFitSignals implements FeedbackService.
func (s *Server) ListFitSignals(ctx context.Context, req *pb.ListFitSignalsRequest) (*pb.ListFitSignalsResponse, error) {
	list, next, err := listed[*pb.FitSignal](ctx, s, req, Fit, bits(req.GetFit()))
	return &pb.ListFitSignalsResponse{FitSignals: list, NextPageToken: next}, err
}
