package opportunity

import (
	"context"
	"time"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// command is a request on one deal.
type command interface {
	GetId() string
	GetEtag() string
}

// change runs a command on a deal in one transaction.
func (s *Server) change(ctx context.Context, req command, do func(store.Tx, *Opportunity, pipeline.Stages, time.Time) error) (*fieldsalesv1.Opportunity, error) {
	return store.Write(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.Opportunity, error) {
		o, err := ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		stages, err := pipeline.LoadStages(ctx, tx)
		if err != nil {
			return nil, err
		}
		if err := do(tx, o, stages, s.Clock.Now()); err != nil {
			return nil, err
		}
		return o.message(stages), s.save(ctx, tx, o, stages, nil)
	})
}

// firstAction fulfils the handoff that the deal came from, when this is the first thing that was done.
func (s *Server) firstAction(ctx context.Context, tx store.Tx, o *Opportunity, note string) error {
	if !o.FirstAction() {
		return nil
	}
	_, err := s.Handoffs.Fulfil(ctx, tx, o.SourceHandoffID, note)
	return err
}

// UpdateOpportunity implements OpportunityService.
func (s *Server) UpdateOpportunity(ctx context.Context, req *fieldsalesv1.UpdateOpportunityRequest) (*fieldsalesv1.Opportunity, error) {
	amount, expected, err := expectation(req.GetAmount(), req.GetExpectedCloseDate())
	if err != nil {
		return nil, err
	}
	edit := Edit{
		Name: req.Name, Owner: req.Owner, Competitor: req.Competitor, ExpansionRoom: req.ExpansionRoom, ProposalRoom: req.ProposalRoom,
	}
	if req.GetAmount() != nil {
		edit.Amount = &amount
	}
	if req.GetExpectedCloseDate() != nil {
		edit.ExpectedClose = &expected
	}
	if req.GetContact() != nil {
		contact := party.PersonOf(req.GetContact()).Named()
		edit.Contact = &contact
	}
	return s.change(ctx, req, func(_ store.Tx, o *Opportunity, _ pipeline.Stages, now time.Time) error {
		if edit.Contact != nil {
			contact := edit.Contact.Identified(o.Contact)
			edit.Contact = &contact
		}
		return o.Change(edit, now)
	})
}

// MoveStage implements OpportunityService.
func (s *Server) MoveStage(ctx context.Context, req *fieldsalesv1.MoveStageRequest) (*fieldsalesv1.Opportunity, error) {
	var next *NextAction
	if n := req.GetNextAction(); n != nil {
		next = &NextAction{Description: n.GetDescription(), DueAt: moment(n.GetDueAt())}
	}
	return s.change(ctx, req, func(tx store.Tx, o *Opportunity, stages pipeline.Stages, now time.Time) error {
		if err := o.MoveTo(req.GetStage(), req.GetReason(), next, stages, access.ActorOf(ctx), now); err != nil {
			return err
		}
		return s.firstAction(ctx, tx, o, "moved to "+o.Stage)
	})
}

// SetNextAction implements OpportunityService.
func (s *Server) SetNextAction(ctx context.Context, req *fieldsalesv1.SetNextActionRequest) (*fieldsalesv1.Opportunity, error) {
	return s.change(ctx, req, func(tx store.Tx, o *Opportunity, _ pipeline.Stages, now time.Time) error {
		next := NextAction{Description: req.GetDescription(), DueAt: moment(req.GetDueAt())}
		if err := o.Agree(next, now); err != nil {
			return err
		}
		return s.firstAction(ctx, tx, o, next.Description)
	})
}

// CloseLost implements OpportunityService.
func (s *Server) CloseLost(ctx context.Context, req *fieldsalesv1.CloseLostRequest) (*fieldsalesv1.Opportunity, error) {
	var wakeAt *time.Time
	if req.GetWakeAt() != nil {
		at := moment(req.GetWakeAt())
		wakeAt = &at
	}
	return s.change(ctx, req, func(tx store.Tx, o *Opportunity, _ pipeline.Stages, now time.Time) error {
		if err := o.Check(CloseLost); err != nil {
			return err
		}
		reasons, err := pipeline.LoadReasons(ctx, tx)
		if err != nil {
			return err
		}
		reason, known := reasons.Get(req.GetReason())
		if !known {
			return problem.ReasonUnknown(req.GetReason(), "closeLost", reasons.Codes()...)
		}
		if err := o.Lose(reason, req.GetCompetitor(), req.GetNote(), wakeAt, access.ActorOf(ctx), now); err != nil {
			return err
		}
		// A deal that ends before anything was done must not leave a clock running.
		return s.firstAction(ctx, tx, o, "closed as lost: "+reason.Code)
	})
}

// Hold implements OpportunityService.
func (s *Server) Hold(ctx context.Context, req *fieldsalesv1.HoldRequest) (*fieldsalesv1.Opportunity, error) {
	until := moment(req.GetUntil())
	return s.change(ctx, req, func(tx store.Tx, o *Opportunity, _ pipeline.Stages, now time.Time) error {
		if err := o.Rest(until, access.ActorOf(ctx), req.GetNote(), now); err != nil {
			return err
		}
		return s.Jobs.Insert(ctx, tx, ResumeArgs{OpportunityID: o.ID, Until: until}, jobs.Opts{RunAt: until})
	})
}

// Resume implements OpportunityService.
func (s *Server) Resume(ctx context.Context, req *fieldsalesv1.ResumeRequest) (*fieldsalesv1.Opportunity, error) {
	return s.change(ctx, req, func(_ store.Tx, o *Opportunity, _ pipeline.Stages, now time.Time) error {
		return o.WakeUp(access.ActorOf(ctx), req.GetNote(), now)
	})
}

// Reopen implements OpportunityService.
func (s *Server) Reopen(ctx context.Context, req *fieldsalesv1.ReopenRequest) (*fieldsalesv1.Opportunity, error) {
	return s.change(ctx, req, func(_ store.Tx, o *Opportunity, stages pipeline.Stages, now time.Time) error {
		return o.OpenAgain(req.GetReason(), stages, access.ActorOf(ctx), now)
	})
}

// ResumeArgs is the timer of a deal that rests.
type ResumeArgs struct {
	OpportunityID string    `json:"opportunity_id"`
	Until         time.Time `json:"until"`
}

// Kind implements jobs.Args.
func (ResumeArgs) Kind() string { return "opportunity.resume" }

// ResumeDue opens a deal whose time has come. One that was resumed, closed, or put on hold again meanwhile is left alone.
func (s *Server) ResumeDue(ctx context.Context, job *jobs.Job[ResumeArgs]) error {
	_, err := store.Write(ctx, s.DB, func(tx store.Tx) (struct{}, error) {
		o, err := ForUpdate(ctx, tx, job.Args.OpportunityID, etag.Match(""))
		if err != nil || o.HoldUntil == nil || !o.HoldUntil.Equal(job.Args.Until) {
			return struct{}{}, err
		}
		now := s.Clock.Now()
		if wait := o.HoldUntil.Sub(now); wait > 0 {
			return struct{}{}, jobs.Again(wait)
		}
		stages, err := pipeline.LoadStages(ctx, tx)
		if err != nil {
			return struct{}{}, err
		}
		if err := o.WakeUp(access.ActorOf(ctx), "", now); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, s.save(ctx, tx, o, stages, nil)
	})
	return err
}
