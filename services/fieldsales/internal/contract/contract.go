// Package contract is what a customer signed: the lines, the term, and the monthly recurring revenue that follows.
package contract

import (
	"errors"
	"fmt"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Line is one thing that was bought. Amounts are minor units of the contract's currency, for one interval.
type Line struct {
	Product        string
	Quantity       int32
	UnitPrice      int64
	Discount       int64
	IntervalMonths int32 // 0: one-off
}

// Contract is what was signed. Empty dates are not known.
type Contract struct {
	ID, OpportunityID, AccountID string
	// MRR is the monthly recurring revenue; its currency is that of all lines.
	MRR          money.Amount
	Lines        []Line
	TermMonths   int32
	Start        civil.Date
	Renewal      civil.Date
	NoticeDays   int32
	SpecialTerms string
	Signed       civil.Date
	CreatedAt    time.Time
}

// Parse reads a contract that is signed today or was before, and computes what follows from it: the monthly recurring
// revenue and, where it is not given, the day of renewal. It names everything that is missing, and everything that is
// wrong, by path below `contract`.
func Parse(p *handoffv1.ContractSummary, today civil.Date) (c Contract, missing []string, wrong []problem.Violation) {
	c = Contract{TermMonths: p.GetTermMonths(), NoticeDays: p.GetNoticeDays(), SpecialTerms: p.GetSpecialTerms()}
	bad := func(path, en, ja string) { wrong = append(wrong, problem.Field("contract."+path, en).Ja(ja)) }

	if len(p.GetLines()) == 0 {
		missing = append(missing, "contract.lines")
	} else if mrr, err := money.MRR(p.GetLines()); err != nil {
		v := lineViolation(err)
		bad(v.Field, v.Description, v.DescriptionJa)
	} else {
		c.MRR = mrr
		for i, l := range p.GetLines() {
			parsed := line(l)
			c.Lines = append(c.Lines, parsed)
			if parsed.UnitPrice < 0 {
				bad(fmt.Sprintf("lines[%d].unit_price", i), "must not be negative", "0 以上の金額を入力してください。")
			}
			if parsed.Discount < 0 {
				bad(fmt.Sprintf("lines[%d].discount", i), "must not be negative", "0 以上の金額を入力してください。")
			}
		}
		if sent := p.GetMrr(); sent != nil {
			if got, err := money.FromProto(sent); err != nil || got != mrr {
				bad("mrr", "does not follow from the lines, which make "+mrr.String()+": send that, or nothing",
					"明細から計算した月額は "+mrr.String()+" です。この値にするか、未指定にしてください。")
			}
		}
	}
	if c.TermMonths == 0 {
		missing = append(missing, "contract.term_months")
	}
	var ok bool
	noDate := func(path string) {
		bad(path, "is no full calendar date", "年月日を正しく指定してください。")
	}
	if c.Start, ok = civil.FromProto(p.GetStartDate()); !ok {
		noDate("start_date")
	} else if c.Start == "" {
		missing = append(missing, "contract.start_date")
	}
	if c.Signed, ok = civil.FromProto(p.GetSignedDate()); !ok {
		noDate("signed_date")
	} else if c.Signed == "" {
		missing = append(missing, "contract.signed_date")
	} else if c.Signed > today {
		bad("signed_date", "lies in the future: a contract is won when it is signed", "未来の日付です。契約締結後に受注としてください。")
	}
	if c.Renewal, ok = civil.FromProto(p.GetRenewalDate()); !ok {
		noDate("renewal_date")
	} else if c.Renewal == "" {
		c.Renewal = AddMonths(c.Start, int(c.TermMonths))
	} else if c.Start != "" && c.Renewal <= c.Start {
		bad("renewal_date", "is not after the start date", "開始日より後の日付を指定してください。")
	}
	return c, missing, wrong
}

func lineViolation(err error) problem.Violation {
	ja := "金額が正しくありません。"
	switch {
	case errors.Is(err, money.ErrMixed):
		ja = "すべての明細を同じ通貨にしてください。"
	case errors.Is(err, money.ErrDecimals):
		ja = "この通貨では使えない小数です。"
	case errors.Is(err, money.ErrCurrency):
		ja = "通貨コード（ISO 4217）が正しくありません。"
	case errors.Is(err, money.ErrNegative):
		ja = "値引きが価格を超えています。"
	}
	var at *money.LineError
	if !errors.As(err, &at) {
		return problem.Field("lines", err.Error()).Ja(ja)
	}
	return problem.Field(fmt.Sprintf("lines[%d].%s", at.Index, at.Field), at.Err.Error()).Ja(ja)
}

// line takes amounts that money.MRR has accepted.
func line(l *handoffv1.ContractLine) Line {
	price, _ := money.FromProto(l.GetUnitPrice())
	discount, _ := money.FromProto(l.GetDiscount())
	return Line{
		Product: l.GetProduct(), Quantity: l.GetQuantity(), UnitPrice: price.Minor, Discount: discount.Minor,
		IntervalMonths: l.GetIntervalMonths(),
	}
}

// AddMonths is the same day n months later, or the last day of that month when it is shorter. No date stays no date.
func AddMonths(d civil.Date, n int) civil.Date {
	p := d.Proto()
	if p == nil {
		return ""
	}
	first := time.Date(int(p.GetYear()), time.Month(int(p.GetMonth())+n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return civil.Date(first.AddDate(0, 0, min(int(p.GetDay()), last)-1).Format("2006-01-02"))
}

// Proto is the contract as the handover carries it.
func (c Contract) Proto() *handoffv1.ContractSummary {
	p := &handoffv1.ContractSummary{
		Mrr: c.MRR.Proto(), TermMonths: c.TermMonths, StartDate: c.Start.Proto(), RenewalDate: c.Renewal.Proto(),
		NoticeDays: c.NoticeDays, SpecialTerms: c.SpecialTerms, SignedDate: c.Signed.Proto(),
	}
	for _, l := range c.Lines {
		line := &handoffv1.ContractLine{
			Product: l.Product, Quantity: l.Quantity, IntervalMonths: l.IntervalMonths,
			UnitPrice: money.Amount{Minor: l.UnitPrice, Currency: c.MRR.Currency}.Proto(),
		}
		if l.Discount != 0 {
			line.Discount = money.Amount{Minor: l.Discount, Currency: c.MRR.Currency}.Proto()
		}
		p.Lines = append(p.Lines, line)
	}
	return p
}
