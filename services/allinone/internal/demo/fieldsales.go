package demo

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

var reps = []string{"takahashi", "nakamura"}

// seatJPY is the list price of one seat for one month.
const seatJPY = 1500

// fieldSalesActs gives the verdict on meetings and takes opportunities to their end.
func (p *Play) fieldSalesActs(ctx context.Context) (int, error) {
	offers, err := p.offers(ctx, fieldSales)
	if err != nil {
		return 0, err
	}
	moved, err := each(ctx, p, offers, p.decideOnMeeting)
	if err != nil {
		return moved, err
	}
	open, err := p.opportunities(ctx, "STATE_OPEN")
	if err != nil {
		return moved, err
	}
	n, err := each(ctx, p, open, p.sell)
	return moved + n, err
}

func (p *Play) decideOnMeeting(ctx context.Context, h *handoffv1.Handoff) error {
	person := h.GetPayload().GetMeeting().GetPerson()
	key := person.GetMail() + person.GetPhone()
	switch n := dice(key, "meeting"); {
	case n < 8:
		return p.reject(ctx, fieldSales, h, "NO_SHOW", "来られず / did not come")
	case n < 14:
		return p.reject(ctx, fieldSales, h, "WRONG_PERSON", "決裁に関与なし / no part in the decision")
	}
	return p.accept(ctx, fieldSales, h, reps[dice(key, "rep")%len(reps)])
}

// sell takes an opportunity one step further.
func (p *Play) sell(ctx context.Context, o *fieldsalesv1.Opportunity) error {
	key := o.GetContact().GetMail() + o.GetContact().GetPhone()
	path := "/v1/opportunities/" + o.GetId()
	if o.GetStage() == "DISCOVERY" || o.GetStage() == "NEGOTIATION" {
		if reason, lost := loss(key, o.GetStage()); lost {
			return p.rest.post(ctx, fieldSales, path+":closeLost", "demo-lost-"+o.GetId()+"-"+o.GetEtag(),
				&fieldsalesv1.CloseLostRequest{Reason: reason, Note: "デモ / demo"}, &fieldsalesv1.Opportunity{})
		}
	}
	if o.GetStage() == "DISCOVERY" && o.GetAmount() == nil {
		return p.rest.send(ctx, fieldSales, http.MethodPatch, path, "demo-amount-"+o.GetId()+"-"+o.GetEtag(), &fieldsalesv1.UpdateOpportunityRequest{
			Amount: yen(seats(key) * seatJPY * 12), ExpectedCloseDate: day(time.Now().AddDate(0, 0, 30)),
			ExpansionRoom: ptr("他部門に展開余地 / two more teams"), ProposalRoom: ptr("分析オプション / analytics option"),
		}, &fieldsalesv1.Opportunity{})
	}
	next, ok := map[string]string{"QUALIFYING": "DISCOVERY", "DISCOVERY": "PROPOSAL", "PROPOSAL": "NEGOTIATION", "NEGOTIATION": "VERBAL"}[o.GetStage()]
	if !ok {
		return p.win(ctx, o, key)
	}
	return p.rest.post(ctx, fieldSales, path+":moveStage", "demo-stage-"+o.GetId()+"-"+o.GetEtag(), &fieldsalesv1.MoveStageRequest{
		Stage: next, NextAction: &fieldsalesv1.NextActionInput{
			Description: "次回打ち合わせ / next meeting", DueAt: timestamppb.New(time.Now().Add(72 * time.Hour)),
		},
	}, &fieldsalesv1.Opportunity{})
}

func loss(key, stage string) (reason string, lost bool) {
	n := dice(key, "lose in "+stage)
	switch {
	case stage == "DISCOVERY" && n < 12:
		return "NO_NEED", true
	case stage == "DISCOVERY" && n < 25:
		return "TIMING", true
	case stage == "NEGOTIATION" && n < 15:
		return "PRICE", true
	case stage == "NEGOTIATION" && n < 28:
		return "COMPETITOR_CHOSEN", true
	}
	return "", false
}

func (p *Play) win(ctx context.Context, o *fieldsalesv1.Opportunity, key string) error {
	start := time.Now().AddDate(0, 0, 7)
	billing := &typev1.Person{Name: &typev1.PersonName{Full: "経理ご担当者"}, Mail: "billing@customer.example"}
	return p.rest.post(ctx, fieldSales, "/v1/opportunities/"+o.GetId()+":closeWon", "demo-won-"+o.GetId()+"-"+o.GetEtag(), &fieldsalesv1.CloseWonRequest{
		Contract: &handoffv1.ContractSummary{
			Lines: []*handoffv1.ContractLine{
				{Product: "tasuki-standard", Quantity: int32(seats(key)), UnitPrice: yen(seatJPY), IntervalMonths: 1},
				{Product: "onboarding-package", Quantity: 1, UnitPrice: yen(200000)},
			},
			TermMonths: 12, StartDate: day(start), RenewalDate: day(start.AddDate(1, 0, 0)), NoticeDays: 60, SignedDate: day(time.Now()),
		},
		Handover: &fieldsalesv1.HandoverDocument{
			Purpose: "引き継ぎの抜け漏れをなくす / no hand-over gets lost", Issues: "案件が部門の間で消える / deals vanish between departments",
			Expectations: "3か月で商談化率を2倍に / twice the meetings in three months", DecisionMaker: "営業本部長 / head of sales",
			DecisionProcess: "役員会で承認 / approved by the board", Agreements: "導入支援3回を含む / three workshops included",
			Cautions: "月末は繁忙期 / busy at month end", ExpansionRoom: "他部門に展開余地 / two more teams",
			SuccessCriteria: []*handoffv1.SuccessCriterion{{Description: "引き継ぎの期限内受領 / hand-overs accepted in time", Measure: "95 % / month"}},
			Promises:        []*handoffv1.Promise{{Description: "データ移行の支援 / help with data import", DueDate: day(start.AddDate(0, 0, 14))}},
			Risks:           []string{"担当者の異動 / our champion may move"}, BillingContact: billing, Contact: o.GetContact(),
		},
	}, &fieldsalesv1.Opportunity{})
}

func (p *Play) opportunities(ctx context.Context, states ...string) ([]*fieldsalesv1.Opportunity, error) {
	var found []*fieldsalesv1.Opportunity
	err := pages(func(token string) (string, error) {
		var page fieldsalesv1.ListOpportunitiesResponse
		err := p.rest.get(ctx, fieldSales, "/v1/opportunities", url.Values{"pageSize": {"500"}, "pageToken": {token}, "states": states}, &page)
		found = append(found, page.GetOpportunities()...)
		return page.GetNextPageToken(), err
	})
	return found, err
}

// seats is how many seats a customer buys.
func seats(key string) int64 { return int64(10 + 5*dice(key, "seats")) }

func yen(amount int64) *money.Money { return &money.Money{CurrencyCode: "JPY", Units: amount} }

func day(t time.Time) *date.Date {
	return &date.Date{Year: int32(t.Year()), Month: int32(t.Month()), Day: int32(t.Day())}
}

func ptr[T any](v T) *T { return &v }
