package scenario

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/status"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// manyAtOnce hands a page of leads over with one command at each side. One that cannot be does not hold up the others, and the
// same key gives the same answer.
func manyAtOnce(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	const n = 12
	leads, qualify := make([]*marketingv1.Lead, n), &marketingv1.BatchQualifyLeadsRequest{}
	for i := range leads {
		leads[i] = &marketingv1.Lead{}
		r.Marketing.Must(t, http.MethodPost, "/v1/leads", r.CaptureRequest(fmt.Sprint("many", i), "web_visit"), leads[i])
		qualify.Requests = append(qualify.Requests, &marketingv1.QualifyLeadRequest{Id: leads[i].GetId(), Etag: leads[i].GetEtag()})
	}
	unknown := uuid.NewString()
	qualify.Requests = append(qualify.Requests, &marketingv1.QualifyLeadRequest{Id: unknown})
	key := rest.Header{Name: "Idempotency-Key", Value: uuid.NewString()}
	var qualified, again marketingv1.BatchQualifyLeadsResponse
	for _, answer := range []*marketingv1.BatchQualifyLeadsResponse{&qualified, &again} {
		r.Marketing.Must(t, http.MethodPost, "/v1/leads:batchQualify", qualify, answer, key)
		if len(answer.GetOutcomes()) != n+1 {
			t.Fatalf("%d outcomes, want %d", len(answer.GetOutcomes()), n+1)
		}
	}
	accept := &handoffv1.BatchAcceptHandoffsRequest{}
	for i, lead := range leads {
		id := qualified.GetOutcomes()[i].GetLead().GetHandoffId()
		if id == "" || id != again.GetOutcomes()[i].GetLead().GetHandoffId() {
			t.Fatalf("lead %d: %v, and with the same key %v", i, qualified.GetOutcomes()[i], again.GetOutcomes()[i])
		}
		r.Arrival(r.Inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
		accept.Requests = append(accept.Requests, &handoffv1.AcceptHandoffRequest{Id: id, Note: "この日にまとめて"})
	}
	if reason := rest.Reason(status.FromProto(qualified.GetOutcomes()[n].GetError()).Err()); reason != "RESOURCE_NOT_FOUND" {
		t.Errorf("a lead that nobody knows: %q", reason)
	}

	// Somebody else was faster with one of them.
	reject := &handoffv1.BatchRejectHandoffsRequest{Requests: []*handoffv1.RejectHandoffRequest{{Id: accept.GetRequests()[3].GetId(), Reason: "NO_BUDGET"}}}
	var rejected handoffv1.BatchRejectHandoffsResponse
	r.Inside.Must(t, http.MethodPost, "/v1/handoffs:batchReject", reject, &rejected)
	var accepted handoffv1.BatchAcceptHandoffsResponse
	r.Inside.Must(t, http.MethodPost, "/v1/handoffs:batchAccept", accept, &accepted)
	for i, lead := range leads {
		o, want := accepted.GetOutcomes()[i], marketingv1.Lead_STATE_ACCEPTED
		if i == 3 {
			want = marketingv1.Lead_STATE_RECYCLED
			if reason := rest.Reason(status.FromProto(o.GetError()).Err()); reason != "DECISION_TAKEN" {
				t.Errorf("the refused one: %v", o)
			}
		} else if o.GetHandoff().GetState() != handoffv1.State_STATE_ACCEPTED || o.GetHandoff().GetReceiverSubject() == "" {
			t.Errorf("handoff %d: %v", i, o)
		}
		r.AwaitLead(lead.GetId(), want)
	}

	assign := &handoffv1.BatchAssignHandoffsRequest{Requests: []*handoffv1.AssignHandoffRequest{{Id: accept.GetRequests()[0].GetId(), Assignee: "kato"}}}
	var assigned handoffv1.BatchAssignHandoffsResponse
	r.Inside.Must(t, http.MethodPost, "/v1/handoffs:batchAssign", assign, &assigned)
	if got := assigned.GetOutcomes()[0].GetHandoff().GetAssignee(); got != "kato" {
		t.Errorf("assigned to %q: %v", got, &assigned)
	}
	err := r.Inside.Call(t.Context(), http.MethodPost, "/v1/handoffs:batchAssign", &handoffv1.BatchAssignHandoffsRequest{}, &assigned)
	if rest.Reason(err) != "INVALID_FIELDS" {
		t.Errorf("nothing at all: %s", rest.Explain(err))
	}
}
