package demo

import (
	"context"
	"net/url"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

// handoffs lists what lies on the desk of a department.
func (p *Play) handoffs(ctx context.Context, s staff, filter url.Values) ([]*handoffv1.Handoff, error) {
	var found []*handoffv1.Handoff
	err := pages(func(token string) (string, error) {
		var page handoffv1.ListHandoffsResponse
		query := url.Values{"pageSize": {"500"}, "pageToken": {token}}
		for k, v := range filter {
			query[k] = v
		}
		err := p.rest.get(ctx, s, "/v1/handoffs", query, &page)
		found = append(found, page.GetHandoffs()...)
		return page.GetNextPageToken(), err
	})
	return found, err
}

// offers are the handoffs that wait for a decision of the department.
func (p *Play) offers(ctx context.Context, s staff) ([]*handoffv1.Handoff, error) {
	return p.handoffs(ctx, s, url.Values{"box": {"BOX_INBOX"}, "states": {"STATE_OFFERED"}})
}

func (p *Play) accept(ctx context.Context, s staff, h *handoffv1.Handoff, assignee string) error {
	return p.rest.post(ctx, s, "/v1/handoffs/"+h.GetId()+":accept", "demo-accept-"+h.GetId()+"-"+h.GetEtag(),
		&handoffv1.AcceptHandoffRequest{Assignee: assignee}, &handoffv1.Handoff{})
}

func (p *Play) reject(ctx context.Context, s staff, h *handoffv1.Handoff, reason, note string) error {
	return p.rest.post(ctx, s, "/v1/handoffs/"+h.GetId()+":reject", "demo-reject-"+h.GetId()+"-"+h.GetEtag(),
		&handoffv1.RejectHandoffRequest{Reason: reason, Note: note}, &handoffv1.Handoff{})
}
