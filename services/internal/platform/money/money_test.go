package money_test

import (
	"errors"
	"testing"

	pb "google.golang.org/genproto/googleapis/type/money"
	"pgregory.net/rapid"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
)

func yen(n int64) *pb.Money { return money.Amount{Minor: n, Currency: "JPY"}.Proto() }

func TestFromProto(t *testing.T) {
	for name, tt := range map[string]struct {
		in    *pb.Money
		minor int64
		err   error
		text  string
	}{
		"yen":                 {&pb.Money{CurrencyCode: "JPY", Units: 130000}, 130000, nil, "130000 JPY"},
		"dollars":             {&pb.Money{CurrencyCode: "USD", Units: 12, Nanos: 500000000}, 1250, nil, "12.50 USD"},
		"negative":            {&pb.Money{CurrencyCode: "USD", Units: -12, Nanos: -10000000}, -1201, nil, "-12.01 USD"},
		"half a yen":          {&pb.Money{CurrencyCode: "JPY", Nanos: 500000000}, 0, money.ErrDecimals, ""},
		"tenth of a cent":     {&pb.Money{CurrencyCode: "USD", Nanos: 1000000}, 0, money.ErrDecimals, ""},
		"no currency":         {&pb.Money{Units: 1}, 0, money.ErrCurrency, ""},
		"lower case":          {&pb.Money{CurrencyCode: "jpy", Units: 1}, 0, money.ErrCurrency, ""},
		"unknown":             {&pb.Money{CurrencyCode: "QQQ", Units: 1}, 0, money.ErrCurrency, ""},
		"signs differ":        {&pb.Money{CurrencyCode: "USD", Units: 1, Nanos: -10000000}, 0, money.ErrRange, ""},
		"too large":           {&pb.Money{CurrencyCode: "JPY", Units: 1 << 60}, 0, money.ErrRange, ""},
		"smallest of 64 bits": {&pb.Money{CurrencyCode: "JPY", Units: -1 << 63}, 0, money.ErrRange, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := money.FromProto(tt.in)
			if !errors.Is(err, tt.err) || got.Minor != tt.minor {
				t.Fatalf("got %v, %v", got, err)
			}
			if err == nil && got.String() != tt.text {
				t.Fatalf("text %s", got)
			}
		})
	}
	if got, err := money.FromProto(nil); err != nil || got != (money.Amount{}) || got.Proto() != nil {
		t.Errorf("nil: %v, %v", got, err)
	}
}

func TestProtoRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := money.Amount{
			Minor:    rapid.Int64Range(-1e15, 1e15).Draw(t, "minor"),
			Currency: rapid.SampledFrom([]string{"JPY", "USD", "EUR", "KWD"}).Draw(t, "currency"),
		}
		back, err := money.FromProto(a.Proto())
		if err != nil || back != a {
			t.Fatalf("%v came back as %v, %v", a, back, err)
		}
	})
}

func TestMRR(t *testing.T) {
	monthly := &handoffv1.ContractLine{Product: "basic", Quantity: 10, UnitPrice: yen(1000), IntervalMonths: 1, Discount: yen(500)}
	yearly := &handoffv1.ContractLine{Product: "pro", Quantity: 1, UnitPrice: yen(100), IntervalMonths: 12}
	once := &handoffv1.ContractLine{Product: "setup", Quantity: 1, UnitPrice: yen(300000)}
	for name, tt := range map[string]struct {
		lines []*handoffv1.ContractLine
		want  int64
	}{
		"monthly less discount":    {[]*handoffv1.ContractLine{monthly}, 9500},
		"a year, rounded":          {[]*handoffv1.ContractLine{yearly}, 8},
		"rounded once, at the end": {[]*handoffv1.ContractLine{yearly, yearly, yearly}, 25},
		"half goes up":             {[]*handoffv1.ContractLine{{Quantity: 1, UnitPrice: yen(6), IntervalMonths: 12}}, 1},
		"one-off left out":         {[]*handoffv1.ContractLine{monthly, once}, 9500},
		"only one-off":             {[]*handoffv1.ContractLine{once}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := money.MRR(tt.lines)
			if err != nil || got != (money.Amount{Minor: tt.want, Currency: "JPY"}) {
				t.Fatalf("got %v, %v", got, err)
			}
		})
	}
}

func TestMRRRefuses(t *testing.T) {
	usd := &pb.Money{CurrencyCode: "USD", Units: 1}
	for name, tt := range map[string]struct {
		lines []*handoffv1.ContractLine
		want  error
		field string
	}{
		"two currencies": {[]*handoffv1.ContractLine{
			{Quantity: 1, UnitPrice: yen(1), IntervalMonths: 1},
			{Quantity: 1, UnitPrice: usd, IntervalMonths: 1},
		}, money.ErrMixed, "unit_price"},
		"discount of another": {[]*handoffv1.ContractLine{{Quantity: 1, UnitPrice: yen(1), Discount: usd}}, money.ErrMixed, "discount"},
		"discount too large":  {[]*handoffv1.ContractLine{{Quantity: 2, UnitPrice: yen(1), Discount: yen(3)}}, money.ErrNegative, "discount"},
		"no price":            {[]*handoffv1.ContractLine{{Quantity: 2}}, money.ErrCurrency, "unit_price"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := money.MRR(tt.lines)
			var line *money.LineError
			if !errors.Is(err, tt.want) || !errors.As(err, &line) || line.Field != tt.field {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// What a month costs is what a year costs, by the twelfth.
func TestMRRDoesNotDependOnTheInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.Int64Range(0, 1e9).Draw(t, "price")
		quantity := rapid.Int32Range(1, 1000).Draw(t, "quantity")
		months := rapid.Int32Range(1, 60).Draw(t, "months")
		one, err1 := money.MRR([]*handoffv1.ContractLine{{Quantity: quantity, UnitPrice: yen(price), IntervalMonths: 1}})
		many, err2 := money.MRR([]*handoffv1.ContractLine{{Quantity: quantity, UnitPrice: yen(price * int64(months)), IntervalMonths: months}})
		if err1 != nil || err2 != nil || one != many {
			t.Fatalf("%v and %v (%v, %v)", one, many, err1, err2)
		}
	})
}
