// Package exclusion is the aggregate of exclusion rules: whom marketing does not want as a lead. Screening itself belongs to
// leads; this package keeps the rules.
package exclusion

import (
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Rule excludes the people of one web domain and those below it.
type Rule struct {
	ID        string
	Kind      string
	Domain    string
	Note      string
	CreatedAt time.Time
	CreatedBy access.Actor
}

// NewRule makes a rule; domain may be a web or mail address, which is cut down.
func NewRule(kind, domain, note string, by access.Actor, now time.Time) (Rule, error) {
	normal, ok := party.NormalizeDomain(domain)
	if !ok {
		return Rule{}, problem.Invalid(problem.Field("domain", "is no domain name: write for instance example.co.jp").
			Ja("ドメイン名の形式ではありません。例: example.co.jp"))
	}
	return Rule{ID: party.NewID(), Kind: kind, Domain: normal, Note: note, CreatedAt: now, CreatedBy: by}, nil
}
