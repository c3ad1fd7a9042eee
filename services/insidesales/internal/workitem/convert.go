package workitem

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/insidesales/internal/activity"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
)

// offerOf reads what marketing handed over; empty for self-generated ones.
func offerOf(w *WorkItem) (*handoffv1.MqlPayload, error) {
	offer := &handoffv1.MqlPayload{}
	if len(w.Offer) == 0 {
		return offer, nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(w.Offer, offer); err != nil {
		return nil, fmt.Errorf("offer of work item %s: %w", w.ID, err)
	}
	return offer, nil
}

func itemProto(w *WorkItem) (*pb.WorkItem, error) {
	offer, err := offerOf(w)
	if err != nil {
		return nil, err
	}
	return itemOf(w, offer), nil
}

func itemOf(w *WorkItem, offer *handoffv1.MqlPayload) *pb.WorkItem {
	return &pb.WorkItem{
		Id: w.ID, JourneyId: w.JourneyID, State: stateProto(w.State),
		Source: pb.WorkItem_Source(pb.WorkItem_Source_value["SOURCE_"+string(w.Source)]),
		Person: w.Person.Proto(), Company: companyProto(w.Company), Queue: w.Queue, Assignee: w.Assignee, Hot: w.Hot,
		Score: offer.GetScore(), QualifyingAction: offer.GetQualifyingAction(), RecycleCount: offer.GetRecycleCount(),
		LastRecycleReason: offer.GetLastRecycleReason(), FirstTouch: offer.GetFirstTouch(), LastTouch: offer.GetLastTouch(),
		Consents: people.Show(w.Told, offer.GetConsents()), Notes: w.Notes, Answers: answersProto(w.Answers), MqlHandoffId: w.MQLHandoffID,
		MeetingHandoffId: w.MeetingHandoffID, NextActionAt: timeProto(w.NextActionAt), LastActivityAt: timeProto(w.LastActivityAt),
		Reason: w.Reason, ReasonNote: w.ReasonNote, WakeAt: timeProto(w.WakeAt),
		Outcome:       pb.WorkItem_Outcome(pb.WorkItem_Outcome_value["OUTCOME_"+string(w.Outcome)]),
		OutcomeReason: w.OutcomeReason, OpportunityId: w.OpportunityID, Etag: etag.Format(w.Version),
		CreateTime: timestamppb.New(w.CreatedAt), UpdateTime: timestamppb.New(w.UpdatedAt),
	}
}

func stateProto(s State) pb.WorkItem_State {
	return pb.WorkItem_State(pb.WorkItem_State_value["STATE_"+string(s)])
}

func stateOf(s pb.WorkItem_State) State { return State(strings.TrimPrefix(s.String(), "STATE_")) }

func activityProto(a activity.Activity) *pb.Activity {
	return &pb.Activity{
		Id: a.ID, WorkItemId: a.WorkItemID, JourneyId: a.JourneyID, PersonId: a.PersonID,
		Kind:      pb.Activity_Kind(pb.Activity_Kind_value["KIND_"+string(a.Kind)]),
		Direction: pb.Activity_Direction(pb.Activity_Direction_value["DIRECTION_"+string(a.Direction)]),
		Result:    pb.Activity_Result(pb.Activity_Result_value["RESULT_"+string(a.Result)]),
		Note:      a.Note, OccurredAt: timestamppb.New(a.OccurredAt), Actor: a.Actor.Proto(), CreateTime: timestamppb.New(a.CreatedAt),
	}
}

func timeProto(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// timeOf is a time as the stores keep it; nil when it is not set.
func timeOf(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime().Truncate(time.Microsecond)
	return &at
}

func companyProto(c Company) *typev1.Company {
	return &typev1.Company{Id: c.ID, Name: c.Name, Domain: c.Domain, Industry: c.Industry, Employees: c.Employees}
}

func companyOf(c *typev1.Company) Company {
	out := Company{ID: c.GetId(), Name: party.Fold(c.GetName()), Industry: party.Fold(c.GetIndustry()), Employees: c.GetEmployees()}
	out.Domain, _ = party.NormalizeDomain(c.GetDomain())
	return out
}

func answersProto(a Answers) *handoffv1.QualificationAnswers {
	return &handoffv1.QualificationAnswers{Issue: a.Issue, Budget: a.Budget, Authority: a.Authority, Need: a.Need, Timeline: a.Timeline}
}

func answersOf(a *handoffv1.QualificationAnswers) Answers {
	return Answers{
		Issue: a.GetIssue(), Budget: a.GetBudget(), Authority: a.GetAuthority(), Need: a.GetNeed(), Timeline: a.GetTimeline(),
	}
}

// subject is the work item's name in feeds and handoffs.
func subject(id string) string { return "work-item/" + id }

// eventsOf tells the feed of a fact about a work item with this offer.
func eventsOf(f Fact, offer *handoffv1.MqlPayload) []event.Event {
	w := &f.After
	item := itemOf(w, offer)
	e := event.Event{Subject: subject(w.ID), SubjectVersion: w.Version, JourneyID: w.JourneyID}
	switch f.Kind {
	case FactCreated:
		e.Data = &pb.WorkItemCreated{WorkItem: item}
	case FactMoved:
		e.Data = &pb.WorkItemStateChanged{WorkItem: item, Transition: f.Transition.Proto()}
	case FactAssigned:
		e.Data = &pb.WorkItemAssigned{WorkItem: item, PreviousAssignee: f.Previous}
	case FactActivity:
		e.Data = &pb.ActivityLogged{Activity: activityProto(f.Activity), FirstTouch: f.FirstTouch}
	case FactOutcome:
		e.Data = &pb.WorkItemOutcomeChanged{WorkItem: item}
	}
	events := []event.Event{e}
	if f.Kind == FactMoved {
		switch w.State {
		case Recycled:
			e.Data = &pb.LeadRecycled{
				WorkItemId: w.ID, MqlHandoffId: w.MQLHandoffID, JourneyId: w.JourneyID, PersonId: w.Person.ID,
				Reason: w.Reason, Note: w.ReasonNote, WakeAt: timeProto(w.WakeAt),
			}
			events = append(events, e)
		case Disqualified:
			e.Data = &pb.LeadDisqualified{
				WorkItemId: w.ID, MqlHandoffId: w.MQLHandoffID, JourneyId: w.JourneyID, PersonId: w.Person.ID,
				Reason: w.Reason, Note: w.ReasonNote,
			}
			events = append(events, e)
		}
	}
	return events
}
