// Package scenario plays what people of the departments do, through the gateway only. The same scenarios run wherever
// Tasuki does: in one process, over processes, in containers, on Kubernetes.
package scenario

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// scenarios hold wherever Tasuki runs.
var scenarios = []struct {
	name string
	run  func(*testing.T, *house.House)
}{
	{"whole relay", wholeRelay},
	{"rejected lead comes back", rejectedLeadComesBack},
	{"returned handoff is offered again", returnedHandoff},
	{"recalled handoff", recalledHandoff},
	{"many at once", manyAtOnce},
	{"lost deal recycles the lead", lostDeal},
	{"no-show goes back to inside sales", noShow},
	{"a meeting that nobody takes up is seen", meetingNobodyTakesUp},
	{"feedback of customers comes back", feedbackComesBack},
	{"an expansion moves the ledger once", expansion},
	{"an expansion comes back", expansionComesBack},
	{"a withdrawal reaches everybody", withdrawalReachesEverybody},
	{"consents come with the handover", consentsComeWithTheHandover},
	{"merged people are one everywhere", mergedPeople},
	{"an erased person is forgotten everywhere", erasedPerson},
	{"import accounts for every row", importFile},
	{"the same key gives the same answer", idempotencyKeys},
	{"stale etags are refused", staleEtags},
	{"documented errors", documentedErrors},
	{"one decision wins", oneDecisionWins},
	{"watching the desk", watchDesk},
	{"the feed shows every event once", feedOnce},
}

// Run plays every scenario in a house that is ready.
func Run(t *testing.T, h *house.House) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { s.run(t, h) })
	}
}

func wholeRelay(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	lead := r.Capture("relay")
	if !lead.GetHot() || lead.GetScore().GetTotal() == 0 {
		t.Errorf("a demo request of a department head: hot %v, score %v", lead.GetHot(), lead.GetScore())
	}
	item := r.ToMeeting(lead)
	r.AwaitLead(lead.GetId(), marketingv1.Lead_STATE_ACCEPTED)

	opportunity := r.ToOpportunity(lead.GetJourneyId())
	r.AwaitLead(lead.GetId(), marketingv1.Lead_STATE_SQL)
	await(r, "the work item", insidesalesv1.WorkItem_STATE_HANDED_OVER, func() *insidesalesv1.WorkItem { return r.WorkItem(item) })

	won := r.Win(opportunity, WinRequest())
	if won.GetState() != fieldsalesv1.Opportunity_STATE_CLOSED_WON || won.GetContract().GetMrr().GetUnits() != 130_000 {
		t.Fatalf("won opportunity: %s, MRR %v, want 130,000", won.GetState(), won.GetContract().GetMrr())
	}

	_, customer := r.TakeOver(lead.GetJourneyId())
	plan := r.Onboard(customer)
	if plan.GetState() != customersuccessv1.OnboardingPlan_STATE_COMPLETED {
		t.Errorf("plan is %s", plan.GetState())
	}
	c := r.Customer(customer)
	if c.GetState() != customersuccessv1.Customer_STATE_ADOPTION || c.GetCommittedMrr().GetUnits() != 130_000 || c.GetJourneyId() != lead.GetJourneyId() {
		t.Errorf("customer: %s, MRR %v, journey %s (want %s)", c.GetState(), c.GetCommittedMrr(), c.GetJourneyId(), lead.GetJourneyId())
	}
	r.AwaitLead(lead.GetId(), marketingv1.Lead_STATE_CUSTOMER)
	house.Await(t, "field sales sees the handover fulfilled", func() error {
		var o fieldsalesv1.Opportunity
		r.Field.Must(t, http.MethodGet, "/v1/opportunities/"+opportunity, nil, &o)
		if o.GetHandoverState() != handoffv1.State_STATE_FULFILLED {
			return fmt.Errorf("handover is %s", o.GetHandoverState())
		}
		return nil
	})
	var history marketingv1.ListLeadTransitionsResponse
	r.Marketing.Must(t, http.MethodGet, "/v1/leads/"+lead.GetId()+"/transitions", nil, &history)
	var states []string
	for _, tr := range history.GetTransitions() {
		states = append(states, tr.GetTo())
	}
	if got, want := strings.Join(states, " "), "CAPTURED MAL MQL OFFERED ACCEPTED SQL CUSTOMER"; got != want {
		t.Errorf("the lead went %s, want %s", got, want)
	}
}

func rejectedLeadComesBack(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	lead := r.Capture("reject")
	offer := r.Arrival(r.Inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	var after handoffv1.Handoff
	r.Inside.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":reject", &handoffv1.RejectHandoffRequest{Reason: "BAD_TIMING", Note: "来期"}, &after)
	back := r.AwaitLead(lead.GetId(), marketingv1.Lead_STATE_RECYCLED)
	if back.GetLastReason() != "BAD_TIMING" || back.GetRecycleCount() != 1 {
		t.Errorf("recycled lead: reason %q, count %d", back.GetLastReason(), back.GetRecycleCount())
	}
	if days := time.Until(back.GetWakeAt().AsTime()).Hours() / 24; days < 59 || days > 61 {
		t.Errorf("it wakes up in %.1f days, want 60", days)
	}
	err := r.Inside.Call(t.Context(), http.MethodPost, "/v1/handoffs/"+offer.GetId()+":accept", &handoffv1.AcceptHandoffRequest{}, &after)
	if rest.Reason(err) != "DECISION_TAKEN" {
		t.Errorf("accepting a rejected handoff: %s", rest.Explain(err))
	}
}

func returnedHandoff(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	lead := r.Capture("return")
	offer := r.Arrival(r.Inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	var after handoffv1.Handoff
	r.Inside.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":return", &handoffv1.ReturnHandoffRequest{Missing: []string{"person.title"}}, &after)
	house.Await(t, "the sender sees the return", func() error {
		var mine handoffv1.GetHandoffResponse
		r.Marketing.Must(t, http.MethodGet, "/v1/handoffs/"+offer.GetId(), nil, &mine)
		if mine.GetHandoff().GetState() != handoffv1.State_STATE_RETURNED {
			return fmt.Errorf("it is %s", mine.GetHandoff().GetState())
		}
		return nil
	})
	r.Marketing.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":resubmit", &handoffv1.ResubmitHandoffRequest{Note: "確認した"}, &after)
	if after.GetAttempt() != 2 {
		t.Errorf("attempt %d after resubmitting, want 2", after.GetAttempt())
	}
	house.Await(t, "the second attempt arrives", func() error {
		list := r.Inbox(r.Inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
		if len(list) != 1 || list[0].GetAttempt() != 2 || list[0].GetState() != handoffv1.State_STATE_OFFERED {
			return fmt.Errorf("inbox: %v", list)
		}
		return nil
	})
}

func recalledHandoff(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	lead := r.Capture("recall")
	offer := r.Arrival(r.Inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	r.Marketing.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":recall", &handoffv1.RecallHandoffRequest{Note: "誤り"}, &handoffv1.Handoff{})
	house.Await(t, "both sides see the recall", func() error {
		for _, desk := range []rest.Client{r.Marketing, r.Inside} {
			var got handoffv1.GetHandoffResponse
			desk.Must(t, http.MethodGet, "/v1/handoffs/"+offer.GetId(), nil, &got)
			if got.GetHandoff().GetState() != handoffv1.State_STATE_RECALLED {
				return fmt.Errorf("%s has %s", desk.URL, got.GetHandoff().GetState())
			}
		}
		return nil
	})
}

func lostDeal(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	lead := r.Capture("lost")
	r.ToMeeting(lead)
	opportunity := r.ToOpportunity(lead.GetJourneyId())
	r.MoveStage(opportunity, "DISCOVERY")
	r.Field.Must(t, http.MethodPost, "/v1/opportunities/"+opportunity+":closeLost", &fieldsalesv1.CloseLostRequest{Reason: "TIMING", Note: "来期"}, &fieldsalesv1.Opportunity{})
	back := r.AwaitLead(lead.GetId(), marketingv1.Lead_STATE_RECYCLED)
	if back.GetWakeAt() == nil {
		t.Error("a lead that was lost for its timing has no wake date")
	}
}

func noShow(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	lead := r.Capture("noshow")
	item := r.ToMeeting(lead)
	meeting := r.Arrival(r.Field, lead.GetJourneyId(), handoffv1.Kind_KIND_MEETING)
	r.Field.Must(t, http.MethodPost, "/v1/handoffs/"+meeting.GetId()+":reject", &handoffv1.RejectHandoffRequest{Reason: "NO_SHOW"}, &handoffv1.Handoff{})
	house.Await(t, "the work item is worked on again", func() error {
		if w := r.WorkItem(item); w.GetState() != insidesalesv1.WorkItem_STATE_WORKING || w.GetReason() != "NO_SHOW" {
			return fmt.Errorf("work item is %s, reason %q", w.GetState(), w.GetReason())
		}
		return nil
	})
}

func importFile(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	mail := func(n int) string { return fmt.Sprintf("p%d@import-%s.example", n, r.Sequence) }
	file := "会社名,氏名,メールアドレス,電話番号,役職,従業員数,流入経路,血液型\r\n" +
		"㈱輸入,山田　太郎," + mail(1) + ",０３－１２３４－５６７８,部長,１２０名,展示会,A\r\n" +
		"（株）輸入,山田 次郎,\" " + strings.ToUpper(mail(2)) + " \",,課長,\"1,200\",ウェビナー,B\r\n" +
		"株式会社輸入,山田　太郎," + mail(1) + ",,部長,120,広告,O\r\n" +
		"株式会社無効,鈴木,壊れたメール,,担当,多数,広告,AB\r\n" +
		"\"株式会社改行\n東京本社\",高橋 花子," + mail(3) + ",,,,紹介,A\r\n"
	var started marketingv1.LeadImport
	_, text, err := r.Marketing.Do(t.Context(), http.MethodPost, "/v1/leads:import?filename=list.csv", []byte(file), rest.Header{Name: "Content-Type", Value: "text/csv"})
	if err != nil || protojson.Unmarshal(text, &started) != nil {
		t.Fatalf("import: %v %s", err, text)
	}
	done := &marketingv1.LeadImport{}
	house.Await(t, "the import is done", func() error {
		r.Marketing.Must(t, http.MethodGet, "/v1/lead-imports/"+started.GetId(), nil, done)
		if done.GetState() != marketingv1.LeadImport_STATE_DONE {
			return fmt.Errorf("it is %s", done.GetState())
		}
		return nil
	})
	if done.GetCreatedCount() != 3 || done.GetDuplicateCount() != 1 || done.GetInvalidCount() != 1 || done.GetTotalRows() != 5 {
		t.Errorf("created %d duplicate %d invalid %d of %d", done.GetCreatedCount(), done.GetDuplicateCount(), done.GetInvalidCount(), done.GetTotalRows())
	}
	if len(done.GetUnknownColumns()) != 1 || done.GetUnknownColumns()[0] != "血液型" {
		t.Errorf("unknown columns %v", done.GetUnknownColumns())
	}
	var rows marketingv1.ListLeadImportRowsResponse
	r.Marketing.Must(t, http.MethodGet, "/v1/lead-imports/"+started.GetId()+"/rows?outcomes=OUTCOME_INVALID", nil, &rows)
	if len(rows.GetLeadImportRows()) != 1 || rows.GetLeadImportRows()[0].GetLine() != 5 || len(rows.GetLeadImportRows()[0].GetProblems()) == 0 {
		t.Fatalf("broken rows: %v", rows.GetLeadImportRows())
	}
	if p := rows.GetLeadImportRows()[0].GetProblems()[0]; p.GetColumn() != "メールアドレス" || p.GetValue() != "壊れたメール" || p.GetMessage().GetJa() == "" || p.GetMessage().GetEn() == "" {
		t.Errorf("problem: %v", p)
	}
	var leads marketingv1.ListLeadsResponse
	r.Marketing.Must(t, http.MethodGet, "/v1/leads?mail="+url.QueryEscape(mail(1)), nil, &leads)
	if len(leads.GetLeads()) != 1 {
		t.Fatalf("%d leads for %s", len(leads.GetLeads()), mail(1))
	}
	if l := leads.GetLeads()[0]; l.GetPerson().GetPhone() != "+81312345678" || l.GetCompany().GetEmployees() != 120 || l.GetTouchCount() != 2 || !strings.Contains(l.GetNotes(), "血液型") {
		t.Errorf("lead: phone %q employees %d touches %d notes %q", l.GetPerson().GetPhone(), l.GetCompany().GetEmployees(), l.GetTouchCount(), l.GetNotes())
	}

	for name, bad := range map[string]struct {
		body   []byte
		reason string
	}{
		"no CSV":           {[]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), ""},
		"unknown header":   {[]byte("foo,bar\n1,2\n"), "FILE_NOT_CSV"},
		"unknown encoding": {append([]byte("会社名,氏名,メールアドレス\n"), 0xff, 0xfe, 0x81, 0xff, '\n'), "FILE_ENCODING_UNKNOWN"},
		"too large":        {append([]byte("Email\n"), bytes.Repeat([]byte("a@b.example\n"), 2_000_000)...), "TOO_LARGE"},
	} {
		resp, text, err := r.Marketing.Do(t.Context(), http.MethodPost, "/v1/leads:import", bad.body, rest.Header{Name: "Content-Type", Value: "text/csv"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		reason := rest.Reason(rest.StatusOf(resp.StatusCode, text))
		if resp.StatusCode/100 != 4 || (bad.reason != "" && reason != bad.reason) || (bad.reason == "" && !strings.HasPrefix(reason, "FILE_")) {
			t.Errorf("%s: HTTP %d %s %s, want %s", name, resp.StatusCode, reason, text, bad.reason)
		}
	}
}
