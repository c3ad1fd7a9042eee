package customer_test

import (
	"errors"
	"testing"

	"google.golang.org/genproto/googleapis/type/date"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/rig"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

func TestCancel(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := rig.As(t.Context(), "suzuki")
		first := rig.Handoff(nil)
		id := accept(t, r, first)
		accept(t, r, rig.Further(first, rig.Line(1, 400_000)))
		c := get(t, r, id)
		if c.GetTier() != pb.Tier_TIER_1 || len(c.GetSubscriptions()) != 2 {
			t.Fatalf("tier %v, %d subscriptions", c.GetTier(), len(c.GetSubscriptions()))
		}
		if _, err := r.Customers.CancelSubscription(ctx, &pb.CancelSubscriptionRequest{Id: id, Reason: "NOT_USED"}); !errors.Is(err, problem.Invalid()) {
			t.Errorf("which one? %v", err)
		}
		big := c.GetSubscriptions()[0]
		c, err := r.Customers.CancelSubscription(ctx, &pb.CancelSubscriptionRequest{Id: id, Etag: c.GetEtag(), SubscriptionId: big.GetId(), Reason: "TOO_EXPENSIVE"})
		if err != nil {
			t.Fatal(err)
		}
		if c.GetState() != pb.Customer_STATE_HANDED_OVER || c.GetMrr().GetUnits() != 130_000 || c.GetTier() != pb.Tier_TIER_2 {
			t.Errorf("one of two: %v, %v, %v", c.GetState(), c.GetMrr(), c.GetTier())
		}
		c, err = r.Customers.CancelSubscription(ctx, &pb.CancelSubscriptionRequest{Id: id, Etag: c.GetEtag(), Reason: "BUSINESS_CLOSED", Note: "廃業"})
		if err != nil {
			t.Fatal(err)
		}
		if c.GetState() != pb.Customer_STATE_CHURNED || c.GetMrr().GetUnits() != 0 || c.GetChurnedDate().GetDay() != 6 {
			t.Errorf("the last one: %v, %v, %v", c.GetState(), c.GetMrr(), c.GetChurnedDate())
		}
		if last := c.GetTransitions()[1]; last.GetReason() != "BUSINESS_CLOSED" || last.GetNote() != "廃業" || last.GetActor().GetId() != "suzuki" {
			t.Errorf("transition %v", last)
		}
		if got := kinds(t, r, id); got != "NEW EXPANSION CONTRACTION CHURN" {
			t.Errorf("ledger %s", got)
		}
		plans, err := r.Plans.ListOnboardingPlans(ctx, &pb.ListOnboardingPlansRequest{CustomerId: id})
		if err != nil || plans.GetPlans()[0].GetState() != pb.OnboardingPlan_STATE_CANCELLED {
			t.Errorf("plan %v, %v", plans.GetPlans(), err)
		}
		_, err = r.Customers.CancelSubscription(ctx, &pb.CancelSubscriptionRequest{Id: id, Reason: "NOT_USED"})
		if !errors.Is(err, problem.IllegalTransition("", "", "", nil)) {
			t.Errorf("cancelled already: %v", err)
		}
		want := "CustomerCreated MrrMoved MrrMoved MrrMoved CustomerStateChanged MrrMoved CustomerChurned"
		if got := events(t, r, "customer/"+id); got != want {
			t.Errorf("events %s", got)
		}
	})
}

func TestReactivate(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := rig.As(t.Context(), "suzuki")
		first := rig.Handoff(nil)
		id := accept(t, r, first)
		if _, err := r.Customers.ReactivateCustomer(ctx, &pb.ReactivateCustomerRequest{Id: id}); !errors.Is(err, problem.IllegalTransition("", "", "", nil)) {
			t.Errorf("not churned: %v", err)
		}
		cancel := func() {
			if _, err := r.Customers.CancelSubscription(ctx, &pb.CancelSubscriptionRequest{Id: id, Reason: "NOT_USED"}); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		_, err := r.Customers.ReactivateCustomer(ctx, &pb.ReactivateCustomerRequest{Id: id, EffectiveDate: &date.Date{Year: 2026, Month: 4, Day: 5}})
		if !errors.Is(err, problem.Invalid()) {
			t.Errorf("before it churned: %v", err)
		}
		c, err := r.Customers.ReactivateCustomer(ctx, &pb.ReactivateCustomerRequest{Id: id, Note: "戻ってきた"})
		if err != nil || c.GetState() != pb.Customer_STATE_ONBOARDING || c.GetMrr().GetUnits() != 130_000 || c.GetChurnedDate() != nil {
			t.Fatalf("%v, %v", c, err)
		}
		cancel()
		// Field sales wins it back.
		accept(t, r, rig.Further(first, rig.Line(1, 50_000)))
		if c = get(t, r, id); c.GetState() != pb.Customer_STATE_ONBOARDING || c.GetMrr().GetUnits() != 50_000 {
			t.Errorf("%v, %v", c.GetState(), c.GetMrr())
		}
		if got := kinds(t, r, id); got != "NEW CHURN REACTIVATION CHURN REACTIVATION" {
			t.Errorf("ledger %s", got)
		}
		plans, err := r.Plans.ListOnboardingPlans(ctx, &pb.ListOnboardingPlansRequest{
			CustomerId: id,
			States:     []pb.OnboardingPlan_State{pb.OnboardingPlan_STATE_PLANNED},
		})
		if err != nil || len(plans.GetPlans()) != 1 {
			t.Errorf("plans %v, %v", plans.GetPlans(), err)
		}
	})
}

// A contract that begins later counts as committed until its day.
func TestRevenueOfAContractThatBeginsLater(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		id := accept(t, r, rig.Handoff(func(_ *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload) {
			doc.Contract.StartDate = &date.Date{Year: 2026, Month: 5, Day: 1}
		}))
		if c := get(t, r, id); c.GetMrr().GetUnits() != 0 || c.GetCommittedMrr().GetUnits() != 130_000 {
			t.Errorf("before: %v, %v", c.GetMrr(), c.GetCommittedMrr())
		}
		r.Clock.Set(civil.Date("2026-05-01").Start())
		if c := get(t, r, id); c.GetMrr().GetUnits() != 130_000 {
			t.Errorf("on the day: %v", c.GetMrr())
		}
	})
}

func TestCancelForADayToCome(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := rig.As(t.Context(), "suzuki")
		id := accept(t, r, rig.Handoff(nil))
		c, err := r.Customers.CancelSubscription(ctx, &pb.CancelSubscriptionRequest{
			Id: id, Reason: "NOT_USED",
			EffectiveDate: &date.Date{Year: 2026, Month: 4, Day: 30},
		})
		if err != nil {
			t.Fatal(err)
		}
		sub := c.GetSubscriptions()[0]
		if c.GetState() != pb.Customer_STATE_HANDED_OVER || sub.GetState() != pb.Subscription_STATE_CANCELLING || c.GetEtag() != "2" {
			t.Errorf("scheduled: %v, %v, etag %s", c.GetState(), sub.GetState(), c.GetEtag())
		}
		job := &jobs.Job[customer.EndSubscription]{Args: customer.EndSubscription{CustomerID: id, SubscriptionID: sub.GetId()}}
		system := access.WithActor(t.Context(), access.System("customersuccess.end_subscription"))
		if err := r.Customers.EndSubscription(system, job); err == nil {
			t.Error("too early, the job must come again")
		}
		r.Clock.Set(civil.Date("2026-04-30").Start())
		for range 2 { // a job may run twice
			if err := r.Customers.EndSubscription(system, job); err != nil {
				t.Fatal(err)
			}
		}
		c = get(t, r, id)
		if c.GetState() != pb.Customer_STATE_CHURNED || c.GetMrr().GetUnits() != 0 || c.GetChurnedDate().GetDay() != 30 {
			t.Errorf("on the day: %v, %v, %v", c.GetState(), c.GetMrr(), c.GetChurnedDate())
		}
		if got := kinds(t, r, id); got != "NEW CHURN" {
			t.Errorf("ledger %s", got)
		}
		if got := events(t, r, "customer/"+id); got != "CustomerCreated MrrMoved CancellationScheduled CustomerStateChanged MrrMoved CustomerChurned" {
			t.Errorf("events %s", got)
		}
	})
}
