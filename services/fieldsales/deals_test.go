package fieldsales_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

func TestLostAndReopened(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ctx := h.seller(t)
		offered := h.offerMeeting(t, tasuki())
		o := h.accept(t, offered.GetId())
		_, err := h.deals.CloseLost(ctx, &pb.CloseLostRequest{Id: o.GetId(), Reason: "BORED"})
		if reason, _ := refused(t, err); reason != problem.ReasonReasonUnknown {
			t.Errorf("%v", err)
		}
		before := time.Now()
		lost := must(h.deals.CloseLost(ctx, &pb.CloseLostRequest{Id: o.GetId(), Reason: "NO_BUDGET", Note: "来期に"}))(t)
		if lost.GetState() != pb.Opportunity_STATE_CLOSED_LOST || lost.GetLoss().GetAction() != handoffv1.Reason_ACTION_RECYCLE ||
			lost.GetLoss().GetCompetitor() != "ライバル社" || lost.GetClosedAt() == nil {
			t.Errorf("%v", lost)
		}
		// Closing is a first action too: no clock is left running.
		h.heard.Await(t, offered.GetId(), handoffv1.State_STATE_FULFILLED)
		closed := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.OpportunityClosed) bool { return e.GetOpportunityId() == o.GetId() })
		wake := closed.GetWakeAt().AsTime().Sub(before)
		if closed.GetWon() || closed.GetReason() != "NO_BUDGET" || closed.GetAction() != handoffv1.Reason_ACTION_RECYCLE ||
			wake < 89*24*time.Hour || wake > 91*24*time.Hour || closed.GetNote() != "来期に" || closed.GetCycleDays() != 0 {
			t.Errorf("%v", closed)
		}
		again := must(h.deals.Reopen(ctx, &pb.ReopenRequest{Id: o.GetId(), Reason: "予算が付いた"}))(t)
		if again.GetState() != pb.Opportunity_STATE_OPEN || again.GetStage() != "QUALIFYING" || again.GetLoss() != nil {
			t.Errorf("%v", again)
		}
		if got := h.get(t, o.GetId()); len(got.GetTransitions()) != 3 || got.GetTransitions()[2].GetReason() != "予算が付いた" {
			t.Errorf("%v", got.GetTransitions())
		}
	})
}

// TestHoldEndsByItself also proves that a deal which was resumed and put on hold again follows the later date.
func TestHoldEndsByItself(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ctx := h.seller(t)
		o := h.verbal(t)
		held := must(h.deals.Hold(ctx, &pb.HoldRequest{Id: o.GetId(), Until: hours(500), Note: "決算待ち"}))(t)
		if held.GetState() != pb.Opportunity_STATE_ON_HOLD || held.GetHoldUntil() == nil {
			t.Fatalf("%v", held)
		}
		_, err := h.deals.MoveStage(ctx, &pb.MoveStageRequest{Id: o.GetId(), Stage: "PROPOSAL", Reason: "x", NextAction: next()})
		if reason, _ := refused(t, err); reason != problem.ReasonIllegalTransition {
			t.Errorf("%v", err)
		}
		until := time.Now().Add(300 * time.Millisecond)
		must(h.deals.Hold(ctx, &pb.HoldRequest{Id: o.GetId(), Until: timestamppb.New(until)}))(t)
		departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.OpportunityResumed) bool { return e.GetOpportunity().GetId() == o.GetId() })
		got := h.get(t, o.GetId())
		last := got.GetTransitions()[len(got.GetTransitions())-1]
		if got.GetState() != pb.Opportunity_STATE_OPEN || got.GetHoldUntil() != nil || last.GetAt().AsTime().Before(until.Truncate(time.Microsecond)) ||
			last.GetActor().GetKind() != typev1.Actor_KIND_SYSTEM {
			t.Errorf("%v", got)
		}
		must(h.deals.Hold(ctx, &pb.HoldRequest{Id: o.GetId(), Until: hours(500)}))(t)
		if r := must(h.deals.Resume(ctx, &pb.ResumeRequest{Id: o.GetId(), Note: "再開"}))(t); r.GetState() != pb.Opportunity_STATE_OPEN {
			t.Errorf("%v", r)
		}
	})
}

func TestListsAndData(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ctx := h.seller(t)
		a := must(h.accounts.CreateAccount(ctx, &pb.CreateAccountRequest{Name: "株式会社タスキ"}))(t)
		var want []string
		for i := range 5 {
			o := must(h.deals.CreateOpportunity(ctx, &pb.CreateOpportunityRequest{
				AccountId: a.GetId(), Name: fmt.Sprint("deal ", i), Type: pb.Opportunity_TYPE_RENEWAL, Owner: []string{"", "suzuki"}[i%2],
			}))(t)
			want = append(want, o.GetId())
		}
		slices.Reverse(want)
		must(h.deals.CloseLost(ctx, &pb.CloseLostRequest{Id: want[0], Reason: "DUPLICATE"}))(t)
		list := func(req *pb.ListOpportunitiesRequest) (ids []string) {
			for {
				page := must(h.deals.ListOpportunities(ctx, req))(t)
				for _, o := range page.GetOpportunities() {
					ids = append(ids, o.GetId())
				}
				if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
					return ids
				}
			}
		}
		for name, tt := range map[string]struct {
			req  *pb.ListOpportunitiesRequest
			want []string
		}{
			"all, in pages": {&pb.ListOpportunitiesRequest{PageSize: 2}, want},
			"open":          {&pb.ListOpportunitiesRequest{States: []pb.Opportunity_State{pb.Opportunity_STATE_OPEN}, PageSize: 3}, want[1:]},
			"lost or won": {&pb.ListOpportunitiesRequest{States: []pb.Opportunity_State{
				pb.Opportunity_STATE_CLOSED_LOST, pb.Opportunity_STATE_CLOSED_WON,
			}}, want[:1]},
			"owner":         {&pb.ListOpportunitiesRequest{Owner: "suzuki"}, []string{want[1], want[3]}},
			"stage":         {&pb.ListOpportunitiesRequest{Stage: "VERBAL"}, nil},
			"account":       {&pb.ListOpportunitiesRequest{AccountId: a.GetId()}, want},
			"other account": {&pb.ListOpportunitiesRequest{AccountId: party.NewID()}, nil},
		} {
			if got := list(tt.req); !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", name, got, tt.want)
			}
		}
		var stages, reasons []string
		for req := (&pb.ListStagesRequest{PageSize: 2}); ; {
			page := must(h.deals.ListStages(ctx, req))(t)
			for _, s := range page.GetStages() {
				stages = append(stages, fmt.Sprintf("%s %d%%", s.GetCode(), s.GetProbabilityPercent()))
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		for req := (&pb.ListCloseReasonsRequest{PageSize: 3}); ; {
			page := must(h.deals.ListCloseReasons(ctx, req))(t)
			for _, r := range page.GetCloseReasons() {
				reasons = append(reasons, fmt.Sprintf("%s %s %d %t", r.GetCode(), r.GetAction(), r.GetWakeAfterDays(), r.GetLabel().GetJa() != ""))
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if diff := cmp.Diff([]string{"QUALIFYING 10%", "DISCOVERY 20%", "PROPOSAL 40%", "NEGOTIATION 60%", "VERBAL 90%"}, stages); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{
			"COMPETITOR_CHOSEN ACTION_RECYCLE 180 true", "DUPLICATE ACTION_NONE 0 true", "NO_BUDGET ACTION_RECYCLE 90 true",
			"NO_DECISION ACTION_RECYCLE 90 true", "NO_NEED ACTION_ARCHIVE 0 true", "OUT_OF_BUSINESS ACTION_ARCHIVE 0 true",
			"PRICE ACTION_RECYCLE 90 true", "TIMING ACTION_RECYCLE 60 true",
		}, reasons); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRefusals(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ctx := h.seller(t)
		o := h.verbal(t)
		_, err := h.deals.UpdateOpportunity(ctx, &pb.UpdateOpportunityRequest{Id: o.GetId(), Etag: "1", Name: proto.String("x")})
		wantCode(t, err, codes.Aborted)
		_, err = h.deals.GetOpportunity(ctx, &pb.GetOpportunityRequest{Id: party.NewID()})
		wantCode(t, err, codes.NotFound)
		_, err = h.deals.GetOpportunity(ctx, &pb.GetOpportunityRequest{Id: "1"})
		wantCode(t, err, codes.InvalidArgument)
		_, err = h.deals.CreateOpportunity(ctx, &pb.CreateOpportunityRequest{AccountId: party.NewID(), Name: "x", Type: pb.Opportunity_TYPE_NEW})
		wantCode(t, err, codes.NotFound)
		_, err = h.deals.CreateOpportunity(ctx, &pb.CreateOpportunityRequest{
			AccountId: o.GetAccountId(), Name: "x", Type: pb.Opportunity_TYPE_NEW, Amount: yen(-1), ExpectedCloseDate: &date.Date{Year: 2026},
		})
		if reason, fields := refused(t, err); reason != problem.ReasonInvalidFields || !slices.Equal(fields, []string{"amount", "expected_close_date"}) {
			t.Errorf("%v", err)
		}
		_, err = h.deals.Hold(ctx, &pb.HoldRequest{Id: o.GetId(), Until: hours(-1)})
		wantCode(t, err, codes.InvalidArgument)
		for _, who := range []access.Role{access.RoleViewer, access.RoleMarketing, access.RoleCustomerSuccess} {
			_, err = h.deals.CloseWon(h.As(t, "x", who), won(o.GetId()))
			wantCode(t, err, codes.PermissionDenied)
			h.get(t, o.GetId())
		}
		_, err = h.deals.ListStages(t.Context(), &pb.ListStagesRequest{})
		wantCode(t, err, codes.Unauthenticated)
	})
}

// TestAlone: without its neighbours field sales works all the same, and what it hands over waits.
func TestAlone(t *testing.T) {
	h := build(t, false, departmenttest.SQLite(t, fieldsales.Definition))
	o := must(h.deals.CloseWon(h.seller(t), won(h.verbal(t).GetId())))(t)
	waiting := must(h.desk.GetHandoff(h.seller(t), &handoffv1.GetHandoffRequest{Id: o.GetHandoverId()}))(t).GetHandoff()
	if waiting.GetState() != handoffv1.State_STATE_OFFERED || waiting.GetDelivery() != handoffv1.Delivery_DELIVERY_PENDING {
		t.Errorf("%v", waiting)
	}
}
