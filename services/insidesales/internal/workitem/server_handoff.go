package workitem

import (
	"context"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// AssignWorkItem implements WorkItemService. While nobody has accepted, the handoff is assigned, and takes the work item
// along by its hook: both ledgers name the same person.
func (s *Server) AssignWorkItem(ctx context.Context, req *pb.AssignWorkItemRequest) (*pb.WorkItem, error) {
	return store.Write(ctx, s.db, func(tx store.Tx) (*pb.WorkItem, error) {
		w, err := s.items.ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		if w.Source == MQL && w.State.Undecided() && w.Assignee != req.GetAssignee() {
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

// OfferMeeting implements WorkItemService.
func (s *Server) OfferMeeting(ctx context.Context, req *pb.OfferMeetingRequest) (*pb.WorkItem, error) {
	return s.change(ctx, req.GetId(), req.GetEtag(), func(tx store.Tx, w *WorkItem, now time.Time) error {
		if err := w.CanOfferMeeting(); err != nil {
			return err
		}
		payload, err := meetingOf(w, req)
		if err != nil {
			return err
		}
		offer := handoff.NewOffer{
			Kind: handoffv1.Kind_KIND_MEETING, JourneyID: w.JourneyID, PersonID: w.Person.ID, AccountID: w.Company.ID,
			Payload:       &handoffv1.Payload{Kind: &handoffv1.Payload_Meeting{Meeting: payload}},
			SenderSubject: subject(w.ID),
		}
		if w.MeetingHandoffID != "" {
			earlier, err := s.handoffs.Get(ctx, tx, w.MeetingHandoffID)
			if err != nil {
				return err
			}
			offer.ChainID = earlier.GetChainId()
		}
		h, err := s.handoffs.Offer(ctx, tx, offer)
		if err != nil {
			return err
		}
		return w.MeetingIsOffered(h.GetId(), access.ActorOf(ctx), now)
	})
}

func meetingOf(w *WorkItem, req *pb.OfferMeetingRequest) (*handoffv1.MeetingPayload, error) {
	mql, err := offerOf(w)
	if err != nil {
		return nil, err
	}
	return &handoffv1.MeetingPayload{
		MqlHandoffId: w.MQLHandoffID, Person: personProto(w.Person), Company: companyProto(w.Company),
		Answers: answersProto(w.Answers), Attendees: req.GetAttendees(), StartsAt: req.GetStartsAt(), EndsAt: req.GetEndsAt(),
		MeetingType: req.GetMeetingType(), Host: req.GetHost(), Url: req.GetUrl(), Temperature: req.GetTemperature(),
		BuyingStage: req.GetBuyingStage(), Competitor: req.GetCompetitor(), Notes: req.GetNotes(),
		FirstTouch: mql.GetFirstTouch(), LastTouch: mql.GetLastTouch(),
	}, nil
}
