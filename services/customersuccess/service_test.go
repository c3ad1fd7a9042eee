package customersuccess_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/rig"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// house is customer success alone, reached as over a wire by people and by a field sales that is not there.
type house struct {
	*departmenttest.House
	customers  pb.CustomerServiceClient
	plans      pb.OnboardingServiceClient
	desk       handoffv1.HandoffDeskServiceClient
	feed       feedv1.FeedServiceClient
	fieldSales handoffv1.HandoffReceiverServiceClient // with the identity of field sales
}

func houses(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	departmenttest.Engines(t, customersuccess.Definition, func(t *testing.T, db departmenttest.Database) { test(t, build(t, db)) })
}

func build(t *testing.T, db departmenttest.Database) *house {
	t.Helper()
	h := &house{House: departmenttest.Run(t, customersuccess.Definition, db)}
	h.customers, h.plans = pb.NewCustomerServiceClient(h.Conn), pb.NewOnboardingServiceClient(h.Conn)
	h.desk, h.feed = handoffv1.NewHandoffDeskServiceClient(h.Conn), feedv1.NewFeedServiceClient(h.Conn)
	h.fieldSales = handoffv1.NewHandoffReceiverServiceClient(h.From(t, access.FieldSales, access.CustomerSuccess))
	return h
}

// offered is a handoff as field sales would send it: not decided yet.
func offered(change func(h *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload)) *handoffv1.Handoff {
	return rig.Handoff(func(h *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload) {
		h.State, h.Assignee, h.ChainId = handoffv1.State_STATE_OFFERED, "", h.GetId()
		h.From, h.To = string(access.FieldSales), string(access.CustomerSuccess)
		h.SenderSubject, h.OfferedAt = "opportunity/"+doc.GetOpportunityId(), timestamppb.Now()
		if change != nil {
			change(h, doc)
		}
	})
}

func (h *house) offer(t *testing.T, ho *handoffv1.Handoff) {
	t.Helper()
	if _, err := h.fieldSales.Offer(t.Context(), &handoffv1.OfferRequest{Handoff: ho}); err != nil {
		t.Fatal(err)
	}
}

func reason(err error) string { return problem.ReasonName(problem.ReasonOf(err)) }

func metadata(err error, key string) string {
	p, ok := problem.Parse(err)
	if !ok {
		return ""
	}
	return p.Metadata[key]
}

// From the offer of field sales to an onboarded customer, through the doors.
func TestFromTheOfferToTheOnboardedCustomer(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ho := offered(nil)
		for range 2 { // deliveries repeat
			h.offer(t, ho)
		}
		sato, viewer := h.As(t, "sato", access.RoleCustomerSuccess), h.As(t, "viewer", access.RoleViewer)
		if _, err := h.desk.RejectHandoff(sato, &handoffv1.RejectHandoffRequest{Id: ho.GetId(), Reason: "NO_NEED"}); err == nil {
			t.Error("CLOSED_WON must not be rejected")
		}
		accepted, err := h.desk.AcceptHandoff(sato, &handoffv1.AcceptHandoffRequest{Id: ho.GetId(), Assignee: "tanaka"})
		if err != nil {
			t.Fatal(err)
		}
		id, ok := strings.CutPrefix(accepted.GetReceiverSubject(), "customer/")
		if !ok {
			t.Fatalf("accepted %v", accepted)
		}
		c, err := h.customers.GetCustomer(viewer, &pb.GetCustomerRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		if c.GetState() != pb.Customer_STATE_HANDED_OVER || c.GetCsm() != "tanaka" || c.GetCommittedMrr().GetUnits() != 130_000 ||
			len(c.GetHandovers()) != 1 || len(c.GetHandovers()[0].GetGaps()) != 0 || c.GetHandovers()[0].GetCompleteness() != 100 {
			t.Errorf("customer %v", c)
		}
		list, err := h.plans.ListOnboardingPlans(viewer, &pb.ListOnboardingPlansRequest{CustomerId: id})
		if err != nil || len(list.GetPlans()) != 1 {
			t.Fatal(list, err)
		}
		plan := list.GetPlans()[0].GetId()

		_, err = h.plans.StartOnboarding(h.As(t, "ad", access.RoleMarketing), &pb.StartOnboardingRequest{Id: plan})
		if reason(err) != "ROLE_MISSING" {
			t.Errorf("marketing starts an onboarding: %v", err)
		}
		if _, err := h.plans.StartOnboarding(sato, &pb.StartOnboardingRequest{Id: plan, Note: "kickoff"}); err != nil {
			t.Fatal(err)
		}
		if got, err := h.desk.GetHandoff(viewer, &handoffv1.GetHandoffRequest{Id: ho.GetId()}); err != nil || got.GetHandoff().GetState() != handoffv1.State_STATE_FULFILLED {
			t.Errorf("handoff %v, %v", got.GetHandoff().GetState(), err)
		}
		for _, code := range []string{"FIRST_VALUE", "KEY_FEATURE", "FIRST_LOGIN"} {
			if _, err := h.plans.CompleteMilestone(sato, &pb.CompleteMilestoneRequest{Id: plan, Code: code}); err != nil {
				t.Fatal(code, err)
			}
		}
		_, err = h.plans.CompleteOnboarding(sato, &pb.CompleteOnboardingRequest{Id: plan})
		if status.Code(err) != codes.FailedPrecondition || reason(err) != "GUARD_NOT_MET" || metadata(err, "missing") != "DATA_IMPORT" {
			t.Errorf("not all done: %v", err)
		}
		if _, err := h.plans.CompleteMilestone(sato, &pb.CompleteMilestoneRequest{Id: plan, Code: "DATA_IMPORT"}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.plans.CompleteOnboarding(sato, &pb.CompleteOnboardingRequest{Id: plan}); err != nil {
			t.Fatal(err)
		}
		c, err = h.customers.GetCustomer(viewer, &pb.GetCustomerRequest{Id: id})
		if err != nil || c.GetState() != pb.Customer_STATE_ADOPTION {
			t.Errorf("customer %v, %v", c.GetState(), err)
		}
		h.told(t, ho.GetJourneyId(), "HandoffReceived", "CustomerCreated", "MrrMoved", "HandoffAccepted", "OnboardingStarted",
			"CustomerStateChanged", "HandoffFulfilled", "MilestoneCompleted", "MilestoneCompleted", "MilestoneCompleted",
			"MilestoneCompleted", "OnboardingCompleted", "CustomerStateChanged")
	})
}

// told waits until the feed has shown that many events of a journey, and checks which. An event is shown once no older
// transaction runs any more, which on PostgreSQL may be one of another test.
func (h *house) told(t *testing.T, journey string, want ...string) {
	t.Helper()
	stream, err := h.feed.StreamEvents(h.As(t, "viewer", access.RoleViewer), &feedv1.StreamEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < len(want) {
		res, err := stream.Recv()
		if err != nil {
			t.Fatalf("the feed tells %v, want %v: %v", got, want, err)
		}
		for _, e := range res.GetEvents() {
			if e.GetJourneyId() == journey {
				got = append(got, e.GetType()[strings.LastIndex(e.GetType(), ".")+1:])
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the feed tells %v, want %v", got, want)
	}
}

// Eight people accept the same handoff at once: one wins, and there is one customer with one line in the ledger.
func TestParallelAcceptOfOneHandoff(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ho := offered(nil)
		h.offer(t, ho)
		const people = 8
		errs := make([]error, people)
		var wg sync.WaitGroup
		for i := range people {
			ctx := h.As(t, string(rune('a'+i)), access.RoleCustomerSuccess)
			wg.Go(func() { _, errs[i] = h.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: ho.GetId()}) })
		}
		wg.Wait()
		var won int
		for _, err := range errs {
			if err == nil {
				won++
			} else if r := reason(err); r != "DECISION_TAKEN" {
				t.Errorf("a loser is told %v", err)
			}
		}
		viewer := h.As(t, "viewer", access.RoleViewer)
		customers, err := h.customers.ListCustomers(viewer, &pb.ListCustomersRequest{JourneyId: ho.GetJourneyId()})
		if err != nil || won != 1 || len(customers.GetCustomers()) != 1 {
			t.Errorf("%d won, customers %v, %v", won, customers.GetCustomers(), err)
		}
		lines, err := h.customers.ListMrrMovements(viewer, &pb.ListMrrMovementsRequest{})
		if err != nil || len(lines.GetMovements()) != 1 {
			t.Errorf("ledger %v, %v", lines.GetMovements(), err)
		}
	})
}

func TestAcceptWithGapsThroughTheDesk(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		ho := offered(func(_ *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload) { doc.DecisionProcess = "" })
		h.offer(t, ho)
		sato := h.As(t, "sato", access.RoleCustomerSuccess)
		accepted, err := h.desk.AcceptHandoff(sato, &handoffv1.AcceptHandoffRequest{Id: ho.GetId(), WithGaps: true})
		if err != nil {
			t.Fatal(err)
		}
		c, err := h.customers.GetCustomer(sato, &pb.GetCustomerRequest{Id: strings.TrimPrefix(accepted.GetReceiverSubject(), "customer/")})
		if err != nil || c.GetOpenGaps() != 1 || c.GetHandovers()[0].GetGaps()[0].GetField() != "decision_process" ||
			c.GetHandovers()[0].GetGaps()[0].GetLabel().GetJa() != "決裁プロセスが未記入です" {
			t.Errorf("%v, %v", c.GetHandovers(), err)
		}
	})
}

func TestBadRequests(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		sato := h.As(t, "sato", access.RoleCustomerSuccess)
		tier := pb.Tier_TIER_1
		id := "0198a000-0000-7000-8000-000000000000"
		for name, tt := range map[string]struct {
			call func() error
			want string
		}{
			"id":     {func() error { _, err := h.customers.GetCustomer(sato, &pb.GetCustomerRequest{Id: "x"}); return err }, "INVALID_FIELDS"},
			"nobody": {func() error { _, err := h.customers.GetCustomer(sato, &pb.GetCustomerRequest{Id: id}); return err }, "RESOURCE_NOT_FOUND"},
			"token": {func() error {
				_, err := h.customers.GetCustomer(t.Context(), &pb.GetCustomerRequest{Id: id})
				return err
			}, "TOKEN_MISSING"},
			"override without a note": {func() error {
				_, err := h.customers.UpdateCustomer(sato, &pb.UpdateCustomerRequest{Id: id, TierOverride: &tier})
				return err
			}, "INVALID_FIELDS"},
			"reason": {func() error {
				_, err := h.customers.CancelSubscription(sato, &pb.CancelSubscriptionRequest{Id: id, Reason: "too dear"})
				return err
			}, "INVALID_FIELDS"},
			"page token": {func() error {
				_, err := h.customers.ListCustomers(sato, &pb.ListCustomersRequest{PageToken: "x"})
				return err
			}, "PAGE_TOKEN_INVALID"},
			"skip without a note": {func() error {
				_, err := h.plans.SkipMilestone(sato, &pb.SkipMilestoneRequest{Id: id, Code: "TRAINING"})
				return err
			}, "INVALID_FIELDS"},
		} {
			if err := tt.call(); reason(err) != tt.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A contract whose amounts cannot be is refused at the desk, and nothing is left of it.
		ho := offered(func(_ *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload) {
			line := proto.CloneOf(doc.GetContract().GetLines()[0])
			line.UnitPrice.CurrencyCode = "USD"
			doc.Contract.Lines = append(doc.Contract.Lines, line)
		})
		h.offer(t, ho)
		if _, err := h.desk.AcceptHandoff(sato, &handoffv1.AcceptHandoffRequest{Id: ho.GetId()}); reason(err) != "INVALID_FIELDS" {
			t.Errorf("two currencies: %v", err)
		}
		if _, err := h.desk.ReturnHandoff(sato, &handoffv1.ReturnHandoffRequest{Id: ho.GetId(), Missing: []string{"contract.lines"}}); err != nil {
			t.Errorf("it can be returned: %v", err)
		}
	})
}
