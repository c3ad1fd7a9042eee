package demo

import (
	"context"
	"net/url"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
)

var sdrs = []string{"suzuki", "ito", "watanabe"}

// insideSalesActs decides on what marketing offers, calls, qualifies, and books meetings.
func (p *Play) insideSalesActs(ctx context.Context) (int, error) {
	offers, err := p.offers(ctx, insideSales)
	if err != nil {
		return 0, err
	}
	moved, err := each(ctx, p, offers, p.decideOnLead)
	if err != nil {
		return moved, err
	}
	items, err := p.workItems(ctx, "STATE_ACCEPTED", "STATE_WORKING", "STATE_CONNECTED", "STATE_QUALIFIED")
	if err != nil {
		return moved, err
	}
	n, err := each(ctx, p, items, p.workOn)
	return moved + n, err
}

func (p *Play) decideOnLead(ctx context.Context, h *handoffv1.Handoff) error {
	mql := h.GetPayload().GetMql()
	key := mql.GetPerson().GetMail() + mql.GetPerson().GetPhone()
	switch n := mql.GetCompany().GetEmployees(); {
	case n > 0 && n < 10:
		return p.reject(ctx, insideSales, h, "TOO_SMALL", "従業員10名未満 / fewer than 10 people")
	case dice(key, "decide on lead") < 7:
		return p.reject(ctx, insideSales, h, "BAD_TIMING", "来期の予算で検討 / next fiscal year")
	case dice(key, "decide on lead") < 10:
		return p.reject(ctx, insideSales, h, "WRONG_ROLE", "担当者ではない / not the right person")
	}
	return p.accept(ctx, insideSales, h, sdrs[dice(key, "sdr")%len(sdrs)])
}

// workOn takes a work item one step further, depending on where it stands.
func (p *Play) workOn(ctx context.Context, w *insidesalesv1.WorkItem) error {
	key := w.GetPerson().GetMail() + w.GetPerson().GetPhone()
	switch w.GetState() {
	case insidesalesv1.WorkItem_STATE_ACCEPTED:
		if dice(key, "first call") < 35 {
			return p.logCall(ctx, w, insidesalesv1.Activity_RESULT_NO_ANSWER, "不在 / no answer")
		}
		return p.logCall(ctx, w, insidesalesv1.Activity_RESULT_CONNECTED, "課題をヒアリング / asked what hurts")
	case insidesalesv1.WorkItem_STATE_WORKING:
		if w.GetMeetingHandoffId() != "" { // field sales sent the meeting back
			return p.recycle(ctx, w, "BAD_TIMING", "商談不成立 / the meeting did not come about")
		}
		if dice(key, "reach") < 15 {
			return p.recycle(ctx, w, "NO_RESPONSE", "3回架電、応答なし / three calls, no response")
		}
		return p.logCall(ctx, w, insidesalesv1.Activity_RESULT_CONNECTED, "2回目で接続 / reached at the second call")
	case insidesalesv1.WorkItem_STATE_CONNECTED:
		switch n := dice(key, "qualify"); {
		case n < 20:
			return p.recycle(ctx, w, "BAD_TIMING", "今ではない / not now")
		case n < 26:
			return p.recycle(ctx, w, "NO_BUDGET", "予算なし / no budget this year")
		case n < 30:
			return p.rest.post(ctx, insideSales, "/v1/work-items/"+w.GetId()+":disqualify", "demo-disqualify-"+w.GetId()+"-"+w.GetEtag(),
				&insidesalesv1.DisqualifyWorkItemRequest{Reason: "NOT_A_PROJECT", Note: "情報収集のみ / only looking around"}, &insidesalesv1.WorkItem{})
		}
		return p.rest.post(ctx, insideSales, "/v1/work-items/"+w.GetId()+":qualify", "demo-qualify-"+w.GetId()+"-"+w.GetEtag(), &insidesalesv1.QualifyWorkItemRequest{
			Answers: &handoffv1.QualificationAnswers{
				Issue: "部門間の引き継ぎで案件が漏れる / leads get lost between departments", Budget: "年間300万円 / JPY 3M a year",
				Need: "引き継ぎの見える化 / see every hand-over", Timeline: "今期中 / this fiscal year",
			},
		}, &insidesalesv1.WorkItem{})
	case insidesalesv1.WorkItem_STATE_QUALIFIED:
		// Tomorrow at 10:00 in Tokyo, for an hour.
		start := time.Now().UTC().Truncate(24 * time.Hour).Add(25 * time.Hour)
		return p.rest.post(ctx, insideSales, "/v1/work-items/"+w.GetId()+":offerMeeting", "demo-meeting-"+w.GetId()+"-"+w.GetEtag(), &insidesalesv1.OfferMeetingRequest{
			StartsAt: timestamppb.New(start), EndsAt: timestamppb.New(start.Add(time.Hour)), MeetingType: "ONLINE",
			Host: "takahashi", Url: "https://meet.example/" + w.GetId(), Temperature: "WARM", BuyingStage: "CONSIDERATION",
			Notes: "製品デモを希望 / wants to see the product",
		}, &insidesalesv1.WorkItem{})
	}
	return nil
}

func (p *Play) logCall(ctx context.Context, w *insidesalesv1.WorkItem, result insidesalesv1.Activity_Result, note string) error {
	return p.rest.post(ctx, insideSales, "/v1/work-items/"+w.GetId()+"/activities", "demo-call-"+w.GetId()+"-"+w.GetEtag(), &insidesalesv1.LogActivityRequest{
		Kind: insidesalesv1.Activity_KIND_CALL, Direction: insidesalesv1.Activity_DIRECTION_OUTBOUND, Result: result, Note: note,
	}, &insidesalesv1.Activity{})
}

func (p *Play) recycle(ctx context.Context, w *insidesalesv1.WorkItem, reason, note string) error {
	return p.rest.post(ctx, insideSales, "/v1/work-items/"+w.GetId()+":recycle", "demo-recycle-"+w.GetId()+"-"+w.GetEtag(),
		&insidesalesv1.RecycleWorkItemRequest{Reason: reason, Note: note}, &insidesalesv1.WorkItem{})
}

func (p *Play) workItems(ctx context.Context, states ...string) ([]*insidesalesv1.WorkItem, error) {
	var found []*insidesalesv1.WorkItem
	err := pages(func(token string) (string, error) {
		var page insidesalesv1.ListWorkItemsResponse
		err := p.rest.get(ctx, insideSales, "/v1/work-items", url.Values{"pageSize": {"500"}, "pageToken": {token}, "states": states}, &page)
		found = append(found, page.GetWorkItems()...)
		return page.GetNextPageToken(), err
	})
	return found, err
}
