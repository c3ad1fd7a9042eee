package people

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

// Channels by which people are contacted; others may be recorded too.
const (
	Mail  = "MAIL"
	Phone = "PHONE"
)

// Bases on which people may be contacted, the most binding first.
const (
	OptIn            = "OPT_IN"
	ExistingRelation = "EXISTING_RELATION"
	BusinessCard     = "BUSINESS_CARD"
	Published        = "PUBLISHED"
)

// Consent is the last word on one channel: of the person, or of a list or card about the person.
type Consent struct {
	Channel string    `json:"c"`
	Granted bool      `json:"g"`
	Basis   string    `json:"b,omitempty"`
	At      time.Time `json:"t"`
}

// Heed takes in a word, and tells whether it changed anything. A withdrawal stands until a later OPT_IN: whatever else a
// list or a card says does not overrule it. have is not changed.
func Heed(have []Consent, c Consent) (now []Consent, changed bool) {
	i := slices.IndexFunc(have, func(h Consent) bool { return h.Channel == c.Channel })
	if i < 0 {
		return append(slices.Clip(have), c), true
	}
	before := have[i]
	switch older := c.At.Before(before.At); {
	case before == c,
		c.Granted && older,
		c.Granted && !before.Granted && c.Basis != OptIn,
		c.Granted && !before.Granted && c.At.Equal(before.At),
		!c.Granted && older && (!before.Granted || before.Basis == OptIn):
		return have, false
	}
	now = slices.Clone(have)
	now[i] = c
	return now, true
}

// Strictest is what holds for one human being of whom there were two records: on every channel the more restrictive word.
// A withdrawal wins over a consent; of two consents the one on the weaker basis stays, and of two alike the later. A
// channel of which only one record has a word keeps it. The order of the records, and repeating it, change nothing; the
// result is ordered by channel.
func Strictest(a, b []Consent) []Consent {
	by := map[string]Consent{}
	for _, c := range slices.Concat(a, b) {
		if have, ok := by[c.Channel]; !ok || stricter(c, have) > 0 {
			by[c.Channel] = c
		}
	}
	return ordered(by)
}

// stricter compares words on one channel: positive when a restricts more than b.
func stricter(a, b Consent) int {
	if a.Granted != b.Granted {
		if b.Granted {
			return 1
		}
		return -1
	}
	if d := weakness(a.Basis) - weakness(b.Basis); d != 0 {
		return d
	}
	if d := a.At.Compare(b.At); d != 0 {
		return d
	}
	return strings.Compare(a.Basis, b.Basis)
}

// weakness is how little a basis binds; one that is not known binds least.
func weakness(basis string) int {
	order := []string{OptIn, ExistingRelation, BusinessCard, Published}
	if i := slices.Index(order, basis); i >= 0 {
		return i
	}
	return len(order)
}

// Latest is what two tellings of the same person say together: on every channel the later word, and of two at the same time
// the withdrawal. It is ordered by channel.
func Latest(a, b []Consent) []Consent {
	by := map[string]Consent{}
	for _, c := range slices.Concat(a, b) {
		have, ok := by[c.Channel]
		if !ok || c.At.After(have.At) || c.At.Equal(have.At) && stricter(c, have) > 0 {
			by[c.Channel] = c
		}
	}
	return ordered(by)
}

func ordered(by map[string]Consent) []Consent {
	out := make([]Consent, 0, len(by))
	for _, c := range by {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Consent) int { return strings.Compare(a.Channel, b.Channel) })
	return out
}

// Allowed tells whether advertising may use a channel. Mail needs a word that grants it, as the law on advertising mail
// (特定電子メール法) is an opt-in one; other channels are open until the person withdraws.
func Allowed(consents []Consent, channel string) bool {
	i := slices.IndexFunc(consents, func(c Consent) bool { return c.Channel == channel })
	if i < 0 {
		return channel != Mail
	}
	return consents[i].Granted
}

// ConsentsOf reads consents of the contract. A time that is missing stays zero.
func ConsentsOf(list []*handoffv1.Consent) []Consent {
	var out []Consent
	for _, c := range list {
		consent := Consent{Channel: c.GetChannel(), Granted: c.GetGranted(), Basis: c.GetBasis()}
		if c.GetAt() != nil {
			consent.At = c.GetAt().AsTime().Truncate(time.Microsecond)
		}
		out = append(out, consent)
	}
	return out
}

// ConsentsProto writes consents as the contract does.
func ConsentsProto(list []Consent) []*handoffv1.Consent {
	var out []*handoffv1.Consent
	for _, c := range list {
		out = append(out, &handoffv1.Consent{Channel: c.Channel, Granted: c.Granted, Basis: c.Basis, At: timestamppb.New(c.At)})
	}
	return out
}
