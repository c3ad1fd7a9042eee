package workitem

import (
	"context"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/insidesales/internal/activity"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/history"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// lastActivities is how many activities GetWorkItem shows.
const lastActivities = 20

// Handoffs is what work items need of the handoff engine, in the transaction of the command.
type Handoffs interface {
	// Offer hands over.
	Offer(ctx context.Context, tx store.Tx, o handoff.NewOffer) (*handoffv1.Handoff, error)
	// Resubmit offers a returned or expired handoff again, with another payload; the work item follows by its hook.
	Resubmit(ctx context.Context, tx store.Tx, handoffID string, payload *handoffv1.Payload, note string) (*handoffv1.Handoff, error)
	// Get reads a handoff of either side.
	Get(ctx context.Context, tx store.Tx, handoffID string) (*handoffv1.Handoff, error)
	// Assign puts a handoff of the inbox into somebody's hands; empty puts it back into the queue.
	Assign(ctx context.Context, tx store.Tx, handoffID, assignee string) (*handoffv1.Handoff, error)
	// Fulfil records that the first action was done.
	Fulfil(ctx context.Context, tx store.Tx, handoffID, note string) (*handoffv1.Handoff, error)
	// Reason looks a reason up. REASON_UNKNOWN when the kind has none of this code.
	Reason(ctx context.Context, tx store.Tx, kind handoffv1.Kind, code string) (*handoffv1.Reason, error)
}

// Server answers tasuki.insidesales.v1.WorkItemService.
type Server struct {
	pb.UnimplementedWorkItemServiceServer
	db       *store.DB
	clock    clock.Clock
	items    *Store
	handoffs Handoffs
}

// NewServer makes the server.
func NewServer(db *store.DB, c clock.Clock, items *Store, handoffs Handoffs) *Server {
	return &Server{db: db, clock: c, items: items, handoffs: handoffs}
}

// change runs a command on one work item: read for update, as the client last saw it; change; save.
func (s *Server) change(ctx context.Context, id, tag string, do func(tx store.Tx, w *WorkItem, now time.Time) error) (*pb.WorkItem, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.WorkItem, error) {
		w, err := s.items.ForUpdate(ctx, tx, id, etag.Match(tag))
		if err != nil {
			return nil, err
		}
		if err := do(tx, w, s.clock.Now()); err != nil {
			return nil, err
		}
		if err := s.items.Save(ctx, tx, w); err != nil {
			return nil, err
		}
		return itemProto(w)
	})
}

// GetWorkItem implements WorkItemService.
func (s *Server) GetWorkItem(ctx context.Context, req *pb.GetWorkItemRequest) (*pb.WorkItem, error) {
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.WorkItem, error) {
		w, err := s.items.Get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		moves, err := s.items.Transitions(ctx, tx, w.ID)
		if err != nil {
			return nil, err
		}
		last, err := activity.List(ctx, tx, w.ID, nil, lastActivities)
		if err != nil {
			return nil, err
		}
		item, err := itemProto(w)
		if err != nil {
			return nil, err
		}
		item.Transitions = history.Protos(moves)
		for _, a := range last {
			item.LastActivities = append(item.LastActivities, activityProto(a))
		}
		return item, nil
	})
}

// ListWorkItems implements WorkItemService.
func (s *Server) ListWorkItems(ctx context.Context, req *pb.ListWorkItemsRequest) (*pb.ListWorkItemsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	after, err := query.After(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	filter := Filter{Assignee: req.GetAssignee(), Queue: req.GetQueue(), JourneyID: req.GetJourneyId()}
	filter.Mail, _ = party.NormalizeMail(req.GetMail())
	for _, state := range req.GetStates() {
		filter.States = append(filter.States, stateOf(state))
	}
	if req.GetOverdue() {
		now := s.clock.Now()
		filter.OverdueAt = &now
	}
	return store.Read(ctx, s.db, func(tx store.Tx) (*pb.ListWorkItemsResponse, error) {
		rows, err := s.items.List(ctx, tx, filter, after, limit+1)
		if err != nil {
			return nil, err
		}
		rows, next := page.Cut(rows, limit, func(last *WorkItem) string { return query.Encode(last.CreatedAt, last.ID) })
		resp := &pb.ListWorkItemsResponse{NextPageToken: next}
		for _, w := range rows {
			item, err := itemProto(w)
			if err != nil {
				return nil, err
			}
			resp.WorkItems = append(resp.WorkItems, item)
		}
		return resp, nil
	})
}

// CreateWorkItem implements WorkItemService. A person that was on the table before, by mail address, keeps the id.
func (s *Server) CreateWorkItem(ctx context.Context, req *pb.CreateWorkItemRequest) (*pb.WorkItem, error) {
	if err := checkProspect(req); err != nil {
		return nil, err
	}
	person, company := party.PersonOf(req.GetPerson()).Named(), companyOf(req.GetCompany())
	mail, _ := party.NormalizeMail(person.Mail)
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.WorkItem, error) {
		now, actor := s.clock.Now(), access.ActorOf(ctx)
		person.ID, company.ID = party.NewID(), party.NewID()
		if mail != "" {
			store.Lock(tx, "person/"+mail)
			known, err := s.items.LastWithMail(ctx, tx, mail)
			if err != nil {
				return nil, err
			}
			if known != nil {
				person.ID = known.Person.ID
				if known.Company.ID != "" && party.CompanyKey(known.Company.Name) == party.CompanyKey(company.Name) {
					company.ID = known.Company.ID
				}
			}
		}
		w := Create(WorkItem{
			ID: party.NewID(), Source: SelfGenerated, JourneyID: party.NewID(), Person: person, Company: company,
			Queue: req.GetQueue(), Notes: req.GetNotes(), NextActionAt: timeOf(req.GetNextActionAt()),
		}, actor, now)
		if err := w.AssignTo(req.GetAssignee(), actor, now); err != nil {
			return nil, err
		}
		if err := s.items.Save(ctx, tx, w); err != nil {
			return nil, err
		}
		return itemProto(w)
	})
}

// QualifyWorkItem implements WorkItemService.
func (s *Server) QualifyWorkItem(ctx context.Context, req *pb.QualifyWorkItemRequest) (*pb.WorkItem, error) {
	return s.change(ctx, req.GetId(), req.GetEtag(), func(_ store.Tx, w *WorkItem, now time.Time) error {
		return w.QualifyWith(answersOf(req.GetAnswers()), access.ActorOf(ctx), req.GetNote(), now)
	})
}

// RecycleWorkItem implements WorkItemService.
func (s *Server) RecycleWorkItem(ctx context.Context, req *pb.RecycleWorkItemRequest) (*pb.WorkItem, error) {
	return s.change(ctx, req.GetId(), req.GetEtag(), func(tx store.Tx, w *WorkItem, now time.Time) error {
		v, err := s.verdict(ctx, tx, req.GetReason())
		if err != nil {
			return err
		}
		return w.RecycleFor(v, access.ActorOf(ctx), req.GetNote(), timeOf(req.GetWakeAt()), now)
	})
}

// DisqualifyWorkItem implements WorkItemService.
func (s *Server) DisqualifyWorkItem(ctx context.Context, req *pb.DisqualifyWorkItemRequest) (*pb.WorkItem, error) {
	return s.change(ctx, req.GetId(), req.GetEtag(), func(tx store.Tx, w *WorkItem, now time.Time) error {
		v, err := s.verdict(ctx, tx, req.GetReason())
		if err != nil {
			return err
		}
		return w.DisqualifyFor(v, access.ActorOf(ctx), req.GetNote(), now)
	})
}

// verdict looks a reason of kind MQL up. REASON_UNKNOWN when there is none.
func (s *Server) verdict(ctx context.Context, tx store.Tx, code string) (Verdict, error) {
	r, err := s.handoffs.Reason(ctx, tx, handoffv1.Kind_KIND_MQL, code)
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{
		Code:      r.GetCode(),
		Recycles:  r.GetAction() == handoffv1.Reason_ACTION_RECYCLE,
		Archives:  r.GetAction() == handoffv1.Reason_ACTION_ARCHIVE,
		WakeAfter: time.Duration(r.GetWakeAfterDays()) * 24 * time.Hour,
	}, nil
}
