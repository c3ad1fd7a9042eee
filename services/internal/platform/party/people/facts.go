package people

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
)

// erased stands in free text where something of a person was.
const erased = "[erased]"

// Facts are what is known of a person who is to be forgotten, gathered from all that a department keeps, and then cut out
// of all of it.
type Facts struct {
	ids, mails, phones, names map[string]bool

	cut *regexp.Regexp // made by the first use, from then on nothing more is gathered
}

// NewFacts begins with the ids of a person.
func NewFacts(ids ...string) *Facts {
	f := &Facts{ids: map[string]bool{}, mails: map[string]bool{}, phones: map[string]bool{}, names: map[string]bool{}}
	for _, id := range ids {
		f.ids[id] = true
	}
	return f
}

// IsID tells whether a text is one of the ids.
func (f *Facts) IsID(s string) bool { return f.ids[s] }

// size counts what is known.
func (f *Facts) size() int { return len(f.ids) + len(f.mails) + len(f.phones) + len(f.names) }

// Learn takes in a text that says who the person is: a mail address, a phone number or a name.
func (f *Facts) Learn(s string) {
	s = strings.TrimSpace(s)
	if mail, ok := party.NormalizeMail(s); ok {
		f.mails[mail] = true
		return
	}
	if phone, ok := party.NormalizePhone(s); ok {
		f.phones[phone] = true
		return
	}
	// A name of one part is too common to be cut out of texts.
	if parts := strings.Fields(party.Fold(s)); len(parts) > 1 || utf8.RuneCountInString(s) > 3 && !isLatin(s) {
		f.names[party.Fold(s)] = true
	}
}

func isLatin(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) })
}

// Cut takes what is known of the person out of a text. changed tells whether there was anything.
func (f *Facts) Cut(s string) (out string, changed bool) {
	if f.cut == nil {
		f.cut = f.compile()
	}
	if !f.cut.MatchString(s) {
		return s, false
	}
	return f.cut.ReplaceAllString(s, erased), true
}

func (f *Facts) compile() *regexp.Regexp {
	var parts []string
	for mail := range f.mails {
		parts = append(parts, regexp.QuoteMeta(mail))
	}
	for phone := range f.phones {
		parts = append(parts, phonePattern(phone))
	}
	for name := range f.names {
		parts = append(parts, strings.Join(quoted(strings.Fields(name)), `[\s　]*`))
	}
	if len(parts) == 0 {
		return regexp.MustCompile(`[^\s\S]`) // nothing
	}
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) }) // the longest first
	return regexp.MustCompile(`(?i)(` + strings.Join(parts, "|") + `)`)
}

func quoted(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = regexp.QuoteMeta(w)
	}
	return out
}

// phonePattern finds an E.164 number however it is written: +81 3-1234-5678, 03(1234)5678, 0312345678.
func phonePattern(e164 string) string {
	const gap = `[-\s().]*`
	digits := strings.TrimPrefix(e164, "+")
	prefix := `\+?`
	if rest, ok := strings.CutPrefix(digits, "81"); ok {
		prefix, digits = `(\+?81`+gap+`\(?0?\)?|0)`+gap, rest
	}
	return prefix + strings.Join(strings.Split(digits, ""), gap)
}

// LearnJSON gathers from a JSON document what it says of the person.
func (f *Facts) LearnJSON(doc []byte) error {
	v, err := parse(doc)
	if err == nil {
		f.learn(v)
	}
	return err
}

func parse(doc []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("people: JSON: %w", err)
	}
	return v, nil
}

func (f *Facts) learn(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			f.learn(e)
		}
	case map[string]any:
		if f.isPerson(v) {
			f.person(v)
			return
		}
		for _, e := range v {
			f.learn(e)
		}
	}
}

// isPerson recognises an object that is a tasuki.type.v1.Person, or a department's own form of it, and the person.
func (f *Facts) isPerson(o map[string]any) bool {
	id, _ := o["id"].(string)
	mail, _ := o["mail"].(string)
	normal, _ := party.NormalizeMail(mail)
	return id != "" && f.ids[id] || mail != "" && f.mails[normal]
}

// person learns the texts of a person's object: of its name, the parts together.
func (f *Facts) person(o map[string]any) {
	if id, _ := o["id"].(string); id != "" {
		f.ids[id] = true
	}
	name := o
	if nested, ok := o["name"].(map[string]any); ok {
		name = nested
	}
	get := func(o map[string]any, keys ...string) string {
		for _, key := range keys {
			if s, _ := o[key].(string); s != "" {
				return s
			}
		}
		return ""
	}
	f.Learn(get(o, "mail"))
	f.Learn(get(o, "phone"))
	f.learnName(get(name, "full"), get(name, "family"), get(name, "given"))
	f.learnName("", get(name, "familyKana", "family_kana"), get(name, "givenKana", "given_kana"))
}

// learnName learns a name in the order that it is written in, and in the other.
func (f *Facts) learnName(full, family, given string) {
	f.Learn(full)
	if family != "" && given != "" {
		f.Learn(family + " " + given)
		f.Learn(given + " " + family)
	}
}

// CutJSON leaves the person in a JSON document with nothing but its id, and cuts texts.
func (f *Facts) CutJSON(doc []byte) (out []byte, changed bool, err error) {
	v, err := parse(doc)
	if err != nil {
		return nil, false, err
	}
	v, changed = f.cutValue(v)
	if !changed {
		return doc, false, nil
	}
	out, err = json.Marshal(v)
	return out, true, err
}

func (f *Facts) cutValue(v any) (_ any, changed bool) {
	switch v := v.(type) {
	case string:
		return f.Cut(v)
	case []any:
		for i, e := range v {
			now, did := f.cutValue(e)
			v[i], changed = now, changed || did
		}
	case map[string]any:
		if f.isPerson(v) {
			bare := map[string]any{}
			if id, ok := v["id"]; ok {
				bare["id"] = id
			}
			return bare, len(v) > len(bare)
		}
		for key, e := range v {
			now, did := f.cutValue(e)
			v[key], changed = now, changed || did
		}
	}
	return v, changed
}

// LearnProto gathers from a message what it says of the person.
func (f *Facts) LearnProto(m proto.Message) { f.walk(m.ProtoReflect(), false) }

// CutProto leaves the person in a message with nothing but its id, and cuts texts. What Tasuki's own people are called
// (tasuki.type.v1.Actor) stays.
func (f *Facts) CutProto(m proto.Message) (changed bool) { return f.walk(m.ProtoReflect(), true) }

func (f *Facts) walk(m protoreflect.Message, cut bool) (changed bool) {
	switch v := m.Interface().(type) {
	case *typev1.Actor:
		return false
	case *typev1.Person:
		if f.isPersonProto(v) {
			return f.personProto(v, cut)
		}
	case *anypb.Any:
		return f.walkAny(v, cut)
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		changed = f.walkField(m, fd, v, cut) || changed
		return true
	})
	return changed
}

func (f *Facts) walkField(m protoreflect.Message, fd protoreflect.FieldDescriptor, v protoreflect.Value, cut bool) (changed bool) {
	isText := fd.Kind() == protoreflect.StringKind
	switch {
	case fd.IsMap():
		if fd.MapValue().Message() != nil {
			v.Map().Range(func(_ protoreflect.MapKey, e protoreflect.Value) bool {
				changed = f.walk(e.Message(), cut) || changed
				return true
			})
		}
	case fd.IsList() && fd.Message() != nil:
		for i := range v.List().Len() {
			changed = f.walk(v.List().Get(i).Message(), cut) || changed
		}
	case fd.IsList() && isText && cut:
		for i := range v.List().Len() {
			if s, did := f.Cut(v.List().Get(i).String()); did {
				v.List().Set(i, protoreflect.ValueOfString(s))
				changed = true
			}
		}
	case fd.Message() != nil && !fd.IsList():
		changed = f.walk(v.Message(), cut)
	case isText && cut && !fd.IsList():
		if s, did := f.Cut(v.String()); did {
			m.Set(fd, protoreflect.ValueOfString(s))
			changed = true
		}
	}
	return changed
}

func (f *Facts) walkAny(a *anypb.Any, cut bool) bool {
	inner, err := a.UnmarshalNew()
	if err != nil || !f.walk(inner.ProtoReflect(), cut) || !cut {
		return false // what this program does not know it cannot read either
	}
	return a.MarshalFrom(inner) == nil
}

func (f *Facts) isPersonProto(p *typev1.Person) bool {
	mail, _ := party.NormalizeMail(p.GetMail())
	return p.GetId() != "" && f.ids[p.GetId()] || p.GetMail() != "" && f.mails[mail]
}

func (f *Facts) personProto(p *typev1.Person, cut bool) bool {
	if cut {
		bare := &typev1.Person{Id: p.GetId()}
		changed := !proto.Equal(bare, p)
		proto.Reset(p)
		proto.Merge(p, bare)
		return changed
	}
	if p.GetId() != "" {
		f.ids[p.GetId()] = true
	}
	n := p.GetName()
	f.Learn(p.GetMail())
	f.Learn(p.GetPhone())
	f.learnName(n.GetFull(), n.GetFamily(), n.GetGiven())
	f.learnName("", n.GetFamilyKana(), n.GetGivenKana())
	return false
}

// Rename puts the survivor's id in the place of a merged one in a message, and tells whether it was there.
func Rename(m proto.Message, merged, survivor string) bool {
	return rename(m.ProtoReflect(), merged, survivor)
}

func rename(m protoreflect.Message, merged, survivor string) (changed bool) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
		case fd.Kind() == protoreflect.StringKind && !fd.IsList():
			if v.String() == merged {
				m.Set(fd, protoreflect.ValueOfString(survivor))
				changed = true
			}
		case fd.Message() != nil && fd.IsList():
			for i := range v.List().Len() {
				changed = rename(v.List().Get(i).Message(), merged, survivor) || changed
			}
		case fd.Message() != nil:
			changed = rename(v.Message(), merged, survivor) || changed
		}
		return true
	})
	return changed
}

// peopleIn are the ids of the people in a handoff, each once.
func peopleIn(h *handoffv1.Handoff) []string {
	var ids []string
	add := func(id string) {
		if uuid.Validate(id) == nil && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	add(h.GetPersonId())
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		if p, ok := m.Interface().(*typev1.Person); ok {
			add(p.GetId())
			return
		}
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.Message() == nil || fd.IsMap():
			case fd.IsList():
				for i := range v.List().Len() {
					walk(v.List().Get(i).Message())
				}
			default:
				walk(v.Message())
			}
			return true
		})
	}
	walk(h.GetPayload().ProtoReflect())
	return ids
}
