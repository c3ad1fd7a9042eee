package contract

import (
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/date"
	moneypb "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

const today civil.Date = "2026-04-06"

func yen(n int64) *moneypb.Money { return &moneypb.Money{CurrencyCode: "JPY", Units: n} }

func good() *handoffv1.ContractSummary {
	return &handoffv1.ContractSummary{
		Lines: []*handoffv1.ContractLine{
			{Product: "basic", Quantity: 10, UnitPrice: yen(12_000), IntervalMonths: 1, Discount: yen(10_000)},
			{Product: "option", Quantity: 1, UnitPrice: yen(240_000), IntervalMonths: 12},
			{Product: "setup", Quantity: 1, UnitPrice: yen(300_000)},
		},
		TermMonths: 12, StartDate: &date.Date{Year: 2026, Month: 5, Day: 31}, SignedDate: &date.Date{Year: 2026, Month: 4, Day: 6},
		NoticeDays: 60,
	}
}

func TestParse(t *testing.T) {
	c, missing, wrong := Parse(good(), today)
	if len(missing)+len(wrong) > 0 {
		t.Fatal(missing, wrong)
	}
	if want := (money.Amount{Minor: 130_000, Currency: "JPY"}); c.MRR != want || c.Renewal != "2027-05-31" || len(c.Lines) != 3 {
		t.Errorf("%+v", c)
	}
	want := good()
	want.Mrr, want.RenewalDate = yen(130_000), &date.Date{Year: 2027, Month: 5, Day: 31}
	if diff := cmp.Diff(want, c.Proto(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestParseNamesAllThatIsMissing(t *testing.T) {
	for _, p := range []*handoffv1.ContractSummary{nil, {}} {
		_, missing, wrong := Parse(p, today)
		want := []string{"contract.lines", "contract.term_months", "contract.start_date", "contract.signed_date"}
		if !slices.Equal(missing, want) || len(wrong) > 0 {
			t.Error(missing, wrong)
		}
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*handoffv1.ContractSummary)
		field  string
	}{
		"mixed currencies":     {func(p *handoffv1.ContractSummary) { p.Lines[1].UnitPrice.CurrencyCode = "USD" }, "contract.lines[1].unit_price"},
		"mixed with one-off":   {func(p *handoffv1.ContractSummary) { p.Lines[2].UnitPrice.CurrencyCode = "USD" }, "contract.lines[2].unit_price"},
		"mixed with discount":  {func(p *handoffv1.ContractSummary) { p.Lines[0].Discount.CurrencyCode = "USD" }, "contract.lines[0].discount"},
		"half a yen":           {func(p *handoffv1.ContractSummary) { p.Lines[0].UnitPrice.Nanos = 5e8 }, "contract.lines[0].unit_price"},
		"no currency":          {func(p *handoffv1.ContractSummary) { p.Lines[0].UnitPrice.CurrencyCode = "" }, "contract.lines[0].unit_price"},
		"negative price":       {func(p *handoffv1.ContractSummary) { p.Lines[1].UnitPrice.Units = -1; p.Lines[1].Discount = yen(-2) }, "contract.lines[1].unit_price"},
		"negative discount":    {func(p *handoffv1.ContractSummary) { p.Lines[0].Discount.Units = -1 }, "contract.lines[0].discount"},
		"discount over price":  {func(p *handoffv1.ContractSummary) { p.Lines[0].Discount.Units = 120_001 }, "contract.lines[0].discount"},
		"mrr of the caller":    {func(p *handoffv1.ContractSummary) { p.Mrr = yen(130_001) }, "contract.mrr"},
		"mrr in dollars":       {func(p *handoffv1.ContractSummary) { p.Mrr = &moneypb.Money{CurrencyCode: "USD", Units: 1300} }, "contract.mrr"},
		"no such start":        {func(p *handoffv1.ContractSummary) { p.StartDate.Day = 32 }, "contract.start_date"},
		"start without a year": {func(p *handoffv1.ContractSummary) { p.StartDate.Year = 0 }, "contract.start_date"},
		"no such signed date":  {func(p *handoffv1.ContractSummary) { p.SignedDate.Month = 13 }, "contract.signed_date"},
		"signed tomorrow":      {func(p *handoffv1.ContractSummary) { p.SignedDate.Day = 7 }, "contract.signed_date"},
		"renewal at the start": {func(p *handoffv1.ContractSummary) { p.RenewalDate = p.GetStartDate() }, "contract.renewal_date"},
		"no such renewal":      {func(p *handoffv1.ContractSummary) { p.RenewalDate = &date.Date{Year: 2027} }, "contract.renewal_date"},
	} {
		t.Run(name, func(t *testing.T) {
			p := good()
			tt.change(p)
			_, missing, wrong := Parse(p, today)
			if len(missing) > 0 || !slices.ContainsFunc(wrong, func(v problem.Violation) bool { return v.Field == tt.field }) {
				t.Error(missing, wrong)
			}
			for _, v := range wrong {
				if v.DescriptionJa == "" || v.Description == "" {
					t.Errorf("no text: %+v", v)
				}
			}
		})
	}
}

func TestSentMRRMayAgree(t *testing.T) {
	p := good()
	p.Mrr = yen(130_000)
	if _, _, wrong := Parse(p, today); len(wrong) > 0 {
		t.Error(wrong)
	}
}

func TestAddMonths(t *testing.T) {
	for _, tt := range []struct {
		from civil.Date
		n    int
		want civil.Date
	}{
		{"2026-01-31", 1, "2026-02-28"},
		{"2028-01-31", 1, "2028-02-29"},
		{"2026-04-01", 12, "2027-04-01"},
		{"2026-12-15", 1, "2027-01-15"},
		{"2028-02-29", 12, "2029-02-28"},
		{"", 3, ""},
		{"2026-04-01", 0, "2026-04-01"},
	} {
		if got := AddMonths(tt.from, tt.n); got != tt.want {
			t.Errorf("%s + %d months = %s, want %s", tt.from, tt.n, got, tt.want)
		}
	}
}

// drawn are lines of one currency that are all in order.
func drawn(t *rapid.T, code string) []*handoffv1.ContractLine {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *handoffv1.ContractLine {
		price := rapid.Int64Range(0, 1_000_000_000).Draw(t, "price")
		quantity := rapid.Int32Range(1, 1000).Draw(t, "quantity")
		l := &handoffv1.ContractLine{
			Product: "p", Quantity: quantity, UnitPrice: money.Amount{Minor: price, Currency: code}.Proto(),
			IntervalMonths: rapid.SampledFrom([]int32{0, 1, 3, 6, 7, 12, 36}).Draw(t, "interval"),
		}
		if rapid.Bool().Draw(t, "discounted") {
			l.Discount = money.Amount{Minor: rapid.Int64Range(0, price*int64(quantity)).Draw(t, "discount"), Currency: code}.Proto()
		}
		return l
	}), 1, 10).Draw(t, "lines")
}

// exact is Σ (price × quantity − discount) ÷ interval in minor units, not rounded.
func exact(lines []Line) *big.Rat {
	sum := new(big.Rat)
	for _, l := range lines {
		if l.IntervalMonths > 0 {
			sum.Add(sum, big.NewRat(l.UnitPrice*int64(l.Quantity)-l.Discount, int64(l.IntervalMonths)))
		}
	}
	return sum
}

func TestMRRProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SampledFrom([]string{"JPY", "USD", "KWD"}).Draw(t, "currency")
		p := good()
		p.Lines = drawn(t, code)
		c, missing, wrong := Parse(p, today)
		if len(missing)+len(wrong) > 0 {
			t.Fatal(missing, wrong)
		}
		// Rounded once and half up: −½ < MRR − Σ ≤ ½.
		off := new(big.Rat).Sub(new(big.Rat).SetInt64(c.MRR.Minor), exact(c.Lines))
		if off.Cmp(big.NewRat(-1, 2)) <= 0 || off.Cmp(big.NewRat(1, 2)) > 0 {
			t.Fatalf("%s is off by %s", c.MRR, off)
		}
		if c.MRR.Currency != code {
			t.Fatalf("currency %s", c.MRR.Currency)
		}
		// The order of the lines does not matter, and what was parsed is what is shown.
		slices.Reverse(p.Lines)
		if again, _, _ := Parse(p, today); again.MRR != c.MRR {
			t.Fatalf("%s backwards %s", c.MRR, again.MRR)
		}
		back, missing, wrong := Parse(c.Proto(), today)
		if len(missing)+len(wrong) > 0 || back.MRR != c.MRR || !slices.Equal(back.Lines, c.Lines) {
			t.Fatal(missing, wrong, back)
		}
		// A line of another currency is refused, wherever it stands and even when it is one-off.
		other := proto.Clone(p.GetLines()[0]).(*handoffv1.ContractLine)
		other.UnitPrice.CurrencyCode, other.UnitPrice.Nanos, other.Discount, other.IntervalMonths = "EUR", 0, nil, 0
		p.Lines = slices.Insert(p.Lines, rapid.IntRange(0, len(p.Lines)).Draw(t, "place"), other)
		if _, _, wrong := Parse(p, today); len(wrong) == 0 {
			t.Fatal("mixed currencies went through")
		}
	})
}
