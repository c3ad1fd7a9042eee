package access

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/codes"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry"
)

var denied = telemetry.Counter("tasuki.access.denied", "{call}",
	"Calls turned away because nobody signed in (TOKEN_…) or the caller may not do this (ROLE_MISSING, KEY_LIMITED), by reason and by where.")

// CountDenied counts an error that turned a caller away, at a department or at `gateway`; other errors and nil are none
// of its business. Who the caller was is not recorded.
func CountDenied(ctx context.Context, where string, err error) {
	e, ok := problem.Parse(err)
	if !ok || e.Code() != codes.Unauthenticated && e.Code() != codes.PermissionDenied {
		return
	}
	denied.Add(ctx, 1, metric.WithAttributes(
		attribute.String("reason", problem.ReasonName(e.Reason)), attribute.String("department", where)))
}
