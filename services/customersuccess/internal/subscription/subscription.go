// Package subscription has what customers pay for, and the append-only ledger of their monthly recurring revenue.
package subscription

import (
	"slices"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// State of a subscription.
type State string

// The states.
const (
	Active     State = "ACTIVE"
	Cancelling State = "CANCELLING" // cancelled for a day to come; counts as live until then
	Cancelled  State = "CANCELLED"
)

// Kind says why recurring revenue moved.
type Kind string

// The kinds.
const (
	New          Kind = "NEW"
	Expansion    Kind = "EXPANSION"
	Contraction  Kind = "CONTRACTION"
	Churn        Kind = "CHURN"
	Reactivation Kind = "REACTIVATION"
)

// Item is one line of a subscription. Amounts are minor units of the subscription's currency for one interval.
type Item struct {
	ID                  string
	Product             string
	Quantity            int32
	UnitPrice, Discount int64
	// IntervalMonths is 0 for one-off items, which bring no recurring revenue.
	IntervalMonths int32
}

// Subscription is what one contract made a customer pay for.
type Subscription struct {
	ID, CustomerID, JourneyID string
	// HandoffID and OpportunityID are empty where it came from elsewhere.
	HandoffID, OpportunityID string
	State                    State
	Currency                 string
	// MRR is monthly recurring revenue in minor units; see money.MRR.
	MRR                                         int64
	StartDate, EndDate, RenewalDate, SignedDate civil.Date
	TermMonths, NoticeDays                      int32
	SpecialTerms                                string
	CancelReason, CancelNote                    string
	Items                                       []Item
	CreatedAt, UpdatedAt                        time.Time
}

// Live reports whether the subscription is in force, or will be.
func (s *Subscription) Live() bool { return s.State != Cancelled }

// Movement is one line of the ledger; lines are only ever added.
type Movement struct {
	ID, CustomerID, SubscriptionID, JourneyID string
	Kind                                      Kind
	// Amount is minor units a month; negative for CONTRACTION and CHURN.
	Amount        int64
	Currency      string
	EffectiveDate civil.Date
	Reason        string
	CreatedAt     time.Time
	Actor         access.Actor
}

// MRR is the sum of all lines effective on or before day, in minor units: what is recurring on that day.
func MRR(lines []Movement, day civil.Date) int64 {
	var sum int64
	for _, m := range lines {
		if m.EffectiveDate <= day {
			sum += m.Amount
		}
	}
	return sum
}

// Book is all subscriptions of one customer. What changes them answers with the line that the change is in the ledger, so
// that subscriptions and ledger can't part.
type Book struct {
	Subscriptions []*Subscription
}

// Live are the subscriptions that are in force or will be.
func (b *Book) Live() []*Subscription {
	var live []*Subscription
	for _, s := range b.Subscriptions {
		if s.Live() {
			live = append(live, s)
		}
	}
	return live
}

// Products are the products of the live subscriptions, or of all when none is live: each once, by name.
func (b *Book) Products() []string {
	of := b.Live()
	if len(of) == 0 {
		of = b.Subscriptions
	}
	var products []string
	for _, s := range of {
		for _, item := range s.Items {
			if item.Product != "" {
				products = append(products, item.Product)
			}
		}
	}
	slices.Sort(products)
	return slices.Compact(products)
}

// Ended is the first day without any subscription: the latest end. Empty while one is live, or when there never was one.
func (b *Book) Ended() civil.Date {
	var last civil.Date
	for _, s := range b.Subscriptions {
		if s.Live() {
			return ""
		}
		last = max(last, s.EndDate)
	}
	return last
}

// Last is the subscription that ended last; nil when there never was one.
func (b *Book) Last() *Subscription {
	var last *Subscription
	for _, s := range b.Subscriptions {
		if last == nil || s.EndDate > last.EndDate {
			last = s
		}
	}
	return last
}

// Find is the subscription with the id. With an empty id it is the only active one; when several are active the client
// has to say which.
func (b *Book) Find(id string) (*Subscription, error) {
	if id != "" {
		for _, s := range b.Subscriptions {
			if s.ID == id {
				return s, nil
			}
		}
		return nil, problem.NotFound("subscription", id)
	}
	var found *Subscription
	for _, s := range b.Subscriptions {
		if s.State != Active {
			continue
		}
		if found != nil {
			return nil, problem.Invalid(problem.Field("subscription_id", "the customer has several active subscriptions: say which one").
				Ja("有効な契約が複数あります。対象の契約を指定してください。"))
		}
		found = s
	}
	if found == nil {
		return nil, problem.GuardNotMet("cancel", "active_subscription")
	}
	return found, nil
}

// Subscribe adds a subscription. The first ever is NEW; further ones are an EXPANSION, and after all have ended a
// REACTIVATION. A customer has one currency for good, because the lines of its ledger are added up.
func (b *Book) Subscribe(s *Subscription, now time.Time) (Movement, error) {
	if have := b.Currency(); have != "" && have != s.Currency {
		return Movement{}, problem.Invalid(problem.Field("contract.lines", "the customer pays in "+have+", not in "+s.Currency).
			Ja("この顧客の通貨は " + have + " です（" + s.Currency + " は使えません）。"))
	}
	kind := New
	switch {
	case len(b.Live()) > 0:
		kind = Expansion
	case len(b.Subscriptions) > 0:
		kind = Reactivation
	}
	s.State, s.CreatedAt, s.UpdatedAt = Active, now, now
	b.Subscriptions = append(b.Subscriptions, s)
	return s.line(kind, s.MRR, s.StartDate, "", now), nil
}

// Currency is the one of the customer; empty before the first subscription.
func (b *Book) Currency() string {
	if len(b.Subscriptions) == 0 {
		return ""
	}
	return b.Subscriptions[0].Currency
}

// Cancel ends a subscription on the day effective, which is not before its first day. A day after today is only noted,
// and there is no line yet (nil): call End when the day has come. The line is a CHURN when nothing stays live, else a
// CONTRACTION.
func (b *Book) Cancel(s *Subscription, reason, note string, effective, today civil.Date, now time.Time) (*Movement, error) {
	if s.State != Active {
		return nil, problem.IllegalTransition("subscription", string(s.State), "cancel", nil)
	}
	if effective < s.StartDate {
		return nil, problem.Invalid(problem.Field("effective_date", "the subscription begins on "+string(s.StartDate)+": it cannot end before").
			Ja("契約開始日（" + string(s.StartDate) + "）より前の日付は指定できません。"))
	}
	s.CancelReason, s.CancelNote, s.EndDate, s.UpdatedAt = reason, note, effective, now
	s.State = Cancelling
	if effective > today {
		return nil, nil
	}
	return b.End(s, today, now), nil
}

// End carries out a cancellation whose day has come. It does nothing (nil) before that day, and when it was done already.
func (b *Book) End(s *Subscription, today civil.Date, now time.Time) *Movement {
	if s.State != Cancelling || s.EndDate > today {
		return nil
	}
	s.State, s.UpdatedAt = Cancelled, now
	kind := Churn
	if slices.ContainsFunc(b.Subscriptions, (*Subscription).Live) {
		kind = Contraction
	}
	m := s.line(kind, -s.MRR, s.EndDate, s.CancelReason, now)
	return &m
}

func (s *Subscription) line(kind Kind, amount int64, effective civil.Date, reason string, now time.Time) Movement {
	return Movement{
		CustomerID: s.CustomerID, SubscriptionID: s.ID, JourneyID: s.JourneyID, Kind: kind, Amount: amount,
		Currency: s.Currency, EffectiveDate: effective, Reason: reason, CreatedAt: now,
	}
}

// Again is a new subscription on the terms of an ended one, from start on.
func (s *Subscription) Again(id string, start civil.Date, newItemID func() string) *Subscription {
	again := &Subscription{
		ID: id, CustomerID: s.CustomerID, JourneyID: s.JourneyID, OpportunityID: s.OpportunityID, Currency: s.Currency,
		MRR: s.MRR, StartDate: start, TermMonths: s.TermMonths, NoticeDays: s.NoticeDays, SpecialTerms: s.SpecialTerms,
		Items: slices.Clone(s.Items),
	}
	for i := range again.Items {
		again.Items[i].ID = newItemID()
	}
	return again
}
