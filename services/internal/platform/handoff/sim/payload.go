package sim

import (
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

// payload is one that lacks nothing, or something that the floor of the contract does not ask for.
func payload(kind handoffv1.Kind, gaps bool) *handoffv1.Payload {
	person := &typev1.Person{Name: &typev1.PersonName{Full: "佐藤 花子"}, Mail: "hanako@example.co.jp", Title: "営業部長"}
	company := &typev1.Company{Name: "株式会社タスキ", Domain: "example.co.jp", Industry: "SaaS", Employees: 120}
	yen := &money.Money{CurrencyCode: "JPY", Units: 130000}
	meeting := start.Add(52 * time.Hour)
	day := &date.Date{Year: 2030, Month: 4, Day: 1}
	if gaps {
		person.Title, company.Industry = "", ""
	}
	switch kind {
	case handoffv1.Kind_KIND_MQL:
		return &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{
			Person: person, Company: company, FirstTouch: &typev1.Touch{Channel: "WEB_FORM"},
			Score: &handoffv1.LeadScore{}, QualifyingAction: "demo_request",
		}}}
	case handoffv1.Kind_KIND_MEETING:
		return &handoffv1.Payload{Kind: &handoffv1.Payload_Meeting{Meeting: &handoffv1.MeetingPayload{
			Person: person, Company: company, Answers: &handoffv1.QualificationAnswers{Issue: "手作業"},
			StartsAt: timestamppb.New(meeting), EndsAt: timestamppb.New(meeting.Add(time.Hour)), MeetingType: "ONLINE", BuyingStage: "INTEREST",
		}}}
	case handoffv1.Kind_KIND_CLOSED_WON:
		return &handoffv1.Payload{Kind: &handoffv1.Payload_ClosedWon{ClosedWon: &handoffv1.ClosedWonPayload{
			Company: company, Contact: person, Purpose: "a", Issues: "b", Expectations: "c", DecisionMaker: "d",
			DecisionProcess: "e", Agreements: "f", BillingContact: &typev1.Person{Mail: "bill@example.co.jp"},
			Contract: &handoffv1.ContractSummary{
				Lines: []*handoffv1.ContractLine{{Product: "p", Quantity: 1, UnitPrice: yen}}, Mrr: yen, TermMonths: 12,
				StartDate: day, SignedDate: day,
			},
			SuccessCriteria: []*handoffv1.SuccessCriterion{{Description: "g", Measure: "h"}},
		}}}
	}
	return &handoffv1.Payload{Kind: &handoffv1.Payload_Csql{Csql: &handoffv1.CsqlPayload{
		CustomerId: "0198f2a0-0000-7000-8000-000000000001", Company: company, ExpansionType: "UPSELL", Product: "p",
		ExpectedMrr: yen, Usage: "u", StatedNeed: "n", StatedBy: "s", CustomerBenefit: "b",
	}}}
}
