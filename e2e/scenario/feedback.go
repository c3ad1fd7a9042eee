package scenario

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

// feedbackComesBack plays what a customer says back to the departments that brought it: sellers see it on the account and
// on the deal of a similar company, marketing on the lead, and whom the customer names becomes a lead.
func feedbackComesBack(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	lead := r.Capture("voice")
	r.ToMeeting(lead)
	opportunity := r.ToOpportunity(lead.GetJourneyId())
	win := WinRequest()
	win.Contract.StartDate, win.Contract.RenewalDate = Day(time.Now().AddDate(0, 0, -1)), Day(time.Now().AddDate(1, 0, -1))
	r.Win(opportunity, win)
	handover, customer := r.TakeOver(lead.GetJourneyId())

	// Another company of the same industry and size is being talked to.
	similar := r.Capture("alike")
	r.ToMeeting(similar)
	deal := r.ToOpportunity(similar.GetJourneyId())

	var said customersuccessv1.CustomerFeedback
	r.Success.Must(t, http.MethodPost, "/v1/customer-feedback", &customersuccessv1.CreateCustomerFeedbackRequest{
		CustomerId: customer, Text: "週次の会議で使っている", Rating: 4,
		Kinds:  []customersuccessv1.CustomerFeedback_Kind{customersuccessv1.CustomerFeedback_KIND_USAGE, customersuccessv1.CustomerFeedback_KIND_SATISFACTION},
		SaidBy: &typev1.Person{Name: &typev1.PersonName{Full: "田中 一郎"}, Title: "営業本部長"},
	}, &said)
	r.Success.Must(t, http.MethodPost, "/v1/handover-qualities", &customersuccessv1.RateHandoverRequest{
		HandoffId: handover.GetId(), Score: 2, LateGaps: []*customersuccessv1.LateGap{{Field: "decision_process"}},
		BrokenPromises: []*customersuccessv1.BrokenPromise{{Promise: "4月中の会計連携"}},
	}, &customersuccessv1.HandoverQuality{})
	var corrected customersuccessv1.HandoverQuality
	r.Success.Must(t, http.MethodPost, "/v1/handover-qualities/"+handover.GetId()+":correct", &customersuccessv1.CorrectHandoverQualityRequest{
		Etag: "1", Score: 3, CorrectionReason: "連携は予定どおり",
	}, &corrected)
	if corrected.GetRevision() != 2 || corrected.GetOpportunityId() != opportunity {
		t.Errorf("corrected rating: %v", &corrected)
	}
	answer := &customersuccessv1.CreateNpsResponseRequest{
		CustomerId: customer, InvitationId: "nps-" + r.Sequence, Score: proto.Int32(9), Verbatim: "すぐに使えた",
	}
	var first, again customersuccessv1.NpsResponse
	r.Success.Must(t, http.MethodPost, "/v1/nps-responses", answer, &first)
	r.Success.Must(t, http.MethodPost, "/v1/nps-responses", answer, &again)
	answer.Score = proto.Int32(0)
	err := r.Success.Call(t.Context(), http.MethodPost, "/v1/nps-responses", answer, &again)
	if first.GetId() != again.GetId() || rest.Reason(err) != "RESOURCE_EXISTS" {
		t.Errorf("one invitation has the answers %s and %s, and another: %s", first.GetId(), again.GetId(), rest.Explain(err))
	}
	r.Success.Must(t, http.MethodPost, "/v1/customers/"+customer+":markAdvocate", &customersuccessv1.MarkAdvocateRequest{Note: "事例記事"}, &customersuccessv1.Advocacy{})
	r.Success.Must(t, http.MethodPost, "/v1/fit-signals", &customersuccessv1.CreateFitSignalRequest{
		CustomerId: customer, Fit: customersuccessv1.FitSignal_FIT_GOOD, Reasons: []string{"INDUSTRY"},
	}, &customersuccessv1.FitSignal{})
	named := "jiro@named-" + r.Sequence + ".example"
	var referral customersuccessv1.Referral
	r.Success.Must(t, http.MethodPost, "/v1/referrals", &customersuccessv1.CreateReferralRequest{
		CustomerId: customer, Person: &typev1.Person{Name: &typev1.PersonName{Family: "鈴木", Given: "次郎"}, Mail: named},
		Company: &typev1.Company{Name: "株式会社紹介" + r.Sequence},
	}, &referral)
	r.Success.Must(t, http.MethodPost, "/v1/customers/"+customer+":cancel", &customersuccessv1.CancelSubscriptionRequest{Reason: "BUSINESS_CLOSED"}, &customersuccessv1.Customer{})

	r.sellersSee(opportunity, deal, said.GetId())
	r.marketingSees(lead, named, referral.GetId())
}

// sellersSee waits for what sellers are shown of a customer.
func (r *Relay) sellersSee(won, similar, said string) {
	r.t.Helper()
	var o fieldsalesv1.Opportunity
	r.Field.Must(r.t, http.MethodGet, "/v1/opportunities/"+won, nil, &o)
	house.Await(r.t, "the account shows what its customer said", func() error {
		var own fieldsalesv1.ListCustomerFeedbackResponse
		r.Field.Must(r.t, http.MethodGet, "/v1/accounts/"+o.GetAccountId()+"/customer-feedback", nil, &own)
		var account fieldsalesv1.Account
		r.Field.Must(r.t, http.MethodGet, "/v1/accounts/"+o.GetAccountId(), nil, &account)
		s := account.GetCustomerSummary()
		if len(own.GetCustomerFeedback()) != 3 || s.GetRating() != 4 || s.GetHandoverScore() != 3 || s.GetChurnReason() != "BUSINESS_CLOSED" {
			return fmt.Errorf("%d records, summary %v", len(own.GetCustomerFeedback()), s)
		}
		return nil
	})
	var rated fieldsalesv1.ListCustomerFeedbackResponse
	r.Field.Must(r.t, http.MethodGet, "/v1/customer-feedback?opportunityId="+won, nil, &rated)
	if list := rated.GetCustomerFeedback(); len(list) != 1 || list[0].GetRating() != 3 {
		r.t.Errorf("the rating of the handover: %v", list)
	}
	var found *fieldsalesv1.CustomerFeedback
	err := rest.Pages(r.t.Context(), r.Field, "/v1/opportunities/"+similar+"/similar-customer-feedback", func(p *fieldsalesv1.ListSimilarCustomerFeedbackResponse) {
		for _, f := range p.GetCustomerFeedback() {
			if f.GetId() == said {
				found = f
			}
		}
	})
	if err != nil || !slices.Contains(found.GetMatches(), fieldsalesv1.CustomerFeedback_MATCH_INDUSTRY) ||
		!slices.Contains(found.GetMatches(), fieldsalesv1.CustomerFeedback_MATCH_SIZE) {
		r.t.Errorf("on the deal of a similar company: %v, %v", found, err)
	}
}

// marketingSees waits for what marketing is shown of the lead that became a customer, and for whom the customer named.
func (r *Relay) marketingSees(before *marketingv1.Lead, named, referral string) {
	r.t.Helper()
	house.Await(r.t, "the lead shows what became of it", func() error {
		s := r.Lead(before.GetId()).GetCustomerSignals()
		if s.GetNpsScore() != 9 || s.GetNpsVerbatim() != "すぐに使えた" || !s.GetIsAdvocate() || s.GetFit() != "GOOD" || s.GetReferralCount() != 1 || s.GetChurnedAt() == nil {
			return fmt.Errorf("it shows %v", s)
		}
		return nil
	})
	r.AwaitLead(before.GetId(), marketingv1.Lead_STATE_CUSTOMER)
	var history marketingv1.ListLeadCustomerSignalsResponse
	r.Marketing.Must(r.t, http.MethodGet, "/v1/leads/"+before.GetId()+"/customer-signals", nil, &history)
	if len(history.GetSignals()) != 5 {
		r.t.Errorf("%d signals, want NPS, advocate, fit, referral and churn: %v", len(history.GetSignals()), history.GetSignals())
	}
	var leads marketingv1.ListLeadsResponse
	r.Marketing.Must(r.t, http.MethodGet, "/v1/leads?mail="+url.QueryEscape(named), nil, &leads)
	if len(leads.GetLeads()) != 1 {
		r.t.Fatalf("%d leads of the person who was named", len(leads.GetLeads()))
	}
	if l := leads.GetLeads()[0]; l.GetSource() != "REFERRAL" || l.GetReferral().GetReferralId() != referral || l.GetReferral().GetJourneyId() != before.GetJourneyId() {
		r.t.Errorf("the lead of the person who was named: %v", l)
	}
}
