package handoff

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

// required is what each kind must carry, as the contract says beside the fields.
var required = map[handoffv1.Kind][]string{
	handoffv1.Kind_KIND_MQL: {
		"person.name", "person.mail|person.phone", "person.title",
		"company.name", "company.domain", "company.industry", "company.employees",
		"first_touch.channel", "score", "qualifying_action",
	},
	handoffv1.Kind_KIND_MEETING: {
		"person.name", "person.mail|person.phone", "company.name", "answers.issue",
		"starts_at", "ends_at", "meeting_type", "buying_stage",
	},
	handoffv1.Kind_KIND_CLOSED_WON: {
		"company.name", "company.industry", "company.employees", "contact.name", "contact.mail|contact.phone",
		"purpose", "issues", "expectations", "decision_maker", "decision_process", "agreements",
		"contract.lines", "contract.mrr", "contract.term_months", "contract.start_date", "contract.signed_date",
		"success_criteria", "success_criteria[].measure", "billing_contact.mail",
	},
	handoffv1.Kind_KIND_CSQL: {
		"customer_id", "company.name", "expansion_type", "product", "expected_mrr", "usage",
		"stated_need", "stated_by", "customer_benefit",
	},
}

// floor is what the receiver cannot begin without.
var floor = map[handoffv1.Kind][]string{
	handoffv1.Kind_KIND_MQL: {
		"person.name", "person.mail|person.phone", "company.name", "first_touch.channel", "score", "qualifying_action",
	},
	handoffv1.Kind_KIND_MEETING: {
		"person.name", "company.name", "answers.issue", "starts_at", "ends_at", "meeting_type",
	},
	handoffv1.Kind_KIND_CLOSED_WON: {
		"company.name", "contact.name", "contract.lines", "contract.mrr", "contract.term_months", "contract.start_date",
	},
	handoffv1.Kind_KIND_CSQL: {
		"customer_id", "company.name", "expansion_type", "product", "stated_need",
	},
}

// Required are the paths of the fields that a kind must carry by the contract: they make up its completeness. `a|b` means
// one of both, and is reported as `a`; `a[].b` means that every element of a has b.
func Required(kind handoffv1.Kind) []string { return required[kind] }

// Floor are the paths without which an offer of the kind is refused, a part of Required.
func Floor(kind handoffv1.Kind) []string { return floor[kind] }

// payloadKind is the kind of what a payload holds; unspecified when it is empty.
func payloadKind(p *handoffv1.Payload) handoffv1.Kind {
	switch p.GetKind().(type) {
	case *handoffv1.Payload_Mql:
		return handoffv1.Kind_KIND_MQL
	case *handoffv1.Payload_Meeting:
		return handoffv1.Kind_KIND_MEETING
	case *handoffv1.Payload_ClosedWon:
		return handoffv1.Kind_KIND_CLOSED_WON
	case *handoffv1.Payload_Csql:
		return handoffv1.Kind_KIND_CSQL
	}
	return handoffv1.Kind_KIND_UNSPECIFIED
}

// missing are those of the paths that the payload does not fill.
func missing(p *handoffv1.Payload, paths []string) []string {
	var out []string
	body, ok := inner(p)
	for _, path := range paths {
		alternatives := strings.Split(path, "|")
		filled := false
		for _, a := range alternatives {
			filled = filled || ok && has(body, strings.Split(a, "."))
		}
		if !filled {
			out = append(out, alternatives[0])
		}
	}
	return out
}

// inner is the payload of the kind.
func inner(p *handoffv1.Payload) (protoreflect.Message, bool) {
	m := p.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if field == nil {
		return nil, false
	}
	return m.Get(field).Message(), true
}

func has(m protoreflect.Message, path []string) bool {
	name, everyOne := strings.CutSuffix(path[0], "[]")
	field := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	if field == nil || !m.Has(field) {
		return everyOne && field != nil // an empty list has no element that lacks anything
	}
	value := m.Get(field)
	switch {
	case everyOne:
		for i := range value.List().Len() {
			if !has(value.List().Get(i).Message(), path[1:]) {
				return false
			}
		}
		return true
	case len(path) > 1:
		return has(value.Message(), path[1:])
	case field.IsList():
		return true
	case field.Kind() == protoreflect.StringKind:
		return strings.TrimSpace(value.String()) != ""
	case field.Kind() == protoreflect.MessageKind:
		if n, ok := value.Message().Interface().(*typev1.PersonName); ok {
			return strings.TrimSpace(n.GetFull()+n.GetFamily()+n.GetGiven()+n.GetFamilyKana()+n.GetGivenKana()) != ""
		}
	}
	return true
}

// completenessOf measures a payload by required paths.
func completenessOf(p *handoffv1.Payload, paths []string) *handoffv1.Completeness {
	gone := missing(p, paths)
	score := 100
	if len(paths) > 0 {
		score = (len(paths) - len(gone)) * 100 / len(paths)
	}
	return &handoffv1.Completeness{Score: int32(score), Missing: gone}
}
