package handoff

import (
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

func person() *typev1.Person {
	return &typev1.Person{Name: &typev1.PersonName{Full: "佐藤 花子"}, Mail: "hanako@example.co.jp", Title: "営業部長"}
}

func company() *typev1.Company {
	return &typev1.Company{Name: "株式会社タスキ", Domain: "example.co.jp", Industry: "SaaS", Employees: 120}
}

// full are payloads that lack nothing.
func full() map[handoffv1.Kind]*handoffv1.Payload {
	yen := &money.Money{CurrencyCode: "JPY", Units: 130000}
	day := &date.Date{Year: 2026, Month: 4, Day: 1}
	return map[handoffv1.Kind]*handoffv1.Payload{
		handoffv1.Kind_KIND_MQL: {Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{
			Person: person(), Company: company(), FirstTouch: &typev1.Touch{Channel: "WEB_FORM"},
			Score: &handoffv1.LeadScore{}, QualifyingAction: "demo_request",
		}}},
		handoffv1.Kind_KIND_MEETING: {Kind: &handoffv1.Payload_Meeting{Meeting: &handoffv1.MeetingPayload{
			Person: person(), Company: company(), Answers: &handoffv1.QualificationAnswers{Issue: "手作業"},
			StartsAt: timestamppb.Now(), EndsAt: timestamppb.Now(), MeetingType: "ONLINE", BuyingStage: "INTEREST",
		}}},
		handoffv1.Kind_KIND_CLOSED_WON: {Kind: &handoffv1.Payload_ClosedWon{ClosedWon: &handoffv1.ClosedWonPayload{
			Company: company(), Contact: person(), Purpose: "a", Issues: "b", Expectations: "c", DecisionMaker: "d",
			DecisionProcess: "e", Agreements: "f", BillingContact: &typev1.Person{Mail: "bill@example.co.jp"},
			Contract: &handoffv1.ContractSummary{
				Lines: []*handoffv1.ContractLine{{Product: "p", Quantity: 1, UnitPrice: yen}}, Mrr: yen, TermMonths: 12,
				StartDate: day, SignedDate: day,
			},
			SuccessCriteria: []*handoffv1.SuccessCriterion{{Description: "g", Measure: "h"}},
		}}},
		handoffv1.Kind_KIND_CSQL: {Kind: &handoffv1.Payload_Csql{Csql: &handoffv1.CsqlPayload{
			CustomerId: "0198f2a0-0000-7000-8000-000000000001", Company: company(), ExpansionType: "UPSELL", Product: "p",
			ExpectedMrr: yen, Usage: "u", StatedNeed: "n", StatedBy: "s", CustomerBenefit: "b",
		}}},
	}
}

func TestRequired(t *testing.T) {
	for kind, p := range full() {
		if payloadKind(p) != kind {
			t.Errorf("the payload of %s is of %s", kind, payloadKind(p))
		}
		if c := completenessOf(p, Required(kind)); c.GetScore() != 100 || len(c.GetMissing()) != 0 {
			t.Errorf("%s: %v", kind, c)
		}
		for _, f := range Floor(kind) {
			if !slices.Contains(Required(kind), f) {
				t.Errorf("%s: %s is in the floor, but not required", kind, f)
			}
		}
	}
	for kind, p := range map[handoffv1.Kind]*handoffv1.Payload{
		handoffv1.Kind_KIND_MQL:        {Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{}}},
		handoffv1.Kind_KIND_MEETING:    {Kind: &handoffv1.Payload_Meeting{Meeting: &handoffv1.MeetingPayload{}}},
		handoffv1.Kind_KIND_CLOSED_WON: {Kind: &handoffv1.Payload_ClosedWon{ClosedWon: &handoffv1.ClosedWonPayload{}}},
		handoffv1.Kind_KIND_CSQL:       {Kind: &handoffv1.Payload_Csql{Csql: &handoffv1.CsqlPayload{}}},
	} {
		// An empty list has no element without a measure: only the list itself is missing.
		c := completenessOf(p, Required(kind))
		if c.GetScore() > 6 || len(c.GetMissing()) < len(Required(kind))-1 {
			t.Errorf("an empty %s: %v", kind, c)
		}
	}
}

func TestMissing(t *testing.T) {
	mql := func(change func(*handoffv1.MqlPayload)) *handoffv1.Payload {
		p := full()[handoffv1.Kind_KIND_MQL]
		change(p.GetMql())
		return p
	}
	won := func(change func(*handoffv1.ClosedWonPayload)) *handoffv1.Payload {
		p := full()[handoffv1.Kind_KIND_CLOSED_WON]
		change(p.GetClosedWon())
		return p
	}
	for name, c := range map[string]struct {
		payload *handoffv1.Payload
		want    []string
	}{
		"phone instead of mail": {mql(func(p *handoffv1.MqlPayload) { p.Person.Mail, p.Person.Phone = "", "+81312345678" }), nil},
		"neither":               {mql(func(p *handoffv1.MqlPayload) { p.Person.Mail = "" }), []string{"person.mail"}},
		"empty name":            {mql(func(p *handoffv1.MqlPayload) { p.Person.Name = &typev1.PersonName{} }), []string{"person.name"}},
		"blank title":           {mql(func(p *handoffv1.MqlPayload) { p.Person.Title = " \t" }), []string{"person.title"}},
		"no person":             {mql(func(p *handoffv1.MqlPayload) { p.Person = nil }), []string{"person.name", "person.mail", "person.title"}},
		"employees unknown":     {mql(func(p *handoffv1.MqlPayload) { p.Company.Employees = 0 }), []string{"company.employees"}},
		"no lines":              {won(func(p *handoffv1.ClosedWonPayload) { p.Contract.Lines = nil }), []string{"contract.lines"}},
		"no measure": {won(func(p *handoffv1.ClosedWonPayload) {
			p.SuccessCriteria = append(p.SuccessCriteria, &handoffv1.SuccessCriterion{Description: "x"})
		}), []string{"success_criteria[].measure"}},
	} {
		if got := missing(c.payload, Required(payloadKind(c.payload))); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := missing(&handoffv1.Payload{}, []string{"a.b"}); !slices.Equal(got, []string{"a.b"}) {
		t.Errorf("an empty payload lacks %v", got)
	}
}
