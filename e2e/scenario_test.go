package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
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
	{"lost deal recycles the lead", lostDeal},
	{"no-show goes back to inside sales", noShow},
	{"import accounts for every row", importFile},
	{"the same key gives the same answer", idempotencyKeys},
	{"stale etags are refused", staleEtags},
	{"documented errors", documentedErrors},
	{"one decision wins", oneDecisionWins},
	{"watching the desk", watchDesk},
	{"the feed shows every event once", feedOnce},
}

func TestAllInOneOnSQLite(t *testing.T) {
	h := house.AllInOne(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { s.run(t, h) })
	}
}

func TestProcessesOnPostgreSQL(t *testing.T) {
	h := house.Split(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { s.run(t, h) })
	}
}

func wholeRelay(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	lead := r.capture("relay")
	if !lead.GetHot() || lead.GetScore().GetTotal() == 0 {
		t.Errorf("a demo request of a department head: hot %v, score %v", lead.GetHot(), lead.GetScore())
	}
	item := r.toMeeting(lead)
	r.awaitLead(lead.GetId(), marketingv1.Lead_STATE_ACCEPTED)

	opportunity := r.toOpportunity(lead.GetJourneyId())
	r.awaitLead(lead.GetId(), marketingv1.Lead_STATE_SQL)
	house.Await(t, "inside sales sees the meeting accepted", func() error {
		if w := r.workItem(item); w.GetState() != insidesalesv1.WorkItem_STATE_HANDED_OVER {
			return fmt.Errorf("work item is %s", w.GetState())
		}
		return nil
	})

	r.toVerbal(opportunity)
	var won fieldsalesv1.Opportunity
	r.field.Must(t, http.MethodPost, "/v1/opportunities/"+opportunity+":closeWon", winRequest(), &won)
	if won.GetState() != fieldsalesv1.Opportunity_STATE_CLOSED_WON || won.GetContract().GetMrr().GetUnits() != 130_000 {
		t.Fatalf("won opportunity: %s, MRR %v, want 130,000", won.GetState(), won.GetContract().GetMrr())
	}

	handover := r.accept(r.success, r.arrival(r.success, lead.GetJourneyId(), handoffv1.Kind_KIND_CLOSED_WON))
	customer := subject(t, handover.GetReceiverSubject(), "customer")
	plan := r.onboard(customer)
	if plan.GetState() != customersuccessv1.OnboardingPlan_STATE_COMPLETED {
		t.Errorf("plan is %s", plan.GetState())
	}
	var c customersuccessv1.Customer
	r.success.Must(t, http.MethodGet, "/v1/customers/"+customer, nil, &c)
	if c.GetState() != customersuccessv1.Customer_STATE_ADOPTION || c.GetCommittedMrr().GetUnits() != 130_000 || c.GetJourneyId() != lead.GetJourneyId() {
		t.Errorf("customer: %s, MRR %v, journey %s (want %s)", c.GetState(), c.GetCommittedMrr(), c.GetJourneyId(), lead.GetJourneyId())
	}
	r.awaitLead(lead.GetId(), marketingv1.Lead_STATE_CUSTOMER)
	house.Await(t, "field sales sees the handover fulfilled", func() error {
		var o fieldsalesv1.Opportunity
		r.field.Must(t, http.MethodGet, "/v1/opportunities/"+opportunity, nil, &o)
		if o.GetHandoverState() != handoffv1.State_STATE_FULFILLED {
			return fmt.Errorf("handover is %s", o.GetHandoverState())
		}
		return nil
	})
	var history marketingv1.ListLeadTransitionsResponse
	r.marketing.Must(t, http.MethodGet, "/v1/leads/"+lead.GetId()+"/transitions", nil, &history)
	var states []string
	for _, tr := range history.GetTransitions() {
		states = append(states, tr.GetTo())
	}
	if got, want := strings.Join(states, " "), "CAPTURED MAL MQL OFFERED ACCEPTED SQL CUSTOMER"; got != want {
		t.Errorf("the lead went %s, want %s", got, want)
	}
}

func rejectedLeadComesBack(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	lead := r.capture("reject")
	offer := r.arrival(r.inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	var after handoffv1.Handoff
	r.inside.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":reject", &handoffv1.RejectHandoffRequest{Reason: "BAD_TIMING", Note: "来期"}, &after)
	back := r.awaitLead(lead.GetId(), marketingv1.Lead_STATE_RECYCLED)
	if back.GetLastReason() != "BAD_TIMING" || back.GetRecycleCount() != 1 {
		t.Errorf("recycled lead: reason %q, count %d", back.GetLastReason(), back.GetRecycleCount())
	}
	if days := time.Until(back.GetWakeAt().AsTime()).Hours() / 24; days < 59 || days > 61 {
		t.Errorf("it wakes up in %.1f days, want 60", days)
	}
	err := r.inside.Call(t.Context(), http.MethodPost, "/v1/handoffs/"+offer.GetId()+":accept", &handoffv1.AcceptHandoffRequest{}, &after)
	if rest.Reason(err) != "DECISION_TAKEN" {
		t.Errorf("accepting a rejected handoff: %s", rest.Explain(err))
	}
}

func returnedHandoff(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	lead := r.capture("return")
	offer := r.arrival(r.inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	var after handoffv1.Handoff
	r.inside.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":return", &handoffv1.ReturnHandoffRequest{Missing: []string{"person.title"}}, &after)
	house.Await(t, "the sender sees the return", func() error {
		var mine handoffv1.GetHandoffResponse
		r.marketing.Must(t, http.MethodGet, "/v1/handoffs/"+offer.GetId(), nil, &mine)
		if mine.GetHandoff().GetState() != handoffv1.State_STATE_RETURNED {
			return fmt.Errorf("it is %s", mine.GetHandoff().GetState())
		}
		return nil
	})
	r.marketing.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":resubmit", &handoffv1.ResubmitHandoffRequest{Note: "確認した"}, &after)
	if after.GetAttempt() != 2 {
		t.Errorf("attempt %d after resubmitting, want 2", after.GetAttempt())
	}
	house.Await(t, "the second attempt arrives", func() error {
		list := r.inbox(r.inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
		if len(list) != 1 || list[0].GetAttempt() != 2 || list[0].GetState() != handoffv1.State_STATE_OFFERED {
			return fmt.Errorf("inbox: %v", list)
		}
		return nil
	})
}

func recalledHandoff(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	lead := r.capture("recall")
	offer := r.arrival(r.inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	r.marketing.Must(t, http.MethodPost, "/v1/handoffs/"+offer.GetId()+":recall", &handoffv1.RecallHandoffRequest{Note: "誤り"}, &handoffv1.Handoff{})
	house.Await(t, "both sides see the recall", func() error {
		for _, desk := range []rest.Client{r.marketing, r.inside} {
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
	r := newRelay(t, h)
	lead := r.capture("lost")
	r.toMeeting(lead)
	opportunity := r.toOpportunity(lead.GetJourneyId())
	r.moveStage(opportunity, "DISCOVERY")
	r.field.Must(t, http.MethodPost, "/v1/opportunities/"+opportunity+":closeLost", &fieldsalesv1.CloseLostRequest{Reason: "TIMING", Note: "来期"}, &fieldsalesv1.Opportunity{})
	back := r.awaitLead(lead.GetId(), marketingv1.Lead_STATE_RECYCLED)
	if back.GetWakeAt() == nil {
		t.Error("a lead that was lost for its timing has no wake date")
	}
}

func noShow(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	lead := r.capture("noshow")
	item := r.toMeeting(lead)
	meeting := r.arrival(r.field, lead.GetJourneyId(), handoffv1.Kind_KIND_MEETING)
	r.field.Must(t, http.MethodPost, "/v1/handoffs/"+meeting.GetId()+":reject", &handoffv1.RejectHandoffRequest{Reason: "NO_SHOW"}, &handoffv1.Handoff{})
	house.Await(t, "the work item is worked on again", func() error {
		if w := r.workItem(item); w.GetState() != insidesalesv1.WorkItem_STATE_WORKING || w.GetReason() != "NO_SHOW" {
			return fmt.Errorf("work item is %s, reason %q", w.GetState(), w.GetReason())
		}
		return nil
	})
}

func importFile(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	mail := func(n int) string { return fmt.Sprintf("p%d@import-%s.example", n, r.sequence) }
	file := "会社名,氏名,メールアドレス,電話番号,役職,従業員数,流入経路,血液型\r\n" +
		"㈱輸入,山田　太郎," + mail(1) + ",０３－１２３４－５６７８,部長,１２０名,展示会,A\r\n" +
		"（株）輸入,山田 次郎,\" " + strings.ToUpper(mail(2)) + " \",,課長,\"1,200\",ウェビナー,B\r\n" +
		"株式会社輸入,山田　太郎," + mail(1) + ",,部長,120,広告,O\r\n" +
		"株式会社無効,鈴木,壊れたメール,,担当,多数,広告,AB\r\n" +
		"\"株式会社改行\n東京本社\",高橋 花子," + mail(3) + ",,,,紹介,A\r\n"
	var started marketingv1.LeadImport
	_, text, err := r.marketing.Do(t.Context(), http.MethodPost, "/v1/leads:import?filename=list.csv", []byte(file), rest.Header{Name: "Content-Type", Value: "text/csv"})
	if err != nil || protojson.Unmarshal(text, &started) != nil {
		t.Fatalf("import: %v %s", err, text)
	}
	done := &marketingv1.LeadImport{}
	house.Await(t, "the import is done", func() error {
		r.marketing.Must(t, http.MethodGet, "/v1/lead-imports/"+started.GetId(), nil, done)
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
	r.marketing.Must(t, http.MethodGet, "/v1/lead-imports/"+started.GetId()+"/rows?outcomes=OUTCOME_INVALID", nil, &rows)
	if len(rows.GetLeadImportRows()) != 1 || rows.GetLeadImportRows()[0].GetLine() != 5 || len(rows.GetLeadImportRows()[0].GetProblems()) == 0 {
		t.Fatalf("broken rows: %v", rows.GetLeadImportRows())
	}
	if p := rows.GetLeadImportRows()[0].GetProblems()[0]; p.GetColumn() != "メールアドレス" || p.GetValue() != "壊れたメール" || p.GetMessage().GetJa() == "" || p.GetMessage().GetEn() == "" {
		t.Errorf("problem: %v", p)
	}
	var leads marketingv1.ListLeadsResponse
	r.marketing.Must(t, http.MethodGet, "/v1/leads?mail="+url.QueryEscape(mail(1)), nil, &leads)
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
		resp, text, err := r.marketing.Do(t.Context(), http.MethodPost, "/v1/leads:import", bad.body, rest.Header{Name: "Content-Type", Value: "text/csv"})
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

func idempotencyKeys(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	key := rest.Header{Name: "Idempotency-Key", Value: uuid.NewString()}
	request := r.captureRequest("twice", "whitepaper_download")
	var first, second marketingv1.Lead
	r.marketing.Must(t, http.MethodPost, "/v1/leads", request, &first, key)
	r.marketing.Must(t, http.MethodPost, "/v1/leads", request, &second, key)
	if first.GetId() != second.GetId() || second.GetTouchCount() != 1 || second.GetEtag() != first.GetEtag() {
		t.Errorf("the second answer differs: %s with %d touches, etag %s and %s", second.GetId(), second.GetTouchCount(), first.GetEtag(), second.GetEtag())
	}
	request.Notes = "another body"
	err := r.marketing.Call(t.Context(), http.MethodPost, "/v1/leads", request, &second, key)
	if rest.Reason(err) != "IDEMPOTENCY_KEY_REUSED" || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("same key, other body: %s", rest.Explain(err))
	}
	// Twenty at once make one lead with one touch.
	key.Value = uuid.NewString()
	parallel := r.captureRequest("parallel", "whitepaper_download")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			var lead marketingv1.Lead
			if err := r.marketing.Call(context.WithoutCancel(t.Context()), http.MethodPost, "/v1/leads", parallel, &lead, key); err != nil {
				t.Errorf("parallel: %s", rest.Explain(err))
			}
		})
	}
	wg.Wait()
	var leads marketingv1.ListLeadsResponse
	r.marketing.Must(t, http.MethodGet, "/v1/leads?mail="+url.QueryEscape(parallel.GetPerson().GetMail()), nil, &leads)
	if len(leads.GetLeads()) != 1 || leads.GetLeads()[0].GetTouchCount() != 1 {
		t.Errorf("twenty parallel calls made %v", leads.GetLeads())
	}
}

func staleEtags(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	var lead, after marketingv1.Lead
	r.marketing.Must(t, http.MethodPost, "/v1/leads", r.captureRequest("etag", "whitepaper_download"), &lead)
	resp, _, err := r.marketing.Do(t.Context(), http.MethodGet, "/v1/leads/"+lead.GetId(), nil)
	if err != nil || resp.Header.Get("ETag") != `"`+lead.GetEtag()+`"` {
		t.Fatalf("ETag header %q, want the etag %q: %v", resp.Header.Get("ETag"), lead.GetEtag(), err)
	}
	current := rest.Header{Name: "If-Match", Value: resp.Header.Get("ETag")}
	r.marketing.Must(t, http.MethodPatch, "/v1/leads/"+lead.GetId(), &marketingv1.UpdateLeadRequest{Notes: "one"}, &after, current)
	body, _ := protojson.Marshal(&marketingv1.UpdateLeadRequest{Notes: "two"})
	resp, text, err := r.marketing.Do(t.Context(), http.MethodPatch, "/v1/leads/"+lead.GetId(), body, current)
	if err != nil {
		t.Fatal(err)
	}
	if reason := rest.Reason(rest.StatusOf(resp.StatusCode, text)); resp.StatusCode != http.StatusPreconditionFailed || reason != "ETAG_MISMATCH" {
		t.Errorf("stale If-Match: HTTP %d %s", resp.StatusCode, text)
	}
	err = r.marketing.Call(t.Context(), http.MethodPatch, "/v1/leads/"+lead.GetId(), &marketingv1.UpdateLeadRequest{Etag: lead.GetEtag(), Notes: "two"}, &after)
	if status.Code(err) != codes.Aborted || rest.Reason(err) != "ETAG_MISMATCH" {
		t.Errorf("stale etag: %s", rest.Explain(err))
	}
}

func documentedErrors(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	var lead marketingv1.Lead
	r.marketing.Must(t, http.MethodPost, "/v1/leads", r.captureRequest("errors", "whitepaper_download"), &lead)
	for range 3 {
		r.marketing.Must(t, http.MethodPost, "/v1/leads", r.captureRequest("e"+uuid.NewString()[:8], "whitepaper_download"), &marketingv1.Lead{})
	}
	var page marketingv1.ListLeadsResponse
	r.marketing.Must(t, http.MethodGet, "/v1/leads?pageSize=1", nil, &page)
	forged := rest.Client{URL: r.marketing.URL, Token: r.marketing.Token[:len(r.marketing.Token)-4] + "AAAA"}
	for name, c := range map[string]struct {
		client             rest.Client
		method, path, body string
		http               int
		reason             string
	}{
		"no token":                    {r.nobody, "GET", "/v1/leads", "", 401, "TOKEN_MISSING"},
		"forged token":                {forged, "GET", "/v1/leads", "", 401, "TOKEN_INVALID"},
		"role of another department":  {rest.Client{URL: r.marketing.URL, Token: r.inside.Token}, "POST", "/v1/leads", `{"person":{"mail":"a@b.example"}}`, 403, "ROLE_MISSING"},
		"viewer may not write":        {r.viewer, "POST", "/v1/leads/" + lead.GetId() + ":qualify", "{}", 403, "ROLE_MISSING"},
		"illegal transition":          {r.marketing, "POST", "/v1/leads/" + lead.GetId() + ":include", `{"note":"x"}`, 400, "ILLEGAL_TRANSITION"},
		"unknown lead":                {r.marketing, "GET", "/v1/leads/" + uuid.NewString(), "", 404, "RESOURCE_NOT_FOUND"},
		"id that is none":             {r.marketing, "GET", "/v1/leads/42", "", 400, "INVALID_FIELDS"},
		"mail that is none":           {r.marketing, "POST", "/v1/leads", `{"person":{"mail":"nobody"}}`, 400, "INVALID_FIELDS"},
		"unknown field":               {r.marketing, "POST", "/v1/leads", `{"persn":{}}`, 400, "REQUEST_MALFORMED"},
		"broken JSON":                 {r.marketing, "POST", "/v1/leads", `{"person":`, 400, "REQUEST_MALFORMED"},
		"page token of another query": {r.marketing, "GET", "/v1/leads?pageSize=1&states=STATE_MAL&pageToken=" + url.QueryEscape(page.GetNextPageToken()), "", 400, "PAGE_TOKEN_INVALID"},
		"damaged page token":          {r.marketing, "GET", "/v1/leads?pageToken=xyz", "", 400, "PAGE_TOKEN_INVALID"},
		"unknown reason":              {r.inside, "POST", "/v1/handoffs/" + uuid.NewString() + ":reject", `{"reason":""}`, 400, "INVALID_FIELDS"},
		"unknown path":                {r.marketing, "GET", "/v1/nothing", "", 404, "RESOURCE_NOT_FOUND"},
		"wrong method":                {r.marketing, "DELETE", "/v1/leads", "", 501, ""},
	} {
		resp, text, err := c.client.Do(t.Context(), c.method, c.path, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		reason := rest.Reason(rest.StatusOf(resp.StatusCode, text))
		if name == "wrong method" {
			if resp.StatusCode != http.StatusMethodNotAllowed && resp.StatusCode != http.StatusNotImplemented {
				t.Errorf("%s: HTTP %d %s", name, resp.StatusCode, text)
			}
			continue
		}
		if resp.StatusCode != c.http || reason != c.reason {
			t.Errorf("%s: HTTP %d %s, want %d %s\n%s", name, resp.StatusCode, reason, c.http, c.reason, text)
		}
		if bytes.Contains(text, []byte("SQLSTATE")) || bytes.Contains(text, []byte("goroutine")) {
			t.Errorf("%s leaks: %s", name, text)
		}
	}
}

func oneDecisionWins(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	lead := r.capture("race")
	offer := r.arrival(r.inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	const deciders = 30
	results := make([]error, deciders)
	var wg sync.WaitGroup
	for i := range deciders {
		wg.Go(func() {
			ctx := context.WithoutCancel(t.Context())
			path := "/v1/handoffs/" + offer.GetId()
			switch i % 3 {
			case 0:
				results[i] = r.inside.Call(ctx, http.MethodPost, path+":accept", &handoffv1.AcceptHandoffRequest{}, &handoffv1.Handoff{})
			case 1:
				results[i] = r.inside.Call(ctx, http.MethodPost, path+":reject", &handoffv1.RejectHandoffRequest{Reason: "TOO_SMALL"}, &handoffv1.Handoff{})
			case 2:
				results[i] = r.inside.Call(ctx, http.MethodPost, path+":return", &handoffv1.ReturnHandoffRequest{Missing: []string{"person.title"}}, &handoffv1.Handoff{})
			}
		})
	}
	wg.Wait()
	winners := 0
	for _, err := range results {
		switch {
		case err == nil:
			winners++
		case rest.Reason(err) != "DECISION_TAKEN" && rest.Reason(err) != "ILLEGAL_TRANSITION":
			t.Errorf("a loser got %s", rest.Explain(err))
		}
	}
	if winners != 1 {
		t.Errorf("%d decisions won, want 1", winners)
	}
}

func watchDesk(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.inside.URL+"/v1/handoffs:watch?box=BOX_INBOX", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.inside.Token)
	req.Header.Set("Accept", "text/event-stream")
	type answer struct {
		resp *http.Response
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		answers <- answer{resp, err}
	}()
	// The answer's header comes with its first message, so something has to happen on the desk until the stream is open.
	var open answer
	var lead *marketingv1.Lead
	for n := 0; open.resp == nil; n++ {
		lead = r.capture(fmt.Sprintf("watch%d", n))
		select {
		case open = <-answers:
			if open.err != nil {
				t.Fatal(open.err)
			}
		case <-time.After(500 * time.Millisecond):
			if n > 60 {
				t.Fatal("no message came")
			}
		}
	}
	defer func() { _ = open.resp.Body.Close() }() // the test is over
	if ct := open.resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		t.Errorf("content type %q", ct)
	}
	lines := bufio.NewScanner(open.resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		text = strings.TrimSuffix(strings.TrimPrefix(text, `{"result":`), "}")
		var change handoffv1.WatchHandoffsResponse
		if err := protojson.Unmarshal([]byte(text), &change); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if change.GetHandoff().GetJourneyId() == lead.GetJourneyId() && change.GetEvent() == "HandoffReceived" && change.GetCursor() != "" {
			return
		}
	}
	t.Fatalf("the stream ended before the handoff came: %v", lines.Err())
}

func feedOnce(t *testing.T, h *house.House) {
	r := newRelay(t, h)
	const leads = 40
	want := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for n := range leads {
		wg.Go(func() {
			var lead marketingv1.Lead
			if err := r.marketing.Call(context.WithoutCancel(t.Context()), http.MethodPost, "/v1/leads", r.captureRequest(fmt.Sprintf("feed%d", n), "whitepaper_download"), &lead); err != nil {
				t.Errorf("capture: %s", rest.Explain(err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			want["lead/"+lead.GetId()] = true
		})
	}
	wg.Wait()
	admin := rest.Client{URL: r.marketing.URL, Token: h.Token("admin")}
	seen := map[string]int{}
	house.Await(t, "the feed has shown every lead", func() error {
		clear(seen)
		captured := 0
		for token := ""; ; {
			var page feedv1.ListEventsResponse
			query := url.Values{"pageSize": {"100"}, "pageToken": {token}, "types": {"tasuki.marketing.v1.LeadCaptured"}}
			admin.Must(t, http.MethodGet, "/v1/events?"+query.Encode(), nil, &page)
			for _, e := range page.GetEvents() {
				seen[e.GetId()]++
				if want[e.GetSubject()] {
					captured++
				}
			}
			if len(page.GetEvents()) == 0 {
				break
			}
			token = page.GetNextPageToken()
		}
		if captured != leads {
			return fmt.Errorf("%d of %d", captured, leads)
		}
		return nil
	})
	for id, n := range seen {
		if n != 1 {
			t.Errorf("event %s was shown %d times", id, n)
		}
	}
}
