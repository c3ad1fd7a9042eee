package rpc

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc/rpctest"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

// BenchmarkSteps is what the steps cost a call, without the network.
func BenchmarkSteps(b *testing.B) {
	issuer := access.EphemeralIssuer()
	verifier, err := access.NewVerifier(access.TrustIssuer(issuer))
	if err != nil {
		b.Fatal(err)
	}
	raw, err := issuer.Token("sato", "佐藤", []access.Role{access.RoleMarketing}, 1<<40)
	if err != nil {
		b.Fatal(err)
	}
	ctx := metadata.NewIncomingContext(b.Context(), metadata.Pairs("authorization", "Bearer "+raw))
	handler := func(context.Context, any) (any, error) { return hanako, nil }
	steps := Steps(Options{Department: access.Marketing, Verifier: verifier, Logger: telemetry.Discard()})
	for i := len(steps) - 1; i >= 0; i-- {
		if unary, next := steps[i].Unary, handler; unary != nil {
			handler = func(ctx context.Context, req any) (any, error) {
				return unary(ctx, req, &grpc.UnaryServerInfo{FullMethod: rpctest.Department}, next)
			}
		}
	}
	req := &typev1.Person{Mail: "hanako@example.co.jp", Name: &typev1.PersonName{Full: "佐藤 花子"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := handler(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
}
