package csql

import (
	"context"
	"strings"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// owner is who sells expansions to customers of a tier.
type owner struct{ Tier, Team string }

// queue is where expansions for the team are offered.
func (o owner) queue() string { return strings.ReplaceAll(strings.ToLower(o.Team), "_", "-") }

func (o owner) proto() *pb.ExpansionOwner {
	return &pb.ExpansionOwner{
		Tier: pb.Tier(pb.Tier_value[o.Tier]), Team: pb.ExpansionOwner_Team(pb.ExpansionOwner_Team_value["TEAM_"+o.Team]),
	}
}

// ownerOf is who sells to customers of the tier.
func ownerOf(ctx context.Context, tx store.Tx, tier customer.Tier) (owner, error) {
	return store.Get[owner](ctx, tx, `SELECT tier, team FROM expansion_owners WHERE tier = $1`, string(tier))
}

// ListExpansionOwners implements CsqlService.
func (s *Server) ListExpansionOwners(ctx context.Context, req *pb.ListExpansionOwnersRequest) (*pb.ListExpansionOwnersResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	list, err := store.Read(ctx, s.db, func(tx store.Tx) ([]owner, error) {
		return store.Select[owner](ctx, tx, `SELECT tier, team FROM expansion_owners WHERE tier > $1 ORDER BY tier LIMIT $2`, after, int64(limit)+1)
	})
	if err != nil {
		return nil, err
	}
	list, next := page.Cut(list, limit, func(o owner) string { return query.Encode(o.Tier) })
	res := &pb.ListExpansionOwnersResponse{NextPageToken: next}
	for _, o := range list {
		res.ExpansionOwners = append(res.ExpansionOwners, o.proto())
	}
	return res, nil
}

// UpdateExpansionOwner implements CsqlService.
func (s *Server) UpdateExpansionOwner(ctx context.Context, req *pb.UpdateExpansionOwnerRequest) (*pb.ExpansionOwner, error) {
	o := owner{Tier: req.GetTier().String(), Team: strings.TrimPrefix(req.GetTeam().String(), "TEAM_")}
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.ExpansionOwner, error) {
		tx.Queue(`UPDATE expansion_owners SET team = $2 WHERE tier = $1`, o.Tier, o.Team)
		return o.proto(), nil
	})
}
