package exclusion

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves ExclusionService.
type Server struct {
	pb.UnimplementedExclusionServiceServer
	DB     *store.DB
	Clock  clock.Clock
	Events *event.Log
}

// CreateExclusionRule implements the contract.
func (s *Server) CreateExclusionRule(ctx context.Context, req *pb.CreateExclusionRuleRequest) (*pb.ExclusionRule, error) {
	kind := strings.TrimPrefix(req.GetKind().String(), "KIND_")
	rule, err := NewRule(kind, req.GetDomain(), req.GetNote(), access.ActorOf(ctx), s.Clock.Now())
	if err != nil {
		return nil, err
	}
	out, err := store.Write(ctx, s.DB, func(tx store.Tx) (*pb.ExclusionRule, error) {
		existing, err := idOf(ctx, tx, rule.Domain)
		if err != nil {
			return nil, err
		}
		if existing != "" {
			return nil, problem.Exists("exclusion-rule", existing)
		}
		if err := insert(ctx, tx, rule); err != nil {
			return nil, err
		}
		return rule.proto(), s.append(ctx, tx, rule, 1, &pb.ExclusionRuleCreated{ExclusionRule: rule.proto()})
	})
	if store.UniqueOn(err, "exclusion_rules", "domain") { // a rival was faster
		return nil, problem.Exists("exclusion-rule", rule.Domain)
	}
	return out, err
}

// ListExclusionRules implements the contract.
func (s *Server) ListExclusionRules(ctx context.Context, req *pb.ListExclusionRulesRequest) (*pb.ListExclusionRulesResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	more, err := query.Decode(req.GetPageToken(), &after)
	if err != nil {
		return nil, err
	}
	domain, _ := party.NormalizeDomain(req.GetDomain())
	return store.Read(ctx, s.DB, func(tx store.Tx) (*pb.ListExclusionRulesResponse, error) {
		rules, err := list(ctx, tx, domain, more, after, limit+1)
		if err != nil {
			return nil, err
		}
		rules, next := page.Cut(rules, limit, func(last Rule) string { return query.Encode(last.ID) })
		out := &pb.ListExclusionRulesResponse{NextPageToken: next}
		for _, rule := range rules {
			out.ExclusionRules = append(out.ExclusionRules, rule.proto())
		}
		return out, nil
	})
}

// DeleteExclusionRule implements the contract.
func (s *Server) DeleteExclusionRule(ctx context.Context, req *pb.DeleteExclusionRuleRequest) (*emptypb.Empty, error) {
	return store.Write(ctx, s.DB, func(tx store.Tx) (*emptypb.Empty, error) {
		rule, err := remove(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, s.append(ctx, tx, rule, 2, &pb.ExclusionRuleDeleted{ExclusionRule: rule.proto()})
	})
}

func (s *Server) append(ctx context.Context, tx store.Tx, rule Rule, version int64, data proto.Message) error {
	return s.Events.Append(ctx, tx, event.Event{Subject: "exclusion-rule/" + rule.ID, SubjectVersion: version, Data: data})
}

func (r Rule) proto() *pb.ExclusionRule {
	return &pb.ExclusionRule{
		Id: r.ID, Kind: pb.ExclusionRule_Kind(pb.ExclusionRule_Kind_value["KIND_"+r.Kind]), Domain: r.Domain, Note: r.Note,
		CreateTime: timestamppb.New(r.CreatedAt), CreatedBy: r.CreatedBy.Proto(),
	}
}
