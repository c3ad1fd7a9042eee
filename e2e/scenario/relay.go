package scenario

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

// Relay plays the people of the four departments.
type Relay struct {
	t                 testing.TB
	house             *house.House
	Marketing, Inside rest.Client
	Field, Success    rest.Client
	Viewer, Nobody    rest.Client
	// Sequence makes names of this relay its own.
	Sequence string
}

// NewRelay gives every department a person with a token.
func NewRelay(t testing.TB, h *house.House) *Relay {
	t.Helper()
	as := func(prefix, role string) rest.Client { return rest.Client{URL: h.URL + prefix, Token: h.Token(role)} }
	return &Relay{
		t: t, house: h, Sequence: uuid.NewString()[:8],
		Marketing: as("/marketing", "marketing"), Inside: as("/inside-sales", "inside-sales"),
		Field: as("/field-sales", "field-sales"), Success: as("/customer-success", "customer-success"),
		Viewer: as("/marketing", "viewer"), Nobody: rest.Client{URL: h.URL + "/marketing"},
	}
}

// CaptureRequest is a complete lead with high intent; name makes its mail address and company its own.
func (r *Relay) CaptureRequest(name, action string) *marketingv1.CaptureLeadRequest {
	domain := fmt.Sprintf("%s-%s.example", strings.ToLower(name), r.Sequence)
	return &marketingv1.CaptureLeadRequest{
		Person: &typev1.Person{
			Name: &typev1.PersonName{Family: "佐藤", Given: "花子"}, Mail: name + "@" + domain, Phone: "03-1234-5678", Title: "営業部長",
		},
		Company: &typev1.Company{Name: "株式会社" + name + r.Sequence, Domain: domain, Industry: "製造", Employees: 320},
		Touch:   &typev1.Touch{Channel: "WEB_FORM", Campaign: "spring", Action: action},
		Source:  "web-site",
	}
}

// Capture captures a lead that qualifies by itself.
func (r *Relay) Capture(name string) *marketingv1.Lead {
	r.t.Helper()
	var lead marketingv1.Lead
	r.Marketing.Must(r.t, http.MethodPost, "/v1/leads", r.CaptureRequest(name, "demo_request"), &lead)
	if lead.GetState() != marketingv1.Lead_STATE_OFFERED {
		r.t.Fatalf("a demo request is %s, want OFFERED; missing %v", lead.GetState(), lead.GetMissing())
	}
	return &lead
}

// Lead reads a lead.
func (r *Relay) Lead(id string) *marketingv1.Lead {
	r.t.Helper()
	return read[*marketingv1.Lead](r, r.Marketing, "/v1/leads/"+id)
}

// AwaitLead waits until events have brought the lead to a state.
func (r *Relay) AwaitLead(id string, want marketingv1.Lead_State) *marketingv1.Lead {
	r.t.Helper()
	return await(r, "the lead", want, func() *marketingv1.Lead { return r.Lead(id) })
}

// read gets one thing.
func read[P interface {
	proto.Message
	*M
}, M any](r *Relay, c rest.Client, path string,
) P {
	r.t.Helper()
	out := P(new(M))
	c.Must(r.t, http.MethodGet, path, nil, out)
	return out
}

// await reads something until events have brought it to a state.
func await[T interface{ GetState() S }, S interface {
	comparable
	fmt.Stringer
}](r *Relay, what string, want S, read func() T,
) (got T) {
	r.t.Helper()
	house.Await(r.t, what+" is "+want.String(), func() error {
		if got = read(); got.GetState() != want {
			return fmt.Errorf("it is %s", got.GetState())
		}
		return nil
	})
	return got
}

// Arrival waits for the one handoff of a journey in the inbox of a department.
func (r *Relay) Arrival(desk rest.Client, journey string, kind handoffv1.Kind) *handoffv1.Handoff {
	r.t.Helper()
	var found *handoffv1.Handoff
	house.Await(r.t, kind.String()+" arrives", func() error {
		list := r.Inbox(desk, journey, kind)
		if len(list) != 1 {
			return fmt.Errorf("%d are there", len(list))
		}
		found = list[0]
		return nil
	})
	return found
}

// Inbox are the handoffs of a journey that a department has received.
func (r *Relay) Inbox(desk rest.Client, journey string, kind handoffv1.Kind) []*handoffv1.Handoff {
	r.t.Helper()
	var page handoffv1.ListHandoffsResponse
	query := url.Values{"box": {"BOX_INBOX"}, "journeyId": {journey}, "kind": {kind.String()}}
	desk.Must(r.t, http.MethodGet, "/v1/handoffs?"+query.Encode(), nil, &page)
	return page.GetHandoffs()
}

// Accept accepts a handoff at the desk of its receiver.
func (r *Relay) Accept(desk rest.Client, h *handoffv1.Handoff) *handoffv1.Handoff {
	r.t.Helper()
	var after handoffv1.Handoff
	desk.Must(r.t, http.MethodPost, "/v1/handoffs/"+h.GetId()+":accept", &handoffv1.AcceptHandoffRequest{Note: "ok"}, &after)
	if after.GetState() != handoffv1.State_STATE_ACCEPTED {
		r.t.Fatalf("accepted handoff is %s", after.GetState())
	}
	return &after
}

// Subject is the id in `kind/id`.
func Subject(t testing.TB, s, kind string) string {
	t.Helper()
	id, ok := strings.CutPrefix(s, kind+"/")
	if !ok || id == "" {
		t.Fatalf("subject %q is no %s", s, kind)
	}
	return id
}

// WorkItem reads a work item.
func (r *Relay) WorkItem(id string) *insidesalesv1.WorkItem {
	r.t.Helper()
	return read[*insidesalesv1.WorkItem](r, r.Inside, "/v1/work-items/"+id)
}

// ToMeeting takes an offered lead to an offered meeting of tomorrow, and returns the work item's id.
func (r *Relay) ToMeeting(lead *marketingv1.Lead) string {
	r.t.Helper()
	return r.ToMeetingIn(lead, 24*time.Hour)
}

// ToMeetingIn is ToMeeting with a meeting that begins that long after it is offered.
func (r *Relay) ToMeetingIn(lead *marketingv1.Lead, in time.Duration) string {
	r.t.Helper()
	mql := r.Accept(r.Inside, r.Arrival(r.Inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL))
	item := Subject(r.t, mql.GetReceiverSubject(), "work-item")
	r.Inside.Must(r.t, http.MethodPost, "/v1/work-items/"+item+"/activities", &insidesalesv1.LogActivityRequest{
		Kind: insidesalesv1.Activity_KIND_CALL, Direction: insidesalesv1.Activity_DIRECTION_OUTBOUND,
		Result: insidesalesv1.Activity_RESULT_CONNECTED, Note: "課題を確認",
	}, &insidesalesv1.Activity{})
	r.Inside.Must(r.t, http.MethodPost, "/v1/work-items/"+item+":qualify", &insidesalesv1.QualifyWorkItemRequest{
		Answers: &handoffv1.QualificationAnswers{Issue: "引き継ぎ漏れ", Budget: "300万円", Need: "見える化", Timeline: "今期中"},
	}, &insidesalesv1.WorkItem{})
	start := time.Now().Add(in)
	var w insidesalesv1.WorkItem
	r.Inside.Must(r.t, http.MethodPost, "/v1/work-items/"+item+":offerMeeting", &insidesalesv1.OfferMeetingRequest{
		StartsAt: timestamppb.New(start), EndsAt: timestamppb.New(start.Add(time.Hour)), MeetingType: "ONLINE", BuyingStage: "CONSIDERATION",
	}, &w)
	if w.GetState() != insidesalesv1.WorkItem_STATE_MEETING_OFFERED {
		r.t.Fatalf("work item is %s, want MEETING_OFFERED", w.GetState())
	}
	return item
}

// ToOpportunity takes an offered meeting to an open opportunity, and returns its id.
func (r *Relay) ToOpportunity(journey string) string {
	r.t.Helper()
	meeting := r.Accept(r.Field, r.Arrival(r.Field, journey, handoffv1.Kind_KIND_MEETING))
	return Subject(r.t, meeting.GetReceiverSubject(), "opportunity")
}

// MoveStage moves an opportunity, with the next action that every stage needs.
func (r *Relay) MoveStage(id, stage string) *fieldsalesv1.Opportunity {
	r.t.Helper()
	var o fieldsalesv1.Opportunity
	r.Field.Must(r.t, http.MethodPost, "/v1/opportunities/"+id+":moveStage", &fieldsalesv1.MoveStageRequest{
		Stage: stage, NextAction: &fieldsalesv1.NextActionInput{Description: "次回打ち合わせ", DueAt: timestamppb.New(time.Now().Add(72 * time.Hour))},
	}, &o)
	return &o
}

// ToVerbal takes an opportunity to the stage from which it can be won.
func (r *Relay) ToVerbal(id string) {
	r.t.Helper()
	r.MoveStage(id, "DISCOVERY")
	r.Field.Must(r.t, http.MethodPatch, "/v1/opportunities/"+id, &fieldsalesv1.UpdateOpportunityRequest{
		Amount: Yen(1_560_000), ExpectedCloseDate: Day(time.Now().AddDate(0, 1, 0)),
	}, &fieldsalesv1.Opportunity{})
	for _, stage := range []string{"PROPOSAL", "NEGOTIATION", "VERBAL"} {
		r.MoveStage(id, stage)
	}
}

// Win takes an opportunity to its end with a contract.
func (r *Relay) Win(opportunity string, win *fieldsalesv1.CloseWonRequest, headers ...rest.Header) *fieldsalesv1.Opportunity {
	r.t.Helper()
	r.ToVerbal(opportunity)
	var won fieldsalesv1.Opportunity
	r.Field.Must(r.t, http.MethodPost, "/v1/opportunities/"+opportunity+":closeWon", win, &won, headers...)
	return &won
}

// TakeOver accepts the deal of a journey at customer success. customer is whom it made.
func (r *Relay) TakeOver(journey string) (handover *handoffv1.Handoff, customer string) {
	r.t.Helper()
	handover = r.Accept(r.Success, r.Arrival(r.Success, journey, handoffv1.Kind_KIND_CLOSED_WON))
	return handover, Subject(r.t, handover.GetReceiverSubject(), "customer")
}

// WinRequest is a complete contract of ¥130,000 a month and a complete handover document.
func WinRequest() *fieldsalesv1.CloseWonRequest {
	start := time.Now().AddDate(0, 0, 7)
	person := &typev1.Person{Name: &typev1.PersonName{Full: "経理 太郎"}, Mail: "billing@customer.example"}
	return &fieldsalesv1.CloseWonRequest{
		Contract: &handoffv1.ContractSummary{
			Lines: []*handoffv1.ContractLine{
				{Product: "standard", Quantity: 100, UnitPrice: Yen(1_300), IntervalMonths: 1},
				{Product: "setup", Quantity: 1, UnitPrice: Yen(200_000)},
			},
			TermMonths: 12, StartDate: Day(start), RenewalDate: Day(start.AddDate(1, 0, 0)), NoticeDays: 60, SignedDate: Day(time.Now()),
		},
		Handover: &fieldsalesv1.HandoverDocument{
			Purpose: "引き継ぎの抜け漏れ防止", Issues: "案件が消える", Expectations: "商談化率を2倍に", DecisionMaker: "営業本部長",
			DecisionProcess: "役員会", Agreements: "導入支援3回", Cautions: "月末は繁忙", ExpansionRoom: "2部門", ProposalRoom: "分析",
			SuccessCriteria: []*handoffv1.SuccessCriterion{{Description: "期限内受領", Measure: "95%"}},
			Promises:        []*handoffv1.Promise{{Description: "移行支援", DueDate: Day(start)}}, BillingContact: person, Contact: person,
		},
	}
}

// GrowRequest is WinRequest for an expansion of fifty seats, ¥65,000 a month.
func GrowRequest() *fieldsalesv1.CloseWonRequest {
	win := WinRequest()
	win.Contract.Lines = []*handoffv1.ContractLine{{Product: "standard", Quantity: 50, UnitPrice: Yen(1_300), IntervalMonths: 1}}
	return win
}

// Onboard takes an accepted customer through its plan.
func (r *Relay) Onboard(customer string) *customersuccessv1.OnboardingPlan {
	r.t.Helper()
	var page customersuccessv1.ListOnboardingPlansResponse
	r.Success.Must(r.t, http.MethodGet, "/v1/onboarding-plans?customerId="+customer, nil, &page)
	if len(page.GetPlans()) != 1 {
		r.t.Fatalf("customer %s has %d onboarding plans, want 1", customer, len(page.GetPlans()))
	}
	plan := page.GetPlans()[0]
	path := "/v1/onboarding-plans/" + plan.GetId()
	r.Success.Must(r.t, http.MethodPost, path+":start", &customersuccessv1.StartOnboardingRequest{}, plan)
	for _, m := range plan.GetMilestones() {
		if m.GetMandatory() && m.GetState() == customersuccessv1.Milestone_STATE_OPEN {
			r.Success.Must(r.t, http.MethodPost, path+"/milestones/"+m.GetCode()+":complete", &customersuccessv1.CompleteMilestoneRequest{}, &customersuccessv1.OnboardingPlan{})
		}
	}
	r.Success.Must(r.t, http.MethodPost, path+":complete", &customersuccessv1.CompleteOnboardingRequest{}, plan)
	return plan
}

// Yen is an amount of money.
func Yen(n int64) *money.Money { return &money.Money{CurrencyCode: "JPY", Units: n} }

// Day is the date of a time.
func Day(t time.Time) *date.Date {
	return &date.Date{Year: int32(t.Year()), Month: int32(t.Month()), Day: int32(t.Day())}
}
