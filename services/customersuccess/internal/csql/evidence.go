package csql

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

const (
	// green is above which score a customer is well; domain's default.
	green = 75
	// goodUsage is the level that qualifies.
	goodUsage = "GOOD"
	// freshDays is how many calendar days evidence counts.
	freshDays = 90
)

// Stated is who of us said something, and on what day it was looked at.
type Stated struct {
	Evidence string       `json:"evidence,omitempty"`
	Date     civil.Date   `json:"date,omitempty"`
	By       access.Actor `json:"by,omitzero"`
}

// Health is how the customer is: 0 to 100.
type Health struct {
	Score int32 `json:"score"`
	Stated
}

// Usage is how the customer uses what it has: LOW, FAIR or GOOD.
type Usage struct {
	Level string `json:"level,omitempty"`
	Stated
}

// Need is what somebody of the customer said it needs.
type Need struct {
	Statement string       `json:"statement,omitempty"`
	By        party.Person `json:"by,omitzero"`
	Date      civil.Date   `json:"date,omitempty"`
	Evidence  string       `json:"evidence,omitempty"`
}

// Evidence is why the expansion should be sold. Parts that nobody has stated are nil.
type Evidence struct {
	Health   *Health  `json:"health,omitempty"`
	Usage    *Usage   `json:"usage,omitempty"`
	Need     *Need    `json:"need,omitempty"`
	Benefit  string   `json:"benefit,omitempty"`
	Risks    []string `json:"risks,omitempty"`
	Cautions string   `json:"cautions,omitempty"`
}

// Content is what people say of an expansion.
type Content struct {
	Type     Type
	Product  string
	Expected money.Amount // a month; zero while not known
	Evidence Evidence
}

func (c Content) equal(other Content) bool { return reflect.DeepEqual(c, other) }

// Unmet names what the expansion lacks to be qualified, in the order of the form.
func (c Content) Unmet(now time.Time) []problem.Violation {
	var lacks []problem.Violation
	need := func(met bool, field, en, ja string) {
		if !met {
			lacks = append(lacks, problem.Field(field, en).Ja(ja))
		}
	}
	oldest := civil.DateOf(now).AddDays(-freshDays)
	fresh := func(day civil.Date, field string) {
		need(day >= oldest && day != "", field, "must be a day within the last 90", "90 日以内の日付が必要です。")
	}
	written := func(text, field string) {
		need(strings.TrimSpace(text) != "", field, "is needed to qualify", "CSQL の要件として必要です。")
	}
	e := c.Evidence
	need(c.Expected.Minor > 0, "expected_mrr", "is needed to qualify", "見込み MRR を入力してください。")
	if h := e.Health; h == nil {
		need(false, "health", "say how the customer is, with evidence", "ヘルスとその根拠を入力してください。")
	} else {
		need(h.Score > green, "health.score", "must be green: above 75", "ヘルスが良好（75 超）である必要があります。")
		written(h.Evidence, "health.evidence")
		fresh(h.Date, "health.observed_date")
	}
	if u := e.Usage; u == nil {
		need(false, "usage", "say how the customer uses the product, with evidence", "利用状況とその根拠を入力してください。")
	} else {
		need(u.Level == goodUsage, "usage.level", "must be GOOD", "利用状況が良好である必要があります。")
		written(u.Evidence, "usage.evidence")
		fresh(u.Date, "usage.observed_date")
	}
	if n := e.Need; n == nil {
		need(false, "need", "say what the customer needs, who said it, and when", "顧客が述べたニーズ（誰が・いつ・何を）を入力してください。")
	} else {
		written(n.Statement, "need.statement")
		written(n.By.Name(), "need.stated_by.name")
		fresh(n.Date, "need.stated_date")
		written(n.Evidence, "need.evidence")
	}
	written(e.Benefit, "customer_benefit")
	need(len(e.Risks) == 0, "open_risks", "no risk may be open: "+strings.Join(e.Risks, "; "), "未解決のリスクがあります。解決してから進めてください。")
	return lacks
}

// Customer is what matters of the customer when something is to be sold to it.
type Customer struct {
	Churned bool
	// Flagged: its handover went wrong, and nobody has looked at it.
	Flagged bool
	// Cancelling: a subscription ends on a day to come.
	Cancelling bool
}

// Unmet names what keeps the customer from being sold to.
func (c Customer) Unmet() []problem.Violation {
	var lacks []problem.Violation
	if c.Churned {
		lacks = append(lacks, problem.Field("customer.state", "the customer has churned").Ja("解約済みの顧客です。"))
	}
	if c.Flagged {
		lacks = append(lacks, problem.Field("customer.flagged", "the customer is flagged: look at it, and clear its flags").
			Ja("要対応フラグが立っています。対応してから解除してください。"))
	}
	if c.Cancelling {
		lacks = append(lacks, problem.Field("customer.subscriptions", "a subscription is being cancelled").
			Ja("解約予定の契約があります。"))
	}
	return lacks
}

// notMet says which conditions of a command are missing, with what to do about each.
func notMet(c Command, lacks []problem.Violation) error {
	err := problem.GuardNotMet(string(c), paths(lacks)...)
	err.Violations = lacks
	return err
}

func paths(lacks []problem.Violation) []string {
	out := make([]string, len(lacks))
	for i, v := range lacks {
		out[i] = v.Field
	}
	return slices.Clip(out)
}
