package onboarding_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/rig"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// begin accepts a handoff and returns the plan that came of it.
func begin(t *testing.T, r *rig.Rig, h *handoffv1.Handoff) *pb.OnboardingPlan {
	t.Helper()
	ctx := rig.As(t.Context(), "sato")
	subject, err := r.Accept(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.Plans.ListOnboardingPlans(ctx, &pb.ListOnboardingPlansRequest{CustomerId: strings.TrimPrefix(subject, "customer/")})
	if err != nil || len(res.GetPlans()) != 1 {
		t.Fatal(res.GetPlans(), err)
	}
	return res.GetPlans()[0]
}

func state(t *testing.T, r *rig.Rig, p *pb.OnboardingPlan) pb.Customer_State {
	t.Helper()
	c, err := r.Customers.GetCustomer(t.Context(), &pb.GetCustomerRequest{Id: p.GetCustomerId()})
	if err != nil {
		t.Fatal(err)
	}
	return c.GetState()
}

// From the kickoff to the first value, with the milestones in another order than the template's.
func TestOnboarding(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := rig.As(t.Context(), "sato")
		h := rig.Handoff(nil)
		plan := begin(t, r, h)
		if plan.GetState() != pb.OnboardingPlan_STATE_PLANNED || len(plan.GetMilestones()) != 6 ||
			plan.GetHandoffId() != h.GetId() || plan.GetTemplateCode() != "default" {
			t.Fatalf("planned %v", plan)
		}
		if due, _ := civil.FromProto(plan.GetDueDate()); due != "2026-05-06" {
			t.Errorf("due %s", due)
		}
		complete := func(code string) error {
			var err error
			plan, err = r.Plans.CompleteMilestone(ctx, &pb.CompleteMilestoneRequest{Id: plan.GetId(), Code: code, Note: "ok"})
			return err
		}
		id := plan.GetId()
		if err := complete("FIRST_LOGIN"); !errors.Is(err, problem.IllegalTransition("", "", "", nil)) {
			t.Errorf("before the kickoff: %v", err)
		}
		r.Clock.Advance(48 * time.Hour)
		plan, err := r.Plans.StartOnboarding(ctx, &pb.StartOnboardingRequest{
			Id: id, Etag: "1", Note: "オンラインで実施",
			KickoffAt: timestamppb.New(r.Clock.Now().Add(-24 * time.Hour)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if due, _ := civil.FromProto(plan.GetDueDate()); due != "2026-05-07" || plan.GetMilestones()[0].GetState() != pb.Milestone_STATE_DONE {
			t.Errorf("started: due %s, %v", due, plan.GetMilestones()[0])
		}
		if got := state(t, r, plan); got != pb.Customer_STATE_ONBOARDING {
			t.Errorf("customer %v", got)
		}
		if got := r.Fulfilled.IDs(); len(got) != 1 || got[0] != h.GetId() {
			t.Errorf("fulfilled %v", got)
		}
		for _, code := range []string{"KEY_FEATURE", "DATA_IMPORT", "FIRST_LOGIN"} {
			if err := complete(code); err != nil {
				t.Fatal(code, err)
			}
		}
		var p *problem.Error
		_, err = r.Plans.CompleteOnboarding(ctx, &pb.CompleteOnboardingRequest{Id: id})
		if !errors.As(err, &p) || p.Reason != problem.ReasonGuardNotMet || p.Metadata["missing"] != "FIRST_VALUE" {
			t.Errorf("without first value: %v", err)
		}
		if _, err := r.Plans.SkipMilestone(ctx, &pb.SkipMilestoneRequest{Id: id, Code: "FIRST_VALUE", Note: "x"}); !errors.Is(err, problem.GuardNotMet("")) {
			t.Errorf("skip a mandatory one: %v", err)
		}
		if plan, err = r.Plans.SkipMilestone(ctx, &pb.SkipMilestoneRequest{Id: id, Code: "TRAINING", Note: "不要"}); err != nil {
			t.Fatal(err)
		}
		if err := complete("FIRST_VALUE"); err != nil {
			t.Fatal(err)
		}
		if plan, err = r.Plans.CompleteOnboarding(ctx, &pb.CompleteOnboardingRequest{Id: id, Etag: plan.GetEtag()}); err != nil {
			t.Fatal(err)
		}
		if plan.GetState() != pb.OnboardingPlan_STATE_COMPLETED || len(plan.GetTransitions()) != 3 || plan.GetEtag() != "8" {
			t.Errorf("completed %v", plan)
		}
		if got := state(t, r, plan); got != pb.Customer_STATE_ADOPTION {
			t.Errorf("customer %v", got)
		}
		if c, err := r.Customers.MarkRetained(ctx, &pb.MarkRetainedRequest{Id: plan.GetCustomerId()}); err != nil ||
			c.GetState() != pb.Customer_STATE_RETENTION || len(c.GetTransitions()) != 4 {
			t.Errorf("retained %v, %v", c, err)
		}
		got, err := r.Plans.GetOnboardingPlan(ctx, &pb.GetOnboardingPlanRequest{Id: id})
		if err != nil || got.GetMilestones()[4].GetNote() != "不要" || got.GetMilestones()[5].GetDecidedBy().GetId() != "sato" {
			t.Errorf("read again %v, %v", got, err)
		}
	})
}

// Everybody completes the same plan at once: one wins, and the customer moves once.
func TestParallelCommands(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := rig.As(t.Context(), "sato")
		plan := begin(t, r, rig.Handoff(nil))
		const callers = 6
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() { _, errs[i] = r.Plans.StartOnboarding(ctx, &pb.StartOnboardingRequest{Id: plan.GetId()}) })
		}
		wg.Wait()
		var won int
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, problem.IllegalTransition("", "", "", nil)) {
				t.Error(err)
			}
		}
		c, err := r.Customers.GetCustomer(ctx, &pb.GetCustomerRequest{Id: plan.GetCustomerId()})
		if err != nil || won != 1 || len(c.GetTransitions()) != 2 {
			t.Errorf("%d won, %v, %v", won, c.GetTransitions(), err)
		}
		var mismatch *etag.MismatchError
		if _, err := r.Plans.CompleteMilestone(ctx, &pb.CompleteMilestoneRequest{Id: plan.GetId(), Code: "TRAINING", Etag: "1"}); !errors.As(err, &mismatch) {
			t.Errorf("stale etag: %v", err)
		}
	})
}

func TestListOverdue(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := rig.As(t.Context(), "sato")
		late, early := begin(t, r, rig.Handoff(nil)), begin(t, r, rig.Handoff(nil))
		if _, err := r.Plans.StartOnboarding(ctx, &pb.StartOnboardingRequest{Id: early.GetId()}); err != nil {
			t.Fatal(err)
		}
		overdue := func(states ...pb.OnboardingPlan_State) []*pb.OnboardingPlan {
			res, err := r.Plans.ListOnboardingPlans(ctx, &pb.ListOnboardingPlansRequest{Overdue: true, States: states})
			if err != nil {
				t.Fatal(err)
			}
			return res.GetPlans()
		}
		r.Clock.Set(civil.Date("2026-04-13").Start())
		if got := overdue(); len(got) != 0 {
			t.Errorf("on the due date of the kickoff: %v", got)
		}
		r.Clock.Set(civil.Date("2026-04-14").Start())
		if got := overdue(); len(got) != 1 || got[0].GetId() != late.GetId() || !got[0].GetOverdue() || !got[0].GetMilestones()[0].GetOverdue() {
			t.Errorf("the day after: %v", got)
		}
		r.Clock.Set(civil.Date("2026-04-17").Start())
		if got := overdue(pb.OnboardingPlan_STATE_IN_PROGRESS); len(got) != 1 || got[0].GetId() != early.GetId() {
			t.Errorf("running ones: %v", got)
		}
		if _, err := r.Customers.CancelSubscription(ctx, &pb.CancelSubscriptionRequest{Id: late.GetCustomerId(), Reason: "NOT_USED"}); err != nil {
			t.Fatal(err)
		}
		if got := overdue(); len(got) != 1 || got[0].GetId() != early.GetId() {
			t.Errorf("a cancelled plan is not overdue: %v", got)
		}
	})
}

func TestTemplates(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		res, err := r.Plans.ListOnboardingTemplates(t.Context(), &pb.ListOnboardingTemplatesRequest{PageSize: 1})
		if err != nil || len(res.GetTemplates()) != 1 || res.GetNextPageToken() != "" {
			t.Fatal(res, err)
		}
		var codes []string
		for _, m := range res.GetTemplates()[0].GetMilestones() {
			codes = append(codes, m.GetCode())
			if m.GetLabel().GetJa() == "" || m.GetLabel().GetEn() == "" || m.GetOwnerSide() == 0 || m.GetDueDays() == 0 || m.GetMandatory() == (m.GetCode() == "TRAINING") {
				t.Errorf("milestone %v", m)
			}
		}
		if got := strings.Join(codes, " "); got != "KICKOFF FIRST_LOGIN DATA_IMPORT KEY_FEATURE TRAINING FIRST_VALUE" {
			t.Errorf("milestones %s", got)
		}
	})
}
