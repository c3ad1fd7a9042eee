package fieldsales_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// house is field sales between inside sales and customer success.
type house struct {
	*departmenttest.House
	insideSales, customerSuccess *departmenttest.Neighbour
	heard                        departmenttest.Ear // what the neighbours hear of what they handed over
	accounts                     pb.AccountServiceClient
	deals                        pb.OpportunityServiceClient
	desk                         handoffv1.HandoffDeskServiceClient
}

// seller is a context of tanaka, who sells.
func (h *house) seller(t *testing.T) context.Context { return h.As(t, "tanaka", access.RoleFieldSales) }

// houses runs a test in a house on each engine.
func houses(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	departmenttest.Engines(t, fieldsales.Definition, func(t *testing.T, db departmenttest.Database) { test(t, build(t, true, db)) })
}

// build opens the house; without neighbours field sales stands alone.
func build(t *testing.T, neighbours bool, db departmenttest.Database) *house {
	t.Helper()
	h := &house{heard: departmenttest.NewEar()}
	h.insideSales = &departmenttest.Neighbour{Name: access.InsideSales, Kinds: []handoff.KindConfig{
		{Kind: handoffv1.Kind_KIND_MEETING, From: access.InsideSales, To: access.FieldSales, OnDecision: h.heard.Hear},
	}}
	h.customerSuccess = &departmenttest.Neighbour{Name: access.CustomerSuccess, Kinds: []handoff.KindConfig{
		{Kind: handoffv1.Kind_KIND_CSQL, From: access.CustomerSuccess, To: access.FieldSales, OnDecision: h.heard.Hear},
		{Kind: handoffv1.Kind_KIND_CLOSED_WON, From: access.FieldSales, To: access.CustomerSuccess},
	}}
	var beside []*departmenttest.Neighbour
	if neighbours {
		beside = []*departmenttest.Neighbour{h.insideSales, h.customerSuccess}
	}
	h.House = departmenttest.Run(t, fieldsales.Definition, db, beside...)
	h.accounts, h.deals = pb.NewAccountServiceClient(h.Conn), pb.NewOpportunityServiceClient(h.Conn)
	h.desk = handoffv1.NewHandoffDeskServiceClient(h.Conn)
	return h
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// must is for calls that have to go well.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused reads the error of a call: its reason and the fields it names.
func refused(t *testing.T, err error) (problem.Reason, []string) {
	t.Helper()
	p, ok := problem.Parse(err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var fields []string
	for _, v := range p.Violations {
		fields = append(fields, v.Field)
	}
	return p.Reason, fields
}
