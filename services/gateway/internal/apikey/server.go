package apikey

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/access/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/gateway/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves ApiKeyService.
type Server struct {
	pb.UnimplementedApiKeyServiceServer
	DB       *store.DB
	Clock    clock.Clock
	Exchange *Exchange
}

// people lets no key near the keys, not even one with the role.
func people(ctx context.Context) (access.Actor, error) {
	a := access.ActorOf(ctx)
	if strings.HasPrefix(a.ID, subject) {
		return a, problem.KeyLimited("people_only", "true")
	}
	return a, nil
}

// CreateApiKey implements the contract.
func (s *Server) CreateApiKey(ctx context.Context, req *pb.CreateApiKeyRequest) (*pb.CreateApiKeyResponse, error) {
	actor, err := people(ctx)
	if err != nil {
		return nil, err
	}
	k := Key{Name: req.GetDisplayName(), ReadOnly: req.GetReadOnly(), CreatedBy: actor}
	if req.GetExpireTime() != nil {
		k.ExpiresAt = req.GetExpireTime().AsTime().Truncate(time.Microsecond)
	}
	for _, r := range req.GetRoles() {
		role, _ := access.ParseRole(strings.TrimPrefix(r.String(), "ROLE_")) // the contract lets no other in
		k.Roles = append(k.Roles, role)
	}
	for _, name := range req.GetDepartments() {
		k.Departments = append(k.Departments, access.Department(name))
	}
	k, text, err := New(k, s.Clock.Now())
	if err != nil {
		return nil, err
	}
	// The closure's answer may be kept for its idempotency key, so the secret joins it afterwards.
	out, err := store.Write(ctx, s.DB, func(tx store.Tx) (*pb.CreateApiKeyResponse, error) {
		insert(tx, k)
		return &pb.CreateApiKeyResponse{ApiKey: k.proto(k.CreatedAt)}, nil
	})
	if err != nil || out.GetApiKey().GetId() != k.ID { // a repeated call gets the answer of the first
		return out, err
	}
	return &pb.CreateApiKeyResponse{ApiKey: out.GetApiKey(), Key: text}, nil
}

// GetApiKey implements the contract.
func (s *Server) GetApiKey(ctx context.Context, req *pb.GetApiKeyRequest) (*pb.ApiKey, error) {
	if _, err := people(ctx); err != nil {
		return nil, err
	}
	return store.Read(ctx, s.DB, func(tx store.Tx) (*pb.ApiKey, error) {
		k, err := get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		return k.proto(s.Clock.Now()), nil
	})
}

// ListApiKeys implements the contract.
func (s *Server) ListApiKeys(ctx context.Context, req *pb.ListApiKeysRequest) (*pb.ListApiKeysResponse, error) {
	if _, err := people(ctx); err != nil {
		return nil, err
	}
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	more, err := query.Decode(req.GetPageToken(), &after)
	if err != nil {
		return nil, err
	}
	return store.Read(ctx, s.DB, func(tx store.Tx) (*pb.ListApiKeysResponse, error) {
		keys, err := list(ctx, tx, more, after, limit+1)
		if err != nil {
			return nil, err
		}
		keys, next := page.Cut(keys, limit, func(last Key) string { return query.Encode(last.ID) })
		out := &pb.ListApiKeysResponse{NextPageToken: next}
		for _, k := range keys {
			out.ApiKeys = append(out.ApiKeys, k.proto(s.Clock.Now()))
		}
		return out, nil
	})
}

// RevokeApiKey implements the contract.
func (s *Server) RevokeApiKey(ctx context.Context, req *pb.RevokeApiKeyRequest) (*pb.ApiKey, error) {
	actor, err := people(ctx)
	if err != nil {
		return nil, err
	}
	out, err := store.Write(ctx, s.DB, func(tx store.Tx) (*pb.ApiKey, error) {
		now := s.Clock.Now()
		if err := revoke(ctx, tx, req.GetId(), actor, now); err != nil {
			return nil, err
		}
		k, err := get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		return k.proto(now), nil
	})
	if err == nil {
		s.Exchange.forget()
	}
	return out, err
}

func (k Key) proto(now time.Time) *pb.ApiKey {
	out := &pb.ApiKey{
		Id: k.ID, DisplayName: k.Name, Prefix: k.Prefix, State: pb.ApiKey_STATE_ACTIVE, ReadOnly: k.ReadOnly,
		CreateTime: timestamppb.New(k.CreatedAt), CreatedBy: k.CreatedBy.Proto(), ExpireTime: timestamppb.New(k.ExpiresAt),
	}
	if !now.Before(k.ExpiresAt) {
		out.State = pb.ApiKey_STATE_EXPIRED
	}
	for _, r := range k.Roles {
		out.Roles = append(out.Roles, accessv1.Role(accessv1.Role_value["ROLE_"+string(r)]))
	}
	for _, d := range k.Departments {
		out.Departments = append(out.Departments, string(d))
	}
	slices.Sort(out.GetRoles())
	if !k.LastUsedAt.IsZero() {
		out.LastUseTime = timestamppb.New(k.LastUsedAt)
	}
	if !k.RevokedAt.IsZero() {
		out.State, out.RevokeTime, out.RevokedBy = pb.ApiKey_STATE_REVOKED, timestamppb.New(k.RevokedAt), k.RevokedBy.Proto()
	}
	return out
}
