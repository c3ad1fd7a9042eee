package workitem

import (
	"context"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// AssignWorkItem implements WorkItemService. While the handoff is open it is what is assigned, and takes the work item
// along by its hook: both ledgers name the same person.
func (s *Server) AssignWorkItem(ctx context.Context, req *pb.AssignWorkItemRequest) (*pb.WorkItem, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.WorkItem, error) {
		w, err := s.items.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		open, err := s.handoffIsOpen(ctx, tx, w)
		if err != nil {
			return nil, err
		}
		if open && w.Assignee != req.GetAssignee() {
			if _, err := s.handoffs.Assign(ctx, tx, w.MQLHandoffID, req.GetAssignee()); err != nil {
				return nil, err
			}
			if w, err = s.items.ForUpdate(ctx, tx, req.GetId(), etag.Match("")); err != nil {
				return nil, err
			}
		}
		if err := w.AssignTo(req.GetAssignee(), access.ActorOf(ctx), s.clock.Now()); err != nil {
			return nil, err
		}
		if err := s.items.Save(ctx, tx, w); err != nil {
			return nil, err
		}
		return itemProto(w)
	})
}

// handoffIsOpen tells whether the handoff that a work item came with can still be put into other hands.
func (s *Server) handoffIsOpen(ctx context.Context, tx store.Tx, w *WorkItem) (bool, error) {
	if w.Source != MQL || !w.State.Undecided() && w.State != Accepted {
		return false, nil
	}
	h, err := s.handoffs.Get(ctx, tx, w.MQLHandoffID)
	state := h.GetState()
	return state == handoffv1.State_STATE_OFFERED || state == handoffv1.State_STATE_ACCEPTED, err
}

// OfferMeeting implements WorkItemService. A meeting that was returned or has expired is offered again as the next attempt
// of the same handoff; after a refusal a new handoff goes on in the chain.
func (s *Server) OfferMeeting(ctx context.Context, req *pb.OfferMeetingRequest) (*pb.WorkItem, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.WorkItem, error) {
		w, err := s.items.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		if err := w.CanOfferMeeting(); err != nil {
			return nil, err
		}
		payload, err := meetingOf(w, req)
		if err != nil {
			return nil, err
		}
		chain := ""
		if w.MeetingHandoffID != "" {
			earlier, err := s.handoffs.Get(ctx, tx, w.MeetingHandoffID)
			if err != nil {
				return nil, err
			}
			switch earlier.GetState() {
			case handoffv1.State_STATE_RETURNED, handoffv1.State_STATE_EXPIRED:
				return s.reofferMeeting(ctx, tx, w, payload)
			}
			chain = earlier.GetChainId()
		}
		h, err := s.handoffs.Offer(ctx, tx, handoff.NewOffer{
			Kind: handoffv1.Kind_KIND_MEETING, JourneyID: w.JourneyID, PersonID: w.Person.ID, AccountID: w.Company.ID,
			Payload: payload, SenderSubject: subject(w.ID), ChainID: chain,
		})
		if err != nil {
			return nil, err
		}
		if err := w.MeetingIsOffered(h.GetId(), access.ActorOf(ctx), s.clock.Now()); err != nil {
			return nil, err
		}
		if err := s.items.Save(ctx, tx, w); err != nil {
			return nil, err
		}
		return itemProto(w)
	})
}

func (s *Server) reofferMeeting(ctx context.Context, tx store.Tx, w *WorkItem, payload *handoffv1.Payload) (*pb.WorkItem, error) {
	if _, err := s.handoffs.Resubmit(ctx, tx, w.MeetingHandoffID, payload, ""); err != nil {
		return nil, err
	}
	w, err := s.items.Get(ctx, tx, w.ID)
	if err != nil {
		return nil, err
	}
	return itemProto(w)
}

func meetingOf(w *WorkItem, req *pb.OfferMeetingRequest) (*handoffv1.Payload, error) {
	mql, err := offerOf(w)
	if err != nil {
		return nil, err
	}
	return &handoffv1.Payload{Kind: &handoffv1.Payload_Meeting{Meeting: &handoffv1.MeetingPayload{
		MqlHandoffId: w.MQLHandoffID, Person: w.Person.Proto(), Company: companyProto(w.Company),
		Answers: answersProto(w.Answers), Attendees: req.GetAttendees(), StartsAt: req.GetStartsAt(), EndsAt: req.GetEndsAt(),
		MeetingType: req.GetMeetingType(), Host: req.GetHost(), Url: req.GetUrl(), Temperature: req.GetTemperature(),
		BuyingStage: req.GetBuyingStage(), Competitor: req.GetCompetitor(), Notes: req.GetNotes(),
		FirstTouch: mql.GetFirstTouch(), LastTouch: mql.GetLastTouch(),
	}}}, nil
}
