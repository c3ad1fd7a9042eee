package subscription

import (
	moneypb "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
)

// Proto is the subscription as the contract writes it.
func (s *Subscription) Proto() *pb.Subscription {
	p := &pb.Subscription{
		Id: s.ID, CustomerId: s.CustomerID, JourneyId: s.JourneyID, HandoffId: s.HandoffID, OpportunityId: s.OpportunityID,
		State:     pb.Subscription_State(pb.Subscription_State_value["STATE_"+string(s.State)]),
		Mrr:       s.money(s.MRR),
		StartDate: s.StartDate.Proto(), EndDate: s.EndDate.Proto(), RenewalDate: s.RenewalDate.Proto(), SignedDate: s.SignedDate.Proto(),
		TermMonths: s.TermMonths, NoticeDays: s.NoticeDays, SpecialTerms: s.SpecialTerms,
		CancelReason: s.CancelReason, CancelNote: s.CancelNote,
		CreateTime: timestamppb.New(s.CreatedAt), UpdateTime: timestamppb.New(s.UpdatedAt),
	}
	for _, i := range s.Items {
		item := &pb.SubscriptionItem{
			Id: i.ID, Product: i.Product, Quantity: i.Quantity, UnitPrice: s.money(i.UnitPrice), IntervalMonths: i.IntervalMonths,
		}
		if i.Discount != 0 {
			item.Discount = s.money(i.Discount)
		}
		p.Items = append(p.Items, item)
	}
	return p
}

func (s *Subscription) money(minor int64) *moneypb.Money {
	return money.Amount{Minor: minor, Currency: s.Currency}.Proto()
}

// Proto is the line as the contract writes it.
func (m Movement) Proto() *pb.MrrMovement {
	return &pb.MrrMovement{
		Id: m.ID, CustomerId: m.CustomerID, SubscriptionId: m.SubscriptionID, JourneyId: m.JourneyID,
		Kind:          pb.MrrMovement_Kind(pb.MrrMovement_Kind_value["KIND_"+string(m.Kind)]),
		Amount:        money.Amount{Minor: m.Amount, Currency: m.Currency}.Proto(),
		EffectiveDate: m.EffectiveDate.Proto(), Reason: m.Reason, CreateTime: timestamppb.New(m.CreatedAt), Actor: m.Actor.Proto(),
	}
}
