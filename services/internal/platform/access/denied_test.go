package access

import (
	"errors"
	"maps"
	"testing"

	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	_ "github.com/tasuki-project/tasuki/proto/gen/tasuki/gateway/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// TestDeniedIsCounted: by reason and place, and nothing that tells who it was.
func TestDeniedIsCounted(t *testing.T) {
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(provider)
	t.Cleanup(func() {
		otel.SetMeterProvider(before)
		_ = provider.Shutdown(t.Context()) // nothing is exported
	})
	for _, err := range []error{
		problem.TokenMissing(), problem.TokenInvalid(errors.New("hanako@example.co.jp")), problem.TokenExpired(),
		problem.RoleMissing([]string{"ADMIN"}, nil), problem.RoleMissing([]string{"ADMIN"}, nil), problem.KeyLimited("read_only", "true"),
		nil, errors.New("hanako"), problem.NotFound("lead", "1"), problem.Unavailable("marketing"),
	} {
		CountDenied(t.Context(), "marketing", err)
	}
	var out metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, scope := range out.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != "tasuki.access.denied" {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				reason, _ := p.Attributes.Value("reason")
				department, _ := p.Attributes.Value("department")
				if p.Attributes.Len() != 2 || department.AsString() != "marketing" {
					t.Errorf("attributes %v", p.Attributes.ToSlice())
				}
				got[reason.AsString()] += p.Value
			}
		}
	}
	want := map[string]int64{"TOKEN_MISSING": 1, "TOKEN_INVALID": 1, "TOKEN_EXPIRED": 1, "ROLE_MISSING": 2, "KEY_LIMITED": 1}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

func TestLimitsOfKeys(t *testing.T) {
	const read, write = "/tasuki.gateway.v1.ApiKeyService/ListApiKeys", "/tasuki.gateway.v1.ApiKeyService/CreateApiKey"
	admin := Actor{ID: "api-key:1", Roles: []Role{RoleAdmin}}
	elsewhere, reader := admin, admin
	elsewhere.Departments, reader.ReadOnly = []Department{FieldSales}, true
	for name, c := range map[string]struct {
		method string
		actor  Actor
		want   problem.Reason
	}{
		"not limited":        {write, admin, 0},
		"another department": {read, elsewhere, problem.ReasonKeyLimited},
		"reads":              {read, reader, 0},
		"does not write":     {write, reader, problem.ReasonKeyLimited},
		"no method":          {"/tasuki.none.v1.Nothing/Do", admin, problem.ReasonInternal},
	} {
		err := Admit(c.method, Marketing, c.actor)
		if got := problem.ReasonOf(problem.Status(t.Context(), err).Err()); err == nil && c.want != 0 || err != nil && got != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
