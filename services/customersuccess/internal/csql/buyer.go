package csql

import (
	"context"
	"slices"
	"strings"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/subscription"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// buyer is a customer with what it pays for.
type buyer struct {
	*customer.Customer
	book  *subscription.Book
	today civil.Date
}

func buyerOf(ctx context.Context, tx store.Tx, customers *customer.Store, id string, now time.Time) (buyer, error) {
	c, err := customers.Get(ctx, tx, id)
	if err != nil {
		return buyer{}, err
	}
	book, err := subscription.Load(ctx, tx, id)
	return buyer{Customer: c, book: book, today: civil.DateOf(now)}, err
}

// unmet names what keeps the customer from being sold to.
func (b buyer) unmet() []problem.Violation {
	return Customer{
		Churned: b.State == customer.Churned, Flagged: b.OpenFlags > 0,
		Cancelling: slices.ContainsFunc(b.book.Subscriptions, func(s *subscription.Subscription) bool { return s.State == subscription.Cancelling }),
	}.Unmet()
}

// payload is what sales must know. The company is named as it is today.
func (b buyer) payload(ctx context.Context, tx store.Tx, c *Csql) (*handoffv1.Payload, error) {
	e := c.Evidence
	contract := b.contract()
	p := &handoffv1.CsqlPayload{
		CustomerId: b.ID, ExpansionType: string(c.Type), Product: c.Product, ExpectedMrr: c.Expected.Proto(),
		Company: b.CompanyProto(),
		Health:  e.Health.Score, HealthEvidence: e.Health.Evidence, Usage: e.Usage.Evidence, StatedNeed: e.Need.Statement,
		StatedBy: said(e.Need.By), StatedDate: e.Need.Date.Proto(), NeedEvidence: e.Need.Evidence, CustomerBenefit: e.Benefit,
		Cautions: e.Cautions, Contract: contract, RenewalDate: contract.GetRenewalDate(), OfferedBy: c.Owner,
	}
	p.Contacts = append(p.Contacts, e.Need.By.Proto())
	known, err := customer.Contacts(ctx, tx, b.ID)
	for _, k := range known {
		if !slices.ContainsFunc(p.Contacts, func(o *typev1.Person) bool { return o.GetId() == k.GetPerson().GetId() }) {
			p.Contacts = append(p.Contacts, k.GetPerson())
		}
	}
	return &handoffv1.Payload{Kind: &handoffv1.Payload_Csql{Csql: p}}, err
}

// longest is how many letters the contract grants to who stated a need.
const longest = 200

// said is a person in one line.
func said(p party.Person) string {
	text := p.Name()
	if title := strings.TrimSpace(p.Title); title != "" {
		text += " (" + title + ")"
	}
	if letters := []rune(text); len(letters) > longest {
		text = string(letters[:longest])
	}
	return text
}

// contract is what the customer pays for: all subscriptions in force, with the terms of the one that renews next.
func (b buyer) contract() *handoffv1.ContractSummary {
	var next *subscription.Subscription
	sum := money.Amount{Currency: b.Currency}
	out := &handoffv1.ContractSummary{}
	for _, s := range b.book.Live() {
		sum.Minor += s.MRR
		for _, i := range s.Items {
			out.Lines = append(out.Lines, &handoffv1.ContractLine{
				Product: i.Product, Quantity: i.Quantity, IntervalMonths: i.IntervalMonths,
				UnitPrice: money.Amount{Minor: i.UnitPrice, Currency: s.Currency}.Proto(),
				Discount:  money.Amount{Minor: i.Discount, Currency: s.Currency}.Proto(),
			})
		}
		if next == nil || renews(s) < renews(next) {
			next = s
		}
	}
	if next == nil {
		return nil
	}
	out.Mrr, out.TermMonths, out.NoticeDays, out.SpecialTerms = sum.Proto(), next.TermMonths, next.NoticeDays, next.SpecialTerms
	out.StartDate, out.RenewalDate, out.SignedDate = next.StartDate.Proto(), next.RenewalDate.Proto(), next.SignedDate.Proto()
	return out
}

// renews is when a subscription renews; one that is not known to renew comes last.
func renews(s *subscription.Subscription) civil.Date {
	if s.RenewalDate == "" {
		return "9999-12-31"
	}
	return s.RenewalDate
}
