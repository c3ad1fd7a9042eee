package customer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/type/date"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/subscription"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Plans is what happens to onboarding plans when customers come and go.
type Plans interface {
	// Open makes the plan of a customer. handoffID is empty after a reactivation by hand.
	Open(ctx context.Context, tx store.Tx, customerID, journeyID, handoffID string, start civil.Date) error
	// Cancel ends the running plan of a customer, if there is one.
	Cancel(ctx context.Context, tx store.Tx, customerID, reason, note string) error
}

// Handovers takes in CLOSED_WON handoffs.
type Handovers struct {
	customers *Store
	plans     Plans
	clock     clock.Clock
}

// NewHandovers makes the receiver of CLOSED_WON handoffs.
func NewHandovers(customers *Store, plans Plans, c clock.Clock) *Handovers {
	return &Handovers{customers: customers, plans: plans, clock: c}
}

// Accepted makes, in the transaction that accepts the handoff, the customer with its first subscription, ledger line and
// onboarding plan. An account that is a customer already, or the customer whose CSQL the deal came from, gets a further
// subscription instead: this is the one place where the ledger moves for an expansion that was won; one that had churned comes
// back with a new plan. It returns `customer/<id>`.
func (h *Handovers) Accepted(ctx context.Context, tx store.Tx, ho *handoffv1.Handoff) (string, error) {
	now := h.clock.Now()
	doc := ho.GetPayload().GetClosedWon()
	deal, err := readDeal(ho, doc, civil.DateOf(now))
	if err != nil {
		return "", err
	}
	c, err := h.known(ctx, tx, ho)
	if err != nil {
		return "", err
	}
	actor, note := access.ActorOf(ctx), ho.GetDecision().GetNote()
	book, totals := &subscription.Book{}, subscription.Totals{}
	fresh := c == nil
	returned := !fresh && c.State == Churned
	if fresh {
		c = &Customer{ID: party.NewID(), AccountID: accountOf(ho), JourneyID: ho.GetJourneyId(), PersonID: ho.GetPersonId(), Currency: deal.sub.Currency}
		c.Create(actor, note, now)
	} else {
		if book, err = subscription.Load(ctx, tx, c.ID); err != nil {
			return "", err
		}
		sums, err := subscription.Sum(ctx, tx, []string{c.ID}, civil.DateOf(now))
		if err != nil {
			return "", err
		}
		totals = sums[c.ID]
	}
	deal.sub.CustomerID = c.ID
	line, err := book.Subscribe(deal.sub, now)
	if err != nil {
		return "", err
	}
	if returned {
		if err := c.Reactivate(actor, note, now); err != nil {
			return "", err
		}
	}
	c.learn(ho, doc, len(deal.gaps), now)
	facts := []Fact{h.customers.write(c, &line, actor, &totals)}
	c.Assess(totals.Committed)
	if fresh {
		created := &pb.CustomerCreated{Customer: c.proto(civil.DateOf(now), totals), HandoffId: ho.GetId()}
		facts = append([]Fact{{Data: created}}, facts...)
	}
	overdue, isLate := late(ho, now)
	if isLate {
		raised, err := c.raise(ctx, tx, overdue)
		if err != nil {
			return "", err
		}
		isLate, facts = len(raised) > 0, append(facts, raised...)
	}
	if err := h.customers.Save(ctx, tx, c, facts...); err != nil {
		return "", err
	}
	if isLate {
		insertFlag(tx, c.ID, overdue)
	}
	subscription.Insert(tx, deal.sub)
	subscription.Record(tx, line)
	saveDocument(tx, c.ID, ho, deal.gaps, actor, now)
	saveContact(tx, c.ID, "MAIN", doc.GetContact(), now)
	saveContact(tx, c.ID, "BILLING", doc.GetBillingContact(), now)
	if fresh || returned {
		start := max(deal.sub.StartDate, civil.DateOf(now))
		if err := h.plans.Open(ctx, tx, c.ID, ho.GetJourneyId(), ho.GetId(), start); err != nil {
			return "", err
		}
	}
	return Subject(c.ID), nil
}

// learn takes over what the document says and we did not know.
func (c *Customer) learn(ho *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload, gaps int, now time.Time) {
	c.touch(now)
	company := doc.GetCompany()
	known := &c.Company
	if known.Name == "" {
		known.Name = party.Fold(company.GetName())
	}
	if known.Domain == "" {
		known.Domain, _ = party.NormalizeDomain(company.GetDomain())
	}
	if known.Industry == "" {
		known.Industry = party.Fold(company.GetIndustry())
	}
	if known.Employees == 0 {
		known.Employees = company.GetEmployees()
	}
	if c.CSM == "" {
		c.CSM = ho.GetAssignee()
	}
	c.Promising = c.Promising || doc.GetExpansionRoom() != "" || doc.GetProposalRoom() != ""
	c.OpenGaps += int32(gaps)
}

// write completes a line of the ledger and adds it to the sums; the fact tells of it.
func (s *Store) write(c *Customer, m *subscription.Movement, actor access.Actor, totals *subscription.Totals) Fact {
	m.ID, m.Actor = party.NewID(), actor
	totals.Committed += m.Amount
	if m.EffectiveDate <= civil.DateOf(s.clock.Now()) {
		totals.Current += m.Amount
	}
	return Fact{JourneyID: m.JourneyID, Data: &pb.MrrMoved{
		Movement: m.Proto(), AccountId: c.AccountID,
		CommittedMrr: money.Amount{Minor: totals.Committed, Currency: m.Currency}.Proto(),
	}}
}

// deal is what a handover document says of the contract.
type deal struct {
	sub  *subscription.Subscription
	gaps []gap
}

func readDeal(ho *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload, today civil.Date) (deal, error) {
	contract := doc.GetContract()
	mrr, err := money.MRR(contract.GetLines())
	var line *money.LineError
	if errors.As(err, &line) {
		return deal{}, problem.Invalid(problem.Field("contract."+err.Error(), "return the handoff and have the line corrected").
			Ja("契約明細の金額に誤りがあります。差し戻して修正を依頼してください。"))
	}
	if err != nil {
		return deal{}, err
	}
	d := deal{gaps: gapsOf(ho, today)}
	stated, err := money.FromProto(contract.GetMrr())
	if contract.GetMrr() != nil && (err != nil || stated != mrr && len(contract.GetLines()) > 0) {
		d.gaps = append(d.gaps, mrrGap(mrr, stated, today))
	}
	if mrr.Currency == "" {
		mrr.Currency = stated.Currency
	}
	if mrr.Currency == "" {
		mrr.Currency = "JPY"
	}
	d.sub = &subscription.Subscription{
		ID: party.NewID(), JourneyID: ho.GetJourneyId(), HandoffID: ho.GetId(), OpportunityID: doc.GetOpportunityId(),
		Currency: mrr.Currency, MRR: mrr.Minor, TermMonths: contract.GetTermMonths(), NoticeDays: contract.GetNoticeDays(),
		SpecialTerms: contract.GetSpecialTerms(),
	}
	d.date("contract.start_date", &d.sub.StartDate, contract.GetStartDate(), today)
	d.date("contract.renewal_date", &d.sub.RenewalDate, contract.GetRenewalDate(), today)
	d.date("contract.signed_date", &d.sub.SignedDate, contract.GetSignedDate(), today)
	if d.sub.StartDate == "" {
		d.sub.StartDate = today
	}
	for _, l := range contract.GetLines() {
		price, _ := money.FromProto(l.GetUnitPrice()) // MRR has looked at them
		discount, _ := money.FromProto(l.GetDiscount())
		d.sub.Items = append(d.sub.Items, subscription.Item{
			ID: party.NewID(), Product: l.GetProduct(), Quantity: l.GetQuantity(), UnitPrice: price.Minor, Discount: discount.Minor,
			IntervalMonths: l.GetIntervalMonths(),
		})
	}
	return d, nil
}

// date reads a date of the contract; one that does not exist is a gap.
func (d *deal) date(field string, to *civil.Date, from *date.Date, today civil.Date) {
	day, ok := civil.FromProto(from)
	if !ok {
		ja, en := topic(field)
		d.gaps = append(d.gaps, gap{Field: field, Ja: ja + "の日付が正しくありません", En: "Not a date: " + en, DueDate: today.AddDays(gapDays)})
	}
	*to = day
}

// gap is something that the handover document lacks.
type gap struct {
	Field   string     `json:"field"`
	Ja      string     `json:"ja"`
	En      string     `json:"en"`
	DueDate civil.Date `json:"due_date"`
}

// gapDays is within how many calendar days a gap should be closed.
const gapDays = 7

func (g gap) proto() *pb.HandoverGap {
	return &pb.HandoverGap{Field: g.Field, Label: &typev1.Label{Ja: g.Ja, En: g.En}, DueDate: g.DueDate.Proto()}
}

// topics name the parts of the document, the longer path before the shorter.
var topics = []struct{ path, ja, en string }{
	{"company.industry", "業種", "industry"},
	{"company.employees", "従業員数", "number of employees"},
	{"company", "企業情報", "company"},
	{"contact", "担当者", "contact"},
	{"purpose", "導入目的", "purpose"},
	{"issues", "課題", "issues"},
	{"expectations", "期待値", "expectations"},
	{"decision_maker", "決裁者", "decision maker"},
	{"decision_process", "決裁プロセス", "decision process"},
	{"agreements", "合意事項", "agreements"},
	{"contract.mrr", "MRR", "MRR of the contract"},
	{"contract.start_date", "契約開始日", "first day of the contract"},
	{"contract.renewal_date", "更新日", "renewal date"},
	{"contract.signed_date", "契約締結日", "day of signature"},
	{"contract", "契約内容", "contract"},
	{"success_criteria", "成功基準", "success criteria"},
	{"billing_contact", "請求先", "billing contact"},
}

func topic(field string) (ja, en string) {
	for _, t := range topics {
		if strings.HasPrefix(field, t.path) {
			return t.ja, t.en
		}
	}
	return field, field
}

// gapsOf are the fields that the handoff was accepted without.
func gapsOf(ho *handoffv1.Handoff, today civil.Date) []gap {
	missing := slices.Concat(ho.GetDecision().GetMissing(), ho.GetCompleteness().GetMissing())
	slices.Sort(missing)
	var gaps []gap
	for _, field := range slices.Compact(missing) {
		ja, en := topic(field)
		gaps = append(gaps, gap{Field: field, Ja: ja + "が未記入です", En: "Missing: " + en, DueDate: today.AddDays(gapDays)})
	}
	return gaps
}

func mrrGap(computed, stated money.Amount, today civil.Date) gap {
	return gap{
		Field:   "contract.mrr",
		Ja:      "MRR が契約明細と一致しません（明細 " + computed.String() + "、記載 " + stated.String() + "）",
		En:      "The lines make an MRR of " + computed.String() + ", the document says " + stated.String(),
		DueDate: today.AddDays(gapDays),
	}
}
