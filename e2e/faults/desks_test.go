package faults

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tasuki-project/tasuki/e2e/scenario"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
)

// A key belongs to one body: what depends on the time is the same in all repetitions.
var (
	soon    = time.Now().Add(48 * time.Hour).Truncate(time.Hour)
	winning = scenario.WinRequest()
	growing = scenario.GrowRequest()
	today   = scenario.Day(time.Now())
)

// handoffs reads one side of a desk in some states.
func handoffs(ctx context.Context, p person, box, states string) []*handoffv1.Handoff {
	found, _ := pages(ctx, p, "/v1/handoffs?box="+box+states, (*handoffv1.ListHandoffsResponse).GetHandoffs) // next round
	return found
}

const (
	offered  = "&states=STATE_OFFERED"
	returned = "&states=STATE_RETURNED"
)

// act does one thing to a handoff, and returns it as it was acknowledged: without an etag that may be a later attempt.
func act(ctx context.Context, p person, h *handoffv1.Handoff, command string, in proto.Message) (*handoffv1.Handoff, error) {
	key := fmt.Sprintf("%s-%s-%s-%s", command, h.GetId(), h.GetEtag(), p.name)
	after := &handoffv1.Handoff{}
	return after, p.post(ctx, "/v1/handoffs/"+h.GetId()+":"+command, key, in, after)
}

// odds are the chances, in percent, that an offer is rejected or, the first time, returned.
type odds struct {
	reject   int
	reason   string
	giveBack int
	missing  string
}

// decide accepts, rejects or returns an offer. Two people of a desk may well disagree.
func decide(ctx context.Context, p person, h *handoffv1.Handoff, o odds) error {
	command, in := "accept", proto.Message(&handoffv1.AcceptHandoffRequest{Note: "ok", Assignee: p.name})
	switch n := dice(h.GetId(), h.GetAttempt(), p.name); {
	case n < o.reject:
		command, in = "reject", &handoffv1.RejectHandoffRequest{Reason: o.reason}
	case n < o.reject+o.giveBack && h.GetAttempt() == 1:
		command, in = "return", &handoffv1.ReturnHandoffRequest{Missing: []string{o.missing}}
	}
	after, err := act(ctx, p, h, command, in)
	if err == nil {
		p.journal.decided(attempt{h.GetId(), after.GetAttempt()}, decision{command, p.name})
	}
	return err
}

// resubmit offers what came back again.
func resubmit(ctx context.Context, p person) int {
	return each(ctx, handoffs(ctx, p, "BOX_OUTBOX", returned), func(ctx context.Context, h *handoffv1.Handoff) error {
		_, err := act(ctx, p, h, "resubmit", &handoffv1.ResubmitHandoffRequest{Note: "確認した"})
		return err
	})
}

// marketing completes what came back, and takes some offers back.
func (c *crowd) marketing(ctx context.Context, p person) int {
	done := resubmit(ctx, p)
	return done + each(ctx, handoffs(ctx, p, "BOX_OUTBOX", offered), func(ctx context.Context, h *handoffv1.Handoff) error {
		if dice(h.GetId(), "recall") >= 4 {
			return errSettled
		}
		_, err := act(ctx, p, h, "recall", &handoffv1.RecallHandoffRequest{Note: "誤り"})
		return err
	})
}

func (c *crowd) insideSales(ctx context.Context, p person) int {
	done := each(ctx, handoffs(ctx, p, "BOX_INBOX", offered), func(ctx context.Context, h *handoffv1.Handoff) error {
		return decide(ctx, p, h, odds{reject: 8, reason: "BAD_TIMING", giveBack: 8, missing: "person.title"})
	})
	done += resubmit(ctx, p)
	items, _ := pages(ctx, p, "/v1/work-items?states=STATE_ACCEPTED&states=STATE_WORKING&states=STATE_CONNECTED&states=STATE_QUALIFIED",
		(*insidesalesv1.ListWorkItemsResponse).GetWorkItems) // next round
	return done + each(ctx, items, func(ctx context.Context, w *insidesalesv1.WorkItem) error { return workOn(ctx, p, w) })
}

// workOn takes a work item one step further.
func workOn(ctx context.Context, p person, w *insidesalesv1.WorkItem) error {
	path := "/v1/work-items/" + w.GetId()
	recycle := func(reason string) error {
		return p.post(ctx, path+":recycle", "recycle-"+w.GetId(), &insidesalesv1.RecycleWorkItemRequest{Reason: reason}, &insidesalesv1.WorkItem{})
	}
	switch w.GetState() {
	case insidesalesv1.WorkItem_STATE_ACCEPTED:
		if dice(w.GetId(), "call") < 30 {
			return logCall(ctx, p, w, insidesalesv1.Activity_RESULT_NO_ANSWER)
		}
		return logCall(ctx, p, w, insidesalesv1.Activity_RESULT_CONNECTED)
	case insidesalesv1.WorkItem_STATE_WORKING:
		switch {
		case w.GetMeetingHandoffId() != "" && w.GetReason() == "RETURNED":
			return errSettled // the meeting is offered again
		case w.GetMeetingHandoffId() != "":
			return recycle("BAD_TIMING") // nobody came to the meeting
		}
		return logCall(ctx, p, w, insidesalesv1.Activity_RESULT_CONNECTED)
	case insidesalesv1.WorkItem_STATE_CONNECTED:
		if dice(w.GetId(), "qualify") < 10 {
			return recycle("NO_BUDGET")
		}
		return p.post(ctx, path+":qualify", "qualify-"+w.GetId(), &insidesalesv1.QualifyWorkItemRequest{
			Answers: &handoffv1.QualificationAnswers{Issue: "引き継ぎ漏れ", Budget: "300万円", Need: "見える化", Timeline: "今期中"},
		}, &insidesalesv1.WorkItem{})
	}
	return p.post(ctx, path+":offerMeeting", "meeting-"+w.GetId(), &insidesalesv1.OfferMeetingRequest{
		StartsAt: timestamppb.New(soon), EndsAt: timestamppb.New(soon.Add(time.Hour)), MeetingType: "ONLINE", BuyingStage: "CONSIDERATION",
	}, &insidesalesv1.WorkItem{})
}

// logCall writes a call down. Its note tells it from all others.
func logCall(ctx context.Context, p person, w *insidesalesv1.WorkItem, result insidesalesv1.Activity_Result) error {
	note := fmt.Sprintf("call-%s-%s-%s", w.GetId(), w.GetEtag(), p.name)
	p.journal.tried(note)
	err := p.post(ctx, "/v1/work-items/"+w.GetId()+"/activities", note, &insidesalesv1.LogActivityRequest{
		Kind: insidesalesv1.Activity_KIND_CALL, Direction: insidesalesv1.Activity_DIRECTION_OUTBOUND, Result: result, Note: note,
	}, &insidesalesv1.Activity{})
	if err == nil {
		p.journal.note(func(j *journal) { j.calls[note] = true })
	}
	return err
}

func (c *crowd) fieldSales(ctx context.Context, p person) int {
	done := each(ctx, handoffs(ctx, p, "BOX_INBOX", offered), func(ctx context.Context, h *handoffv1.Handoff) error {
		if h.GetKind() == handoffv1.Kind_KIND_CSQL {
			return decide(ctx, p, h, odds{reject: 20, reason: "TIMING", giveBack: 15, missing: "product"})
		}
		return decide(ctx, p, h, odds{reject: 8, reason: "NO_SHOW", giveBack: 8, missing: "answers.issue"})
	})
	done += resubmit(ctx, p)
	open, _ := pages(ctx, p, "/v1/opportunities?states=STATE_OPEN", (*fieldsalesv1.ListOpportunitiesResponse).GetOpportunities) // next round
	return done + each(ctx, open, func(ctx context.Context, o *fieldsalesv1.Opportunity) error { return sell(ctx, p, o) })
}

// next is the stage after a stage.
var next = map[string]string{"QUALIFYING": "DISCOVERY", "DISCOVERY": "PROPOSAL", "PROPOSAL": "NEGOTIATION", "NEGOTIATION": "VERBAL"}

// sell takes an opportunity one step further.
func sell(ctx context.Context, p person, o *fieldsalesv1.Opportunity) error {
	path := "/v1/opportunities/" + o.GetId()
	after := &fieldsalesv1.Opportunity{}
	switch {
	case o.GetStage() == "DISCOVERY" && dice(o.GetId(), "lose") < 20:
		return p.post(ctx, path+":closeLost", "lost-"+o.GetId(), &fieldsalesv1.CloseLostRequest{Reason: "TIMING", Note: "来期"}, after)
	case o.GetStage() == "DISCOVERY" && o.GetAmount() == nil:
		return p.send(ctx, http.MethodPatch, path, "amount-"+o.GetId(), &fieldsalesv1.UpdateOpportunityRequest{
			Amount: scenario.Yen(1_560_000), ExpectedCloseDate: scenario.Day(soon),
		}, after)
	case next[o.GetStage()] != "":
		return p.post(ctx, path+":moveStage", "stage-"+o.GetStage()+"-"+o.GetId()+"-"+p.name, &fieldsalesv1.MoveStageRequest{
			Etag: o.GetEtag(), Stage: next[o.GetStage()],
			NextAction: &fieldsalesv1.NextActionInput{Description: "次回打ち合わせ", DueAt: timestamppb.New(soon)},
		}, after)
	}
	contract := winning
	if o.GetCustomerId() != "" {
		contract = growing
	}
	err := p.post(ctx, path+":closeWon", "won-"+o.GetId()+"-"+p.name, contract, after)
	if err == nil {
		p.journal.note(func(j *journal) { j.won[o.GetId()] = true })
	}
	return err
}

func (c *crowd) customerSuccess(ctx context.Context, p person) int {
	done := each(ctx, handoffs(ctx, p, "BOX_INBOX", offered), func(ctx context.Context, h *handoffv1.Handoff) error {
		return decide(ctx, p, h, odds{giveBack: 10, missing: "success_criteria"})
	})
	plans, _ := pages(ctx, p, "/v1/onboarding-plans?states=STATE_PLANNED&states=STATE_IN_PROGRESS",
		(*customersuccessv1.ListOnboardingPlansResponse).GetPlans) // next round
	done += each(ctx, plans, func(ctx context.Context, plan *customersuccessv1.OnboardingPlan) error { return onboard(ctx, p, plan) })
	return done + resubmit(ctx, p) + c.expand(ctx, p) + settleIn(ctx, p)
}

// onboard takes a plan one step further.
func onboard(ctx context.Context, p person, plan *customersuccessv1.OnboardingPlan) error {
	path, after := "/v1/onboarding-plans/"+plan.GetId(), &customersuccessv1.OnboardingPlan{}
	if plan.GetState() == customersuccessv1.OnboardingPlan_STATE_PLANNED {
		return p.post(ctx, path+":start", "start-"+plan.GetId(), &customersuccessv1.StartOnboardingRequest{}, after)
	}
	for _, m := range plan.GetMilestones() {
		if m.GetMandatory() && m.GetState() == customersuccessv1.Milestone_STATE_OPEN {
			return p.post(ctx, path+"/milestones/"+m.GetCode()+":complete", "milestone-"+m.GetCode()+"-"+plan.GetId(),
				&customersuccessv1.CompleteMilestoneRequest{}, after)
		}
	}
	return p.post(ctx, path+":complete", "complete-"+plan.GetId(), &customersuccessv1.CompleteOnboardingRequest{}, after)
}
