package customer

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/subscription"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
)

// Fact is something that happened to a customer besides its change of state.
type Fact struct {
	// JourneyID is empty for the customer's own.
	JourneyID string
	Data      proto.Message
}

func (s *Store) event(c *Customer, journeyID string, data proto.Message) event.Event {
	return event.Event{Subject: Subject(c.ID), SubjectVersion: c.Version, JourneyID: journeyID, Data: data}
}

// Subject is how events and handoffs name a customer.
func Subject(id string) string { return "customer/" + id }

func stateChanged(c *Customer, t history.Transition[State]) proto.Message {
	return &pb.CustomerStateChanged{
		CustomerId: c.ID, AccountId: c.AccountID, From: stateProto(t.From), To: stateProto(t.To),
		Reason: t.Reason, Note: t.Note,
	}
}

func stateProto(s State) pb.Customer_State {
	return pb.Customer_State(pb.Customer_State_value["STATE_"+string(s)])
}

func tierProto(t Tier) pb.Tier { return pb.Tier(pb.Tier_value[string(t)]) }

// CompanyProto is the company as the contract writes it.
func (c *Customer) CompanyProto() *typev1.Company {
	return &typev1.Company{
		Id: c.AccountID, Name: c.Company.Name, Domain: c.Company.Domain, Industry: c.Company.Industry, Employees: c.Company.Employees,
	}
}

// proto is the customer as lists and events write it, on a day and with the sums of its ledger.
func (c *Customer) proto(day civil.Date, totals subscription.Totals) *pb.Customer {
	tier := c.Tier(day)
	ja, en := label(c.Rule.Rule)
	p := &pb.Customer{
		Id: c.ID, AccountId: c.AccountID, JourneyId: c.JourneyID, PersonId: c.PersonID,
		Company: c.CompanyProto(), State: stateProto(c.State), Tier: tierProto(tier),
		TierRule:   &pb.TierDecision{Tier: tierProto(c.Rule.Tier), Rule: c.Rule.Rule, Label: &typev1.Label{Ja: ja, En: en}},
		TouchModel: pb.TouchModel(pb.TouchModel_value["TOUCH_MODEL_"+string(TouchOf(tier))]),
		OwnerTeam:  pb.OwnerTeam(pb.OwnerTeam_value["OWNER_TEAM_"+string(TeamOf(tier, c.Promising))]),
		Csm:        c.CSM, OpenGaps: c.OpenGaps, Flagged: c.OpenFlags > 0, ChurnedDate: c.ChurnedDate.Proto(), Etag: etag.Format(c.Version),
		Mrr:          money.Amount{Minor: totals.Current, Currency: c.Currency}.Proto(),
		CommittedMrr: money.Amount{Minor: totals.Committed, Currency: c.Currency}.Proto(),
		CreateTime:   timestamppb.New(c.CreatedAt), UpdateTime: timestamppb.New(c.UpdatedAt),
	}
	if o := c.OverrideOn(day); o != nil {
		p.TierOverride = &pb.TierOverride{
			Tier: tierProto(o.Tier), Note: o.Note, Until: o.Until.Proto(), By: o.By.Proto(), At: timestamppb.New(o.At),
		}
	}
	return p
}

func churned(c *Customer, book *subscription.Book, last *subscription.Subscription) proto.Message {
	return &pb.CustomerChurned{
		CustomerId: c.ID, AccountId: c.AccountID, PersonId: c.PersonID, Reason: last.CancelReason, Note: last.CancelNote,
		EffectiveDate: c.ChurnedDate.Proto(), LostMrr: money.Amount{Minor: last.MRR, Currency: last.Currency}.Proto(),
		Company: c.CompanyProto(), Products: book.Products(),
	}
}
