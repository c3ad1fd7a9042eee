package demo

import (
	"context"
	"net/url"

	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// marketingActs qualifies some of the leads by hand that the score alone did not qualify: marketers know their market.
func (p *Play) marketingActs(ctx context.Context) (int, error) {
	leads, err := p.leads(ctx, "STATE_MAL", "STATE_NURTURING")
	if err != nil {
		return 0, err
	}
	var chosen []*marketingv1.Lead
	for _, l := range leads {
		if dice(identity(l), "qualify by hand") < 15 && l.GetPerson().GetName().GetFull() != "" && l.GetCompany().GetName() != "" {
			chosen = append(chosen, l)
		}
	}
	return each(ctx, p, chosen, func(ctx context.Context, l *marketingv1.Lead) error {
		return p.rest.post(ctx, marketing, "/v1/leads/"+l.GetId()+":qualify", "demo-qualify-"+l.GetId()+"-"+l.GetEtag(), &marketingv1.QualifyLeadRequest{
			Reason: "KNOWN_INTEREST", Note: "展示会で話した / spoke with them at the fair",
		}, &marketingv1.Lead{})
	})
}

// identity is what stays the same for a lead from run to run.
func identity(l *marketingv1.Lead) string {
	if m := l.GetPerson().GetMail(); m != "" {
		return m
	}
	return l.GetPerson().GetPhone() + l.GetPerson().GetName().GetFull()
}

// leads lists the leads in the states given; all without a state.
func (p *Play) leads(ctx context.Context, states ...string) ([]*marketingv1.Lead, error) {
	var found []*marketingv1.Lead
	err := pages(func(token string) (string, error) {
		var page marketingv1.ListLeadsResponse
		err := p.rest.get(ctx, marketing, "/v1/leads", url.Values{"pageSize": {"500"}, "pageToken": {token}, "states": states}, &page)
		found = append(found, page.GetLeads()...)
		return page.GetNextPageToken(), err
	})
	return found, err
}

// openEnds names what is still on its way: leads that another department has, and handoffs without a decision.
func (p *Play) openEnds(ctx context.Context) ([]string, error) {
	var open []string
	leads, err := p.leads(ctx, "STATE_OFFERED", "STATE_ACCEPTED", "STATE_SQL")
	if err != nil {
		return nil, err
	}
	for _, l := range leads {
		open = append(open, "lead/"+l.GetId()+" "+l.GetState().String())
	}
	for _, s := range []staff{insideSales, fieldSales, customerSuccess} {
		for _, box := range []string{"BOX_INBOX", "BOX_OUTBOX"} {
			handoffs, err := p.handoffs(ctx, s, url.Values{"box": {box}, "states": {"STATE_OFFERED", "STATE_ACCEPTED"}})
			if err != nil {
				return nil, err
			}
			for _, h := range handoffs {
				open = append(open, s.prefix+" "+box+" handoff/"+h.GetId()+" "+h.GetState().String())
			}
		}
	}
	if len(open) > 10 {
		open = append(open[:10], "…")
	}
	return open, nil
}
