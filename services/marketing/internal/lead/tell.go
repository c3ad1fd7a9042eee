package lead

import (
	"time"

	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
)

// Other departments are told of a person's consents once one of them knows the person: at first of all that holds, from then
// on of every change. Most people who are captured or imported are never handed over, and each telling is stored by every
// department, in a database of its own.

// knownOutside tells whether another department knows the lead's person: it was handed over, or customer success spoke of it.
func (l *Lead) knownOutside() bool { return l.HandoffID != "" || l.Referral != nil || l.Signals != nil }

// tell says whether the others are to be told now what holds for the person, and whether that is the first time. The answer
// counts as done.
func (p *Person) tell(known bool, now time.Time) (due, first bool) {
	first = p.ToldAt == nil && known && len(p.Consents) > 0
	due = first || p.ToldAt != nil && p.heeded
	if first {
		p.ToldAt = &now
	}
	p.heeded = false
	return due, first
}

// tell is that of the person whom the lead is about.
func (b *book) tell(l *Lead, now time.Time) bool {
	due, first := b.people[l.Person.ID].tell(l.knownOutside(), now)
	if first {
		b.toldPeople[l.Person.ID] = true
	}
	return due
}

// consentChanged tells all departments what holds for a person.
func consentChanged(p *Person) event.Event {
	return event.Event{Subject: people.Subject(p.ID), SubjectVersion: p.Version, Data: &partyv1.ConsentChanged{
		PersonId: p.ID, Consents: people.ConsentsProto(p.Consents),
	}}
}
