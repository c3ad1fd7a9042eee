package opportunity

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
)

// message is the deal as the contract writes it, without history, contract and handover document.
func (o *Opportunity) message(stages pipeline.Stages) *fieldsalesv1.Opportunity {
	p := &fieldsalesv1.Opportunity{
		Id: o.ID, AccountId: o.AccountID, AccountName: o.AccountName, JourneyId: o.JourneyID, Name: o.Name,
		Type: typeMessage(o.Type), State: stateMessage(o.State), Stage: o.Stage, Owner: o.Owner, Amount: o.Amount.Proto(),
		ExpectedCloseDate: o.ExpectedClose.Proto(), Contact: o.Contact.Proto(), ContactConsents: people.ConsentsProto(o.Told), Competitor: o.Competitor,
		ExpansionRoom: o.ExpansionRoom, ProposalRoom: o.ProposalRoom, Answers: o.Brief.Answers.message(),
		FirstTouch: o.Brief.FirstTouch.message(), LastTouch: o.Brief.LastTouch.message(), Notes: o.Brief.Notes,
		SourceHandoffId: o.SourceHandoffID, MqlHandoffId: o.MQLHandoffID, CustomerId: o.Brief.CustomerID,
		ExpectedMrr: o.Brief.ExpectedMRR.Proto(), HoldUntil: timestamp(o.HoldUntil), HandoverId: o.Handover.ID,
		HandoverMissing: o.Handover.Missing, StageEnteredAt: timestamppb.New(o.StageEnteredAt), ClosedAt: timestamp(o.ClosedAt),
		CycleDays: o.CycleDays, Etag: etag.Format(o.Version), CreateTime: timestamppb.New(o.CreatedAt),
		UpdateTime: timestamppb.New(o.UpdatedAt),
	}
	if o.Next.Description != "" {
		p.NextAction = &fieldsalesv1.NextAction{Description: o.Next.Description, DueAt: timestamppb.New(o.Next.DueAt)}
	}
	if o.Handover.State != "" {
		p.HandoverState = handoffv1.State(handoffv1.State_value["STATE_"+o.Handover.State])
	}
	switch o.State {
	case ClosedWon:
		p.ProbabilityPercent, p.ForecastCategory = 100, fieldsalesv1.ForecastCategory_FORECAST_CATEGORY_CLOSED
	case ClosedLost:
		p.ForecastCategory = fieldsalesv1.ForecastCategory_FORECAST_CATEGORY_OMITTED
		p.Loss = &fieldsalesv1.Loss{
			Reason: o.Loss.Reason, Action: actionMessage(o.Loss.Action), Competitor: o.Loss.To, Note: o.Loss.Note,
			WakeAt: timestamp(o.Loss.WakeAt),
		}
	default:
		if stage, ok := stages.Get(o.Stage); ok {
			p.ProbabilityPercent = int32(stage.ProbabilityPercent)
			p.ForecastCategory = categoryMessage(stage.ForecastCategory)
		}
	}
	return p
}

func typeMessage(t Type) fieldsalesv1.Opportunity_Type {
	return fieldsalesv1.Opportunity_Type(fieldsalesv1.Opportunity_Type_value["TYPE_"+string(t)])
}

func typeOf(t fieldsalesv1.Opportunity_Type) Type {
	return Type(strings.TrimPrefix(t.String(), "TYPE_"))
}

func stateMessage(s State) fieldsalesv1.Opportunity_State {
	return fieldsalesv1.Opportunity_State(fieldsalesv1.Opportunity_State_value["STATE_"+string(s)])
}

func actionMessage(action string) handoffv1.Reason_Action {
	return handoffv1.Reason_Action(handoffv1.Reason_Action_value["ACTION_"+action])
}

func categoryMessage(c string) fieldsalesv1.ForecastCategory {
	return fieldsalesv1.ForecastCategory(fieldsalesv1.ForecastCategory_value["FORECAST_CATEGORY_"+c])
}

func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// moment is a timestamp of a request in the precision of the stores.
func moment(t *timestamppb.Timestamp) time.Time { return t.AsTime().Truncate(time.Microsecond) }

func (a *Answers) message() *handoffv1.QualificationAnswers {
	if a == nil {
		return nil
	}
	return &handoffv1.QualificationAnswers{
		Issue: a.Issue, Budget: a.Budget, Authority: a.Authority, Need: a.Need, Timeline: a.Timeline,
	}
}

func answersOf(p *handoffv1.QualificationAnswers) *Answers {
	if p == nil {
		return nil
	}
	return &Answers{
		Issue: p.GetIssue(), Budget: p.GetBudget(), Authority: p.GetAuthority(), Need: p.GetNeed(), Timeline: p.GetTimeline(),
	}
}

func (t *Touch) message() *typev1.Touch {
	if t == nil {
		return nil
	}
	p := &typev1.Touch{Channel: t.Channel, Campaign: t.Campaign, Action: t.Action}
	if !t.At.IsZero() {
		p.At = timestamppb.New(t.At)
	}
	return p
}

func touchOf(p *typev1.Touch) *Touch {
	if p == nil {
		return nil
	}
	t := &Touch{Channel: p.GetChannel(), Campaign: p.GetCampaign(), Action: p.GetAction()}
	if p.GetAt() != nil {
		t.At = moment(p.GetAt())
	}
	return t
}

func (t Transition) message() *typev1.Transition {
	p := t.row().Proto()
	p.From, p.To = t.From.String(), t.To.String()
	return p
}

func stageRow(s pipeline.Stage) *fieldsalesv1.Stage {
	return &fieldsalesv1.Stage{
		Code: s.Code, Position: int32(s.Position), ProbabilityPercent: int32(s.ProbabilityPercent),
		ForecastCategory: categoryMessage(s.ForecastCategory), Label: &typev1.Label{Ja: s.LabelJa, En: s.LabelEn},
		NeedsAmount: s.NeedsAmount, NeedsCloseDate: s.NeedsCloseDate, CanWin: s.CanWin,
	}
}

func reasonRow(r pipeline.Reason) *fieldsalesv1.CloseReason {
	return &fieldsalesv1.CloseReason{
		Code: r.Code, Label: &typev1.Label{Ja: r.LabelJa, En: r.LabelEn}, Action: actionMessage(string(r.Action)),
		WakeAfterDays: int32(r.WakeAfterDays),
	}
}

func stateOf(s fieldsalesv1.Opportunity_State) string {
	return strings.TrimPrefix(s.String(), "STATE_")
}
