// Package feedback has what customers say and what customer success says of them, for the departments before: feedback,
// quality of the handover, NPS, advocates, referrals and fit. Records are only ever added; each leaves an event.
package feedback

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Type is what a record is.
type Type string

// The types.
const (
	Feedback        Type = "FEEDBACK"
	HandoverQuality Type = "HANDOVER_QUALITY"
	NPS             Type = "NPS"
	Advocacy        Type = "ADVOCACY"
	Referral        Type = "REFERRAL"
	Fit             Type = "FIT"
)

// Record is one record as the table holds it.
type Record struct {
	ID                    string
	Type                  Type
	CustomerID, JourneyID string
	// Who are the people of whom it speaks.
	Who []*typev1.Person
	// Key is what there is one of: the handoff of a rating, the invitation of an NPS answer, the customer of an advocacy.
	Key string
	// Revision of the key, from 1.
	Revision int64
	// Kinds has bit n set for value n of the contract's enum: lists filter by it.
	Kinds int64
	// Score of a rating or an NPS answer.
	Score *int64
	// At is when it was said or decided.
	At time.Time
	// Message is the record as the contract writes it.
	Message proto.Message
}

// bits are the values of an enum as Record.Kinds.
func bits[E ~int32](values ...E) int64 {
	var all int64
	for _, v := range values {
		if v > 0 {
			all |= 1 << v
		}
	}
	return all
}

// category is what an NPS score stands for.
func category(score int32) pb.NpsResponse_Category {
	switch {
	case score >= 9:
		return pb.NpsResponse_CATEGORY_PROMOTER
	case score >= 7:
		return pb.NpsResponse_CATEGORY_PASSIVE
	default:
		return pb.NpsResponse_CATEGORY_DETRACTOR
	}
}

// sameAnswer tells whether two answers to one invitation say the same.
func sameAnswer(a, b *pb.NpsResponse) bool {
	return a.GetCustomerId() == b.GetCustomerId() && a.GetScore() == b.GetScore() && a.GetVerbatim() == b.GetVerbatim()
}

// The commands on advocates, by the names that clients see.
const (
	cmdMark = "markAdvocate"
	cmdEnd  = "endAdvocacy"
)

// turn is the next record of a customer that begins or ceases to speak for us; last is nil when it never did.
func turn(last *pb.Advocacy, begins bool) (revision int32, err error) {
	if last.GetIsAdvocate() == begins {
		if begins {
			return 0, problem.IllegalTransition("advocacy", "ADVOCATE", cmdMark, []string{cmdEnd})
		}
		return 0, problem.IllegalTransition("advocacy", "NO_ADVOCATE", cmdEnd, []string{cmdMark})
	}
	return last.GetRevision() + 1, nil
}

// past is when something happened that a client tells of; not set means now.
func past(field string, at *timestamppb.Timestamp, now time.Time) (time.Time, error) {
	if at == nil {
		return now, nil
	}
	when := at.AsTime().Truncate(time.Microsecond)
	if !at.IsValid() || when.After(now) {
		return when, problem.Invalid(problem.Field(field, "must not be in the future").Ja("未来の日時は指定できません。"))
	}
	return when, nil
}

// tidy brings a person into the form in which it is kept; nil when nothing is known.
func tidy(p *typev1.Person) *typev1.Person {
	if proto.Size(p) == 0 {
		return nil
	}
	p = proto.CloneOf(p)
	if p.Name == nil {
		p.Name = &typev1.PersonName{}
	}
	if n := p.GetName(); n.GetFull() == "" {
		n.Full = strings.TrimSpace(n.GetFamily() + " " + n.GetGiven())
	}
	if mail, ok := party.NormalizeMail(p.GetMail()); ok {
		p.Mail = mail
	}
	p.Phone, _ = party.NormalizePhone(p.GetPhone())
	return p
}

// reachable refuses a person whom marketing could not make a lead of. It takes the one that was sent, not a tidy one.
func reachable(p *typev1.Person) error {
	if mail := p.GetMail(); mail != "" {
		if _, ok := party.NormalizeMail(mail); !ok {
			return problem.Invalid(problem.Field("person.mail", "is no mail address: correct it, or leave it out and give a phone number").
				Ja("メールアドレスの形式ではありません。修正するか、空にして電話番号を指定してください。"))
		}
		return nil
	}
	if _, ok := party.NormalizePhone(p.GetPhone()); !ok {
		return problem.Invalid(problem.Field("person.phone", "is no phone number: correct it, or give a mail address").
			Ja("電話番号の形式ではありません。修正するか、メールアドレスを指定してください。"))
	}
	return nil
}
