package insidesales_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/insidesales"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// house is inside sales between marketing and field sales.
type house struct {
	*departmenttest.House
	marketing, fieldSales *departmenttest.Neighbour
	decisions             departmenttest.Ear // what marketing hears of its MQLs
	items                 pb.WorkItemServiceClient
}

// houses runs a test in a house on each engine.
func houses(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	departmenttest.Engines(t, insidesales.Definition, func(t *testing.T, db departmenttest.Database) { test(t, build(t, true, db)) })
}

// build opens the house; without neighbours inside sales stands alone.
func build(t *testing.T, neighbours bool, db departmenttest.Database) *house {
	t.Helper()
	return buildAt(t, clock.System{}, neighbours, db)
}

// buildAt is build by a clock that the whole house goes by.
func buildAt(t *testing.T, c clock.Clock, neighbours bool, db departmenttest.Database) *house {
	t.Helper()
	h := &house{decisions: departmenttest.NewEar()}
	h.marketing = &departmenttest.Neighbour{Name: access.Marketing, Kinds: []handoff.KindConfig{
		{Kind: handoffv1.Kind_KIND_MQL, From: access.Marketing, To: access.InsideSales, OnDecision: h.decisions.Hear},
	}}
	h.fieldSales = &departmenttest.Neighbour{Name: access.FieldSales, Kinds: []handoff.KindConfig{
		{Kind: handoffv1.Kind_KIND_MEETING, From: access.InsideSales, To: access.FieldSales},
	}}
	var beside []*departmenttest.Neighbour
	if neighbours {
		beside = []*departmenttest.Neighbour{h.marketing, h.fieldSales}
	}
	h.House = departmenttest.RunAt(t, c, insidesales.Definition, db, beside...)
	h.items = pb.NewWorkItemServiceClient(h.Conn)
	return h
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}
