package marketing_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
	"github.com/tasuki-project/tasuki/services/marketing"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// house is marketing beside all other departments.
type house struct {
	*departmenttest.House
	insideSales, fieldSales, customerSuccess *departmenttest.Neighbour
	leads                                    pb.LeadServiceClient
	imports                                  pb.LeadImportServiceClient
	rules                                    pb.ExclusionServiceClient
}

// houses runs a test in a house on each engine.
func houses(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	departmenttest.Engines(t, marketing.Definition, func(t *testing.T, db departmenttest.Database) { test(t, build(t, true, db)) })
}

// build opens the house; without neighbours marketing stands alone.
func build(t *testing.T, neighbours bool, db departmenttest.Database) *house {
	t.Helper()
	h := &house{
		insideSales: &departmenttest.Neighbour{Name: access.InsideSales, Kinds: []handoff.KindConfig{
			{Kind: handoffv1.Kind_KIND_MQL, From: access.Marketing, To: access.InsideSales},
		}},
		fieldSales: &departmenttest.Neighbour{Name: access.FieldSales}, customerSuccess: &departmenttest.Neighbour{Name: access.CustomerSuccess},
	}
	var beside []*departmenttest.Neighbour
	if neighbours {
		beside = []*departmenttest.Neighbour{h.insideSales, h.fieldSales, h.customerSuccess}
	}
	h.House = departmenttest.Run(t, marketing.Definition, db, beside...)
	h.leads, h.imports = pb.NewLeadServiceClient(h.Conn), pb.NewLeadImportServiceClient(h.Conn)
	h.rules = pb.NewExclusionServiceClient(h.Conn)
	return h
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}
