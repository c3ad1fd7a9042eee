package opportunity

import (
	"google.golang.org/protobuf/proto"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/contract"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
)

// Subject is the subject of the deal's events.
func (o *Opportunity) Subject() string { return SubjectPrefix + o.ID }

// SubjectPrefix is what comes before the id in a subject.
const SubjectPrefix = "opportunity/"

// teller makes the event of each fact. c is the contract of a deal that is won.
func teller(stages pipeline.Stages, c *contract.Contract) func(Fact) event.Event {
	return func(f Fact) event.Event {
		o := &f.After
		return event.Event{
			Subject: o.Subject(), SubjectVersion: o.Version, JourneyID: o.JourneyID, Data: eventOf(f, o.message(stages), c),
		}
	}
}

func eventOf(f Fact, p *fieldsalesv1.Opportunity, c *contract.Contract) proto.Message {
	switch f.Kind {
	case FactCreated:
		return &fieldsalesv1.OpportunityCreated{Opportunity: p}
	case FactMoved:
		return &fieldsalesv1.OpportunityStageMoved{
			Opportunity: p, FromStage: f.Transition.From.Stage, ToStage: f.Transition.To.Stage, Reason: f.Transition.Reason,
		}
	case FactHeld:
		return &fieldsalesv1.OpportunityHeld{Opportunity: p}
	case FactResumed:
		return &fieldsalesv1.OpportunityResumed{Opportunity: p}
	case FactReopened:
		return &fieldsalesv1.OpportunityReopened{Opportunity: p, Reason: f.Transition.Reason}
	case FactClosed:
		return closed(&f.After, c)
	}
	return &fieldsalesv1.OpportunityUpdated{Opportunity: p, Changed: f.Changed}
}

func closed(o *Opportunity, c *contract.Contract) *fieldsalesv1.OpportunityClosed {
	e := &fieldsalesv1.OpportunityClosed{
		OpportunityId: o.ID, JourneyId: o.JourneyID, PersonId: o.PersonID, AccountId: o.AccountID, Won: o.State == ClosedWon,
		Reason: o.Loss.Reason, Action: actionMessage(o.Loss.Action), WakeAt: timestamp(o.Loss.WakeAt), Competitor: o.Loss.To,
		Amount: o.Amount.Proto(), CycleDays: o.CycleDays, Note: o.Loss.Note, Type: typeMessage(o.Type),
		SourceHandoffId: o.SourceHandoffID, MqlHandoffId: o.MQLHandoffID,
	}
	if e.GetWon() {
		e.Action, e.Competitor = actionMessage(string(pipeline.None)), o.Competitor
		if c != nil {
			e.Mrr = c.MRR.Proto()
		}
	}
	return e
}
