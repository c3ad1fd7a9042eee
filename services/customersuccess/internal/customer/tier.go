package customer

// Tier of a customer: how much it means to us.
type Tier string

// The tiers.
const (
	Tier1 Tier = "TIER_1"
	Tier2 Tier = "TIER_2"
	Tier3 Tier = "TIER_3"
)

// Touch is how a customer is looked after.
type Touch string

// The touch models.
const (
	High Touch = "HIGH"
	Low  Touch = "LOW"
	Tech Touch = "TECH"
)

// Team is which team of customer success owns a customer.
type Team string

// The teams that own customers.
const (
	Sales     Team = "SALES"
	Marketing Team = "MARKETING"
)

// Decision is what the tier rule said, and why.
type Decision struct {
	Tier Tier
	// Rule is the code of the rule that decided.
	Rule string
}

// rule decides for a tier when the MRR or the number of employees is large enough.
type rule struct {
	code   string
	tier   Tier
	mrr    int64 // yen a month; 0 means the rule does not look at it
	people int32 // employees; 0 means the rule does not look at them
	ja, en string
}

// rules in the order in which they are asked; the first that fits decides.
var rules = []rule{
	{code: "mrr_500000", tier: Tier1, mrr: 500_000, ja: "MRR 50万円以上", en: "MRR of 500,000 JPY or more"},
	{code: "employees_1000", tier: Tier1, people: 1000, ja: "従業員 1,000 名以上", en: "1,000 employees or more"},
	{code: "mrr_100000", tier: Tier2, mrr: 100_000, ja: "MRR 10万円以上", en: "MRR of 100,000 JPY or more"},
	{code: "employees_100", tier: Tier2, people: 100, ja: "従業員 100 名以上", en: "100 employees or more"},
	{code: "default", tier: Tier3, ja: "その他", en: "all others"},
}

// Decide is the tier by rule. mrr is in minor units of the currency; rules on MRR are in yen and pass over other currencies.
func Decide(mrr int64, currency string, employees int32) Decision {
	for _, r := range rules {
		switch {
		case r.mrr > 0 && (currency != "JPY" || mrr < r.mrr), r.people > 0 && employees < r.people:
			continue
		}
		return Decision{Tier: r.tier, Rule: r.code}
	}
	return Decision{Tier: Tier3, Rule: "default"}
}

// label is what people read about a rule.
func label(code string) (ja, en string) {
	for _, r := range rules {
		if r.code == code {
			return r.ja, r.en
		}
	}
	return code, code
}

// TouchOf is how customers of a tier are looked after.
func TouchOf(t Tier) Touch {
	switch t {
	case Tier1:
		return High
	case Tier2:
		return Low
	default:
		return Tech
	}
}

// TeamOf is which team owns customers of a tier: customer sales tier 1 and the promising of tier 2, customer marketing the
// others.
func TeamOf(t Tier, promising bool) Team {
	if t == Tier1 || t == Tier2 && promising {
		return Sales
	}
	return Marketing
}
