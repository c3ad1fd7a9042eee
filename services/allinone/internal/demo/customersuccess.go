package demo

import (
	"context"
	"net/url"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

var csms = []string{"yamamoto", "kobayashi"}

// customerSuccessActs takes over won customers and onboards them.
func (p *Play) customerSuccessActs(ctx context.Context) (int, error) {
	offers, err := p.offers(ctx, customerSuccess)
	if err != nil {
		return 0, err
	}
	moved, err := each(ctx, p, offers, func(ctx context.Context, h *handoffv1.Handoff) error {
		return p.accept(ctx, customerSuccess, h, csms[dice(h.GetAccountId(), "csm")%len(csms)])
	})
	if err != nil {
		return moved, err
	}
	plans, err := p.plans(ctx, "STATE_PLANNED", "STATE_IN_PROGRESS")
	if err != nil {
		return moved, err
	}
	n, err := each(ctx, p, plans, p.onboard)
	if moved += n; err != nil || n > 0 {
		return moved, err
	}
	// A further contract of a customer who is onboarded already has no kickoff of its own: the first action is recorded by
	// hand.
	owed, err := p.handoffs(ctx, customerSuccess, url.Values{"box": {"BOX_INBOX"}, "states": {"STATE_ACCEPTED"}})
	if err != nil {
		return moved, err
	}
	n, err = each(ctx, p, owed, func(ctx context.Context, h *handoffv1.Handoff) error {
		return p.rest.post(ctx, customerSuccess, "/v1/handoffs/"+h.GetId()+":fulfil", "demo-fulfil-"+h.GetId()+"-"+h.GetEtag(),
			&handoffv1.FulfilHandoffRequest{Note: "追加契約の説明を実施 / went through the further contract"}, &handoffv1.Handoff{})
	})
	return moved + n, err
}

// onboard takes a plan one step further: the kickoff, one milestone, or the end.
func (p *Play) onboard(ctx context.Context, plan *customersuccessv1.OnboardingPlan) error {
	path := "/v1/onboarding-plans/" + plan.GetId()
	if plan.GetState() == customersuccessv1.OnboardingPlan_STATE_PLANNED {
		return p.rest.post(ctx, customerSuccess, path+":start", "demo-start-"+plan.GetId()+"-"+plan.GetEtag(),
			&customersuccessv1.StartOnboardingRequest{Note: "キックオフ実施 / kickoff held"}, &customersuccessv1.OnboardingPlan{})
	}
	for _, m := range plan.GetMilestones() {
		if m.GetState() == customersuccessv1.Milestone_STATE_OPEN && m.GetMandatory() {
			return p.rest.post(ctx, customerSuccess, path+"/milestones/"+m.GetCode()+":complete", "demo-milestone-"+plan.GetId()+"-"+plan.GetEtag(),
				&customersuccessv1.CompleteMilestoneRequest{}, &customersuccessv1.OnboardingPlan{})
		}
	}
	return p.rest.post(ctx, customerSuccess, path+":complete", "demo-complete-"+plan.GetId()+"-"+plan.GetEtag(),
		&customersuccessv1.CompleteOnboardingRequest{}, &customersuccessv1.OnboardingPlan{})
}

func (p *Play) plans(ctx context.Context, states ...string) ([]*customersuccessv1.OnboardingPlan, error) {
	var found []*customersuccessv1.OnboardingPlan
	err := pages(func(token string) (string, error) {
		var page customersuccessv1.ListOnboardingPlansResponse
		err := p.rest.get(ctx, customerSuccess, "/v1/onboarding-plans", url.Values{"pageSize": {"500"}, "pageToken": {token}, "states": states}, &page)
		found = append(found, page.GetPlans()...)
		return page.GetNextPageToken(), err
	})
	return found, err
}

func (p *Play) customers(ctx context.Context) ([]*customersuccessv1.Customer, error) {
	var found []*customersuccessv1.Customer
	err := pages(func(token string) (string, error) {
		var page customersuccessv1.ListCustomersResponse
		err := p.rest.get(ctx, customerSuccess, "/v1/customers", url.Values{"pageSize": {"500"}, "pageToken": {token}}, &page)
		found = append(found, page.GetCustomers()...)
		return page.GetNextPageToken(), err
	})
	return found, err
}
