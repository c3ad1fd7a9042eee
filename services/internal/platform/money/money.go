// Package money has amounts as tables hold them, whole minor units with a currency, and the monthly recurring revenue of
// contract lines, which field sales and customer success must compute alike.
package money

import (
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/text/currency"
	"google.golang.org/genproto/googleapis/type/money"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

// What can be wrong with an amount. The texts may be shown to clients.
var (
	// ErrCurrency: not the three upper-case letters of a currency of ISO 4217.
	ErrCurrency = errors.New("not a currency of ISO 4217")
	// ErrDecimals: more decimals than the currency has, for instance half a yen.
	ErrDecimals = errors.New("more decimals than the currency has")
	// ErrRange: larger than 10^15 minor units, or units and nanos of different signs.
	ErrRange = errors.New("out of range")
	// ErrMixed: amounts of different currencies.
	ErrMixed = errors.New("amounts of different currencies")
	// ErrNegative: a line whose discount is larger than its price.
	ErrNegative = errors.New("the discount is larger than the price")
)

const limit = 1_000_000_000_000_000

// Amount is an amount of money: whole minor units of the currency (yen, cents). The zero value is no amount.
type Amount struct {
	Minor    int64
	Currency string
}

// Decimals is how many decimals the currency has: 0 for JPY, 2 for USD.
func Decimals(code string) (int, error) {
	unit, err := currency.ParseISO(code)
	if err != nil || unit.String() != code {
		return 0, ErrCurrency
	}
	scale, _ := currency.Standard.Rounding(unit)
	return scale, nil
}

// FromProto reads an amount. nil is the zero Amount.
func FromProto(m *money.Money) (Amount, error) {
	if m == nil {
		return Amount{}, nil
	}
	scale, err := Decimals(m.GetCurrencyCode())
	if err != nil {
		return Amount{}, err
	}
	units, nanos := m.GetUnits(), int64(m.GetNanos())
	factor, step := pow10(scale), pow10(9-scale)
	switch {
	case units > limit/factor || units < -limit/factor, nanos <= -1e9 || nanos >= 1e9,
		units > 0 && nanos < 0, units < 0 && nanos > 0:
		return Amount{}, ErrRange
	case nanos%step != 0:
		return Amount{}, ErrDecimals
	}
	return Amount{Minor: units*factor + nanos/step, Currency: m.GetCurrencyCode()}, nil
}

// Proto is the amount as the contract writes it; nil without a currency, or with one that does not exist.
func (a Amount) Proto() *money.Money {
	scale, err := Decimals(a.Currency)
	if err != nil {
		return nil
	}
	factor, step := pow10(scale), pow10(9-scale)
	return &money.Money{CurrencyCode: a.Currency, Units: a.Minor / factor, Nanos: int32(a.Minor % factor * step)}
}

// String is the amount for people and logs, for instance `130000 JPY` or `12.50 USD`.
func (a Amount) String() string {
	scale, err := Decimals(a.Currency)
	if err != nil {
		return fmt.Sprintf("%d %s", a.Minor, a.Currency)
	}
	return new(big.Rat).SetFrac64(a.Minor, pow10(scale)).FloatString(scale) + " " + a.Currency
}

// LineError says which contract line is wrong.
type LineError struct {
	// Index counts from 0; Field is `unit_price` or `discount`.
	Index int
	Field string
	Err   error
}

func (e *LineError) Error() string { return fmt.Sprintf("lines[%d].%s: %v", e.Index, e.Field, e.Err) }

// Unwrap is the cause, one of this package's errors.
func (e *LineError) Unwrap() error { return e.Err }

// MRR is the monthly recurring revenue of contract lines: Σ (unit price × quantity − discount) ÷ interval months, lines of
// interval 0 (one-off) left out, rounded once at the end, half up, to the minor unit. All lines, one-off ones too, must be
// of one currency. Without lines it is the zero Amount. Errors are *LineError.
func MRR(lines []*handoffv1.ContractLine) (Amount, error) {
	sum := new(big.Rat)
	code := ""
	for i, line := range lines {
		price, err := FromProto(line.GetUnitPrice())
		if err == nil && price.Currency == "" {
			err = ErrCurrency
		}
		if err == nil && code != "" && price.Currency != code {
			err = ErrMixed
		}
		if err != nil {
			return Amount{}, &LineError{Index: i, Field: "unit_price", Err: err}
		}
		code = price.Currency
		discount, err := FromProto(line.GetDiscount())
		if err == nil && discount.Currency != "" && discount.Currency != code {
			err = ErrMixed
		}
		net := new(big.Int).Mul(big.NewInt(price.Minor), big.NewInt(int64(line.GetQuantity())))
		net.Sub(net, big.NewInt(discount.Minor))
		if err == nil && net.Sign() < 0 {
			err = ErrNegative
		}
		if err != nil {
			return Amount{}, &LineError{Index: i, Field: "discount", Err: err}
		}
		if months := line.GetIntervalMonths(); months > 0 {
			sum.Add(sum, new(big.Rat).SetFrac(net, big.NewInt(int64(months))))
		}
	}
	minor := halfUp(sum)
	if !minor.IsInt64() || minor.Int64() > limit {
		return Amount{}, &LineError{Index: len(lines) - 1, Field: "unit_price", Err: ErrRange}
	}
	return Amount{Minor: minor.Int64(), Currency: code}, nil
}

// halfUp is floor(r + ½).
func halfUp(r *big.Rat) *big.Int {
	shifted := new(big.Rat).Add(r, big.NewRat(1, 2))
	return new(big.Int).Div(shifted.Num(), shifted.Denom()) // Div rounds down, as denominators are positive
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}
