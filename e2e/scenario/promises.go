package scenario

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
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// The scenarios of this file hold the gateway to its promises: keys, etags, errors, races, streams, the feed.

func idempotencyKeys(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	key := rest.Header{Name: "Idempotency-Key", Value: uuid.NewString()}
	request := r.CaptureRequest("twice", "whitepaper_download")
	var first, second marketingv1.Lead
	r.Marketing.Must(t, http.MethodPost, "/v1/leads", request, &first, key)
	r.Marketing.Must(t, http.MethodPost, "/v1/leads", request, &second, key)
	if first.GetId() != second.GetId() || second.GetTouchCount() != 1 || second.GetEtag() != first.GetEtag() {
		t.Errorf("the second answer differs: %s with %d touches, etag %s and %s", second.GetId(), second.GetTouchCount(), first.GetEtag(), second.GetEtag())
	}
	request.Notes = "another body"
	err := r.Marketing.Call(t.Context(), http.MethodPost, "/v1/leads", request, &second, key)
	if rest.Reason(err) != "IDEMPOTENCY_KEY_REUSED" || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("same key, other body: %s", rest.Explain(err))
	}
	// Twenty at once make one lead with one touch.
	key.Value = uuid.NewString()
	parallel := r.CaptureRequest("parallel", "whitepaper_download")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			var lead marketingv1.Lead
			if err := r.Marketing.Call(context.WithoutCancel(t.Context()), http.MethodPost, "/v1/leads", parallel, &lead, key); err != nil {
				t.Errorf("parallel: %s", rest.Explain(err))
			}
		})
	}
	wg.Wait()
	var leads marketingv1.ListLeadsResponse
	r.Marketing.Must(t, http.MethodGet, "/v1/leads?mail="+url.QueryEscape(parallel.GetPerson().GetMail()), nil, &leads)
	if len(leads.GetLeads()) != 1 || leads.GetLeads()[0].GetTouchCount() != 1 {
		t.Errorf("twenty parallel calls made %v", leads.GetLeads())
	}
}

func staleEtags(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	var lead, after marketingv1.Lead
	r.Marketing.Must(t, http.MethodPost, "/v1/leads", r.CaptureRequest("etag", "whitepaper_download"), &lead)
	resp, _, err := r.Marketing.Do(t.Context(), http.MethodGet, "/v1/leads/"+lead.GetId(), nil)
	if err != nil || resp.Header.Get("ETag") != `"`+lead.GetEtag()+`"` {
		t.Fatalf("ETag header %q, want the etag %q: %v", resp.Header.Get("ETag"), lead.GetEtag(), err)
	}
	current := rest.Header{Name: "If-Match", Value: resp.Header.Get("ETag")}
	r.Marketing.Must(t, http.MethodPatch, "/v1/leads/"+lead.GetId(), &marketingv1.UpdateLeadRequest{Notes: "one"}, &after, current)
	body, _ := protojson.Marshal(&marketingv1.UpdateLeadRequest{Notes: "two"})
	resp, text, err := r.Marketing.Do(t.Context(), http.MethodPatch, "/v1/leads/"+lead.GetId(), body, current)
	if err != nil {
		t.Fatal(err)
	}
	if reason := rest.Reason(rest.StatusOf(resp.StatusCode, text)); resp.StatusCode != http.StatusPreconditionFailed || reason != "ETAG_MISMATCH" {
		t.Errorf("stale If-Match: HTTP %d %s", resp.StatusCode, text)
	}
	err = r.Marketing.Call(t.Context(), http.MethodPatch, "/v1/leads/"+lead.GetId(), &marketingv1.UpdateLeadRequest{Etag: lead.GetEtag(), Notes: "two"}, &after)
	if status.Code(err) != codes.Aborted || rest.Reason(err) != "ETAG_MISMATCH" {
		t.Errorf("stale etag: %s", rest.Explain(err))
	}
}

func documentedErrors(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	var lead marketingv1.Lead
	r.Marketing.Must(t, http.MethodPost, "/v1/leads", r.CaptureRequest("errors", "whitepaper_download"), &lead)
	for range 3 {
		r.Marketing.Must(t, http.MethodPost, "/v1/leads", r.CaptureRequest("e"+uuid.NewString()[:8], "whitepaper_download"), &marketingv1.Lead{})
	}
	var page marketingv1.ListLeadsResponse
	r.Marketing.Must(t, http.MethodGet, "/v1/leads?pageSize=1", nil, &page)
	forged := rest.Client{URL: r.Marketing.URL, Token: r.Marketing.Token[:len(r.Marketing.Token)-4] + "AAAA"}
	for name, c := range map[string]struct {
		client             rest.Client
		method, path, body string
		http               int
		reason             string
	}{
		"no token":                    {r.Nobody, "GET", "/v1/leads", "", 401, "TOKEN_MISSING"},
		"forged token":                {forged, "GET", "/v1/leads", "", 401, "TOKEN_INVALID"},
		"role of another department":  {rest.Client{URL: r.Marketing.URL, Token: r.Inside.Token}, "POST", "/v1/leads", `{"person":{"mail":"a@b.example"}}`, 403, "ROLE_MISSING"},
		"viewer may not write":        {r.Viewer, "POST", "/v1/leads/" + lead.GetId() + ":qualify", "{}", 403, "ROLE_MISSING"},
		"illegal transition":          {r.Marketing, "POST", "/v1/leads/" + lead.GetId() + ":include", `{"note":"x"}`, 400, "ILLEGAL_TRANSITION"},
		"unknown lead":                {r.Marketing, "GET", "/v1/leads/" + uuid.NewString(), "", 404, "RESOURCE_NOT_FOUND"},
		"id that is none":             {r.Marketing, "GET", "/v1/leads/42", "", 400, "INVALID_FIELDS"},
		"mail that is none":           {r.Marketing, "POST", "/v1/leads", `{"person":{"mail":"nobody"}}`, 400, "INVALID_FIELDS"},
		"unknown field":               {r.Marketing, "POST", "/v1/leads", `{"persn":{}}`, 400, "REQUEST_MALFORMED"},
		"broken JSON":                 {r.Marketing, "POST", "/v1/leads", `{"person":`, 400, "REQUEST_MALFORMED"},
		"page token of another query": {r.Marketing, "GET", "/v1/leads?pageSize=1&states=STATE_MAL&pageToken=" + url.QueryEscape(page.GetNextPageToken()), "", 400, "PAGE_TOKEN_INVALID"},
		"damaged page token":          {r.Marketing, "GET", "/v1/leads?pageToken=xyz", "", 400, "PAGE_TOKEN_INVALID"},
		"unknown reason":              {r.Inside, "POST", "/v1/handoffs/" + uuid.NewString() + ":reject", `{"reason":""}`, 400, "INVALID_FIELDS"},
		"unknown path":                {r.Marketing, "GET", "/v1/nothing", "", 404, "RESOURCE_NOT_FOUND"},
		"wrong method":                {r.Marketing, "DELETE", "/v1/leads", "", 501, ""},
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
	r := NewRelay(t, h)
	lead := r.Capture("race")
	offer := r.Arrival(r.Inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	const deciders = 30
	results := make([]error, deciders)
	var wg sync.WaitGroup
	for i := range deciders {
		wg.Go(func() {
			ctx := context.WithoutCancel(t.Context())
			path := "/v1/handoffs/" + offer.GetId()
			switch i % 3 {
			case 0:
				results[i] = r.Inside.Call(ctx, http.MethodPost, path+":accept", &handoffv1.AcceptHandoffRequest{}, &handoffv1.Handoff{})
			case 1:
				results[i] = r.Inside.Call(ctx, http.MethodPost, path+":reject", &handoffv1.RejectHandoffRequest{Reason: "TOO_SMALL"}, &handoffv1.Handoff{})
			case 2:
				results[i] = r.Inside.Call(ctx, http.MethodPost, path+":return", &handoffv1.ReturnHandoffRequest{Missing: []string{"person.title"}}, &handoffv1.Handoff{})
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
	r := NewRelay(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Inside.URL+"/v1/handoffs:watch?box=BOX_INBOX", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Inside.Token)
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
		lead = r.Capture(fmt.Sprintf("watch%d", n))
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
	r := NewRelay(t, h)
	const leads = 40
	want := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for n := range leads {
		wg.Go(func() {
			var lead marketingv1.Lead
			if err := r.Marketing.Call(context.WithoutCancel(t.Context()), http.MethodPost, "/v1/leads", r.CaptureRequest(fmt.Sprintf("feed%d", n), "whitepaper_download"), &lead); err != nil {
				t.Errorf("capture: %s", rest.Explain(err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			want["lead/"+lead.GetId()] = true
		})
	}
	wg.Wait()
	admin := rest.Client{URL: r.Marketing.URL, Token: h.Token("admin")}
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
