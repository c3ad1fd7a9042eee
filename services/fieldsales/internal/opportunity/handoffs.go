package opportunity

import (
	"context"
	"strconv"
	"strings"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/account"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Kinds are the handoffs in which field sales takes part, and what it does with them.
func (s *Server) Kinds() []handoff.KindConfig {
	return []handoff.KindConfig{
		{
			Kind: handoffv1.Kind_KIND_MEETING, From: access.InsideSales, To: access.FieldSales,
			OnAccepted: s.meetingAccepted, OnRejected: s.meetingRejected,
		},
		{
			Kind: handoffv1.Kind_KIND_CSQL, From: access.CustomerSuccess, To: access.FieldSales,
			OnAccepted: s.csqlAccepted,
		},
		{
			Kind: handoffv1.Kind_KIND_CLOSED_WON, From: access.FieldSales, To: access.CustomerSuccess,
			OnDecision: s.handoverDecided,
		},
	}
}

// meetingAccepted: 有効商談. The account is matched or created, and the deal begins.
func (s *Server) meetingAccepted(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) (string, error) {
	m := h.GetPayload().GetMeeting()
	o, err := s.begin(ctx, tx, h, m.GetCompany(), m.GetPerson(), Opportunity{
		Name: m.GetCompany().GetName(), Type: TypeNew, Competitor: m.GetCompetitor(), MQLHandoffID: m.GetMqlHandoffId(),
		Brief: Brief{
			Answers: answersOf(m.GetAnswers()), FirstTouch: touchOf(m.GetFirstTouch()), LastTouch: touchOf(m.GetLastTouch()),
			Notes: m.GetNotes(),
		},
	})
	if err != nil {
		return "", err
	}
	return o.Subject(), s.Events.Append(ctx, tx, event.Event{
		Subject: o.Subject(), SubjectVersion: o.Version, JourneyID: o.JourneyID, Cause: h.GetId(),
		Data: &fieldsalesv1.MeetingVerdict{
			HandoffId: h.GetId(), JourneyId: o.JourneyID, PersonId: o.PersonID, AccountId: o.AccountID,
			MqlHandoffId: o.MQLHandoffID, Held: true, Accepted: true, Note: h.GetDecision().GetNote(), OpportunityId: o.ID,
		},
	})
}

// meetingRejected tells the departments before that the meeting was not worth it, or did not take place.
func (s *Server) meetingRejected(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error {
	m := h.GetPayload().GetMeeting()
	version, err := strconv.ParseInt(h.GetEtag(), 10, 64)
	if err != nil {
		return err
	}
	reason := h.GetDecision().GetReason()
	return s.Events.Append(ctx, tx, event.Event{
		Subject: "handoff/" + h.GetId(), SubjectVersion: version, JourneyID: h.GetJourneyId(), Cause: h.GetId(),
		Data: &fieldsalesv1.MeetingVerdict{
			HandoffId: h.GetId(), JourneyId: h.GetJourneyId(), PersonId: or(h.GetPersonId(), m.GetPerson().GetId()),
			AccountId: or(h.GetAccountId(), m.GetCompany().GetId()), MqlHandoffId: m.GetMqlHandoffId(), Held: reason != noShow,
			Reason: reason, Note: h.GetDecision().GetNote(),
		},
	})
}

// noShow is the reason of a meeting that did not take place.
const noShow = "NO_SHOW"

// csqlAccepted: an expansion that a customer asked for becomes a deal.
func (s *Server) csqlAccepted(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) (string, error) {
	c := h.GetPayload().GetCsql()
	expected, err := money.FromProto(c.GetExpectedMrr())
	if err != nil {
		expected = money.Amount{} // what is no amount is not known
	}
	var contact *typev1.Person
	if len(c.GetContacts()) > 0 {
		contact = c.GetContacts()[0]
	}
	notes := []string{}
	for _, n := range []string{c.GetCustomerBenefit(), c.GetNeedEvidence(), c.GetUsage(), c.GetHealthEvidence(), c.GetCautions()} {
		if n != "" {
			notes = append(notes, n)
		}
	}
	o, err := s.begin(ctx, tx, h, c.GetCompany(), contact, Opportunity{
		Name: strings.TrimSpace(c.GetCompany().GetName() + " " + c.GetProduct()), Type: Type(c.GetExpansionType()),
		Brief: Brief{
			Answers: &Answers{Need: c.GetStatedNeed(), Authority: c.GetStatedBy()}, Notes: strings.Join(notes, "\n"),
			CustomerID: c.GetCustomerId(), ExpectedMRR: expected,
		},
	})
	if err != nil {
		return "", err
	}
	return o.Subject(), nil
}

// begin opens the deal that a handoff makes.
func (s *Server) begin(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, c *typev1.Company, p *typev1.Person, draft Opportunity) (*Opportunity, error) {
	actor := access.ActorOf(ctx)
	draft.ID, draft.JourneyID, draft.SourceHandoffID = party.NewID(), h.GetJourneyId(), h.GetId()
	draft.Owner = or(h.GetAssignee(), actor.ID)
	draft.Contact = party.PersonOf(p).Named()
	draft.PersonID = or(h.GetPersonId(), draft.Contact.ID)
	draft.Contact.ID = or(draft.Contact.ID, draft.PersonID)
	a, _, err := s.Accounts.Resolve(ctx, tx, account.Company{
		ID: or(h.GetAccountId(), c.GetId()), Name: c.GetName(), Domain: c.GetDomain(), Industry: c.GetIndustry(),
		Employees: c.GetEmployees(),
	}, draft.Owner, h.GetJourneyId())
	if err != nil {
		return nil, err
	}
	stages, err := pipeline.LoadStages(ctx, tx)
	if err != nil {
		return nil, err
	}
	draft.AccountID, draft.AccountName = a.ID, a.Name
	o := Create(draft, stages, actor, s.Clock.Now())
	return o, s.save(event.WithCause(ctx, h.GetId()), tx, o, stages, nil)
}

// handoverDecided takes in how far customer success is with a customer.
func (s *Server) handoverDecided(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, _ *handoffv1.Reason) error {
	id, ok := strings.CutPrefix(h.GetSenderSubject(), SubjectPrefix)
	if !ok {
		return nil
	}
	o, err := ForUpdate(ctx, tx, id, etag.Match(""))
	if err != nil {
		return err
	}
	stages, err := pipeline.LoadStages(ctx, tx)
	if err != nil {
		return err
	}
	missing := h.GetDecision().GetMissing()
	o.HandoverBecame(strings.TrimPrefix(h.GetState().String(), "STATE_"), missing, s.Clock.Now())
	return s.save(ctx, tx, o, stages, nil)
}
