package onboarding

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
)

func orUnset(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func sideProto(s Side) pb.OwnerSide { return pb.OwnerSide(pb.OwnerSide_value["OWNER_SIDE_"+string(s)]) }

// proto is the plan as lists and events write it, on a day.
func (p *Plan) proto(day civil.Date) *pb.OnboardingPlan {
	out := &pb.OnboardingPlan{
		Id: p.ID, CustomerId: p.CustomerID, JourneyId: p.JourneyID, HandoffId: p.HandoffID, TemplateCode: p.Template,
		State:     pb.OnboardingPlan_State(pb.OnboardingPlan_State_value["STATE_"+string(p.State)]),
		StartDate: p.StartDate.Proto(), DueDate: p.DueDate().Proto(), Overdue: p.Overdue(day), Etag: etag.Format(p.Version),
		KickoffAt: orUnset(p.KickoffAt), CompletedAt: orUnset(p.CompletedAt),
		CreateTime: timestamppb.New(p.CreatedAt), UpdateTime: timestamppb.New(p.UpdatedAt),
	}
	for i := range p.Milestones {
		out.Milestones = append(out.Milestones, p.Milestones[i].proto(day, p.NextDue() != ""))
	}
	return out
}

// proto is the milestone on a day; running says whether its plan still runs.
func (m *Milestone) proto(day civil.Date, running bool) *pb.Milestone {
	out := &pb.Milestone{
		Code: m.Code, Label: &typev1.Label{Ja: m.LabelJa, En: m.LabelEn}, OwnerSide: sideProto(m.Side), Mandatory: m.Mandatory,
		DueDate: m.DueDate.Proto(), State: pb.Milestone_State(pb.Milestone_State_value["STATE_"+string(m.State)]),
		DecidedAt: orUnset(m.DecidedAt), Note: m.Note, Overdue: running && m.Overdue(day),
	}
	if m.State != Open {
		out.DecidedBy = m.DecidedBy.Proto()
	}
	return out
}

func (t Template) proto() *pb.OnboardingTemplate {
	out := &pb.OnboardingTemplate{Code: t.Code, Label: &typev1.Label{Ja: t.LabelJa, En: t.LabelEn}}
	for _, m := range t.Milestones {
		out.Milestones = append(out.Milestones, &pb.TemplateMilestone{
			Code: m.Code, Label: &typev1.Label{Ja: m.LabelJa, En: m.LabelEn}, OwnerSide: sideProto(m.Side), DueDays: int32(m.DueDays),
			Mandatory: m.Mandatory,
		})
	}
	return out
}

// The events of a plan. Days are those of the instants that they tell of.

func started(p *Plan) proto.Message {
	return &pb.OnboardingStarted{Plan: p.proto(civil.DateOf(p.UpdatedAt))}
}

func reached(p *Plan, m *Milestone) proto.Message {
	return &pb.MilestoneCompleted{
		PlanId: p.ID, CustomerId: p.CustomerID, Milestone: m.proto(civil.DateOf(p.UpdatedAt), true), Late: civil.DateOf(m.DecidedAt) > m.DueDate,
	}
}

func skipped(p *Plan, m *Milestone) proto.Message {
	return &pb.MilestoneSkipped{PlanId: p.ID, CustomerId: p.CustomerID, Milestone: m.proto(civil.DateOf(p.UpdatedAt), true)}
}

func completed(p *Plan) proto.Message {
	day := civil.DateOf(p.CompletedAt)
	return &pb.OnboardingCompleted{
		Plan: p.proto(day), Days: int32(day.DaysSince(civil.DateOf(p.KickoffAt))), Late: day > p.DueDate(),
	}
}

func cancelled(p *Plan) proto.Message {
	return &pb.OnboardingCancelled{Plan: p.proto(civil.DateOf(p.UpdatedAt))}
}
