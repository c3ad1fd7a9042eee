package access

import (
	"context"
	"strings"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Authenticate verifies the value of an authorization header and puts its holder and token into the context. An empty
// header leaves the context as it is: whether somebody must be there is for Authorize to say. The error is that of
// Verify.
func (v *Verifier) Authenticate(ctx context.Context, header string) (context.Context, error) {
	if header == "" {
		return ctx, nil
	}
	scheme, raw, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ctx, problem.TokenInvalid(nil)
	}
	raw = strings.TrimSpace(raw)
	actor, err := v.Verify(ctx, raw)
	if err != nil {
		return ctx, err
	}
	return WithToken(WithActor(ctx, actor), raw), nil
}
