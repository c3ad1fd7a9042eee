package workitem

import (
	"context"
	"strings"
	"time"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/insidesales/internal/activity"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// clockDifference is how far the clock of a client may be ahead of ours.
const clockDifference = time.Minute

// LogActivity implements WorkItemService.
func (s *Server) LogActivity(ctx context.Context, req *pb.LogActivityRequest) (*pb.Activity, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.Activity, error) {
		w, err := s.items.ForUpdate(ctx, tx, req.GetWorkItemId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		now := s.clock.Now()
		a, err := activityOf(w, req, access.ActorOf(ctx), now)
		if err != nil {
			return nil, err
		}
		first, err := w.Log(a, timeOf(req.GetNextActionAt()), now)
		if err != nil {
			return nil, err
		}
		if err := s.items.Save(ctx, tx, w); err != nil {
			return nil, err
		}
		if first && w.MQLHandoffID != "" {
			if _, err := s.handoffs.Fulfil(ctx, tx, w.MQLHandoffID, firstTouchNote(a)); err != nil {
				return nil, err
			}
		}
		return activityProto(a), nil
	})
}

func activityOf(w *WorkItem, req *pb.LogActivityRequest, actor access.Actor, now time.Time) (activity.Activity, error) {
	a := activity.Activity{
		ID: party.NewID(), WorkItemID: w.ID, JourneyID: w.JourneyID, PersonID: w.Person.ID,
		Kind:      activity.Kind(strings.TrimPrefix(req.GetKind().String(), "KIND_")),
		Direction: activity.Outbound, Note: req.GetNote(), OccurredAt: now, Actor: actor, CreatedAt: now,
	}
	if req.GetResult() != pb.Activity_RESULT_UNSPECIFIED {
		a.Result = activity.Result(strings.TrimPrefix(req.GetResult().String(), "RESULT_"))
	}
	switch {
	case a.Kind == activity.Note:
		a.Direction = ""
	case req.GetDirection() == pb.Activity_DIRECTION_INBOUND:
		a.Direction = activity.Inbound
	}
	if at := timeOf(req.GetOccurredAt()); at != nil {
		if at.After(now.Add(clockDifference)) {
			return a, problem.Invalid(problem.Field("occurred_at", "must not lie in the future").Ja("未来の日時は指定できません。"))
		}
		a.OccurredAt = *at
	}
	return a, nil
}

// firstTouchNote says in the handoff what fulfilled it: the kind and result, never what was said.
func firstTouchNote(a activity.Activity) string {
	if a.Result == "" {
		return string(a.Kind)
	}
	return string(a.Kind) + " " + string(a.Result)
}

// ListActivities implements WorkItemService.
func (s *Server) ListActivities(ctx context.Context, req *pb.ListActivitiesRequest) (*pb.ListActivitiesResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.ListActivitiesResponse, error) {
		if _, err := s.items.Get(ctx, tx, req.GetWorkItemId()); err != nil {
			return nil, err
		}
		rows, err := activity.List(ctx, tx, req.GetWorkItemId(), after, limit+1)
		if err != nil {
			return nil, err
		}
		rows, next := page.Cut(rows, limit, func(last activity.Activity) string { return query.Encode(last.CreatedAt, last.ID) })
		resp := &pb.ListActivitiesResponse{NextPageToken: next}
		for _, a := range rows {
			resp.Activities = append(resp.Activities, activityProto(a))
		}
		return resp, nil
	})
}

// checkProspect names what a self-generated prospect lacks.
func checkProspect(req *pb.CreateWorkItemRequest) error {
	var missing []problem.Violation
	person, company := party.PersonOf(req.GetPerson()).Named(), companyOf(req.GetCompany())
	if person.Full == "" {
		missing = append(missing, problem.Field("person.name", "a name is needed").Ja("氏名を入力してください。"))
	}
	if person.Mail == "" && person.Phone == "" {
		missing = append(missing, problem.Field("person.mail", "a mail address or a phone number is needed").
			Ja("メールアドレスまたは電話番号を入力してください。"))
	}
	if company.Name == "" {
		missing = append(missing, problem.Field("company.name", "the name of the company is needed").Ja("会社名を入力してください。"))
	}
	if len(missing) > 0 {
		return problem.Invalid(missing...)
	}
	return nil
}
