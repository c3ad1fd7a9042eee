package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// leads is a marketing department that answers from memory.
type leads struct {
	marketingv1.UnimplementedLeadServiceServer
	marketingv1.UnimplementedLeadImportServiceServer
	handoffv1.UnimplementedHandoffDeskServiceServer
	last proto.Message
}

func (l *leads) GetLead(_ context.Context, req *marketingv1.GetLeadRequest) (*marketingv1.Lead, error) {
	if strings.HasSuffix(req.GetId(), "dead") {
		panic("the database password is hunter2")
	}
	return &marketingv1.Lead{Id: req.GetId(), Etag: "7"}, nil
}

func (l *leads) UpdateLead(_ context.Context, req *marketingv1.UpdateLeadRequest) (*marketingv1.Lead, error) {
	l.last = req
	return &marketingv1.Lead{Id: req.GetId(), Etag: "8"}, nil
}

func (l *leads) ImportLeads(_ context.Context, req *marketingv1.ImportLeadsRequest) (*marketingv1.LeadImport, error) {
	return &marketingv1.LeadImport{Filename: req.GetFilename(), SizeBytes: int64(len(req.GetFile().GetData()))}, nil
}

func (l *leads) WatchHandoffs(_ *handoffv1.WatchHandoffsRequest, out grpc.ServerStreamingServer[handoffv1.WatchHandoffsResponse]) error {
	if err := out.Send(&handoffv1.WatchHandoffsResponse{Cursor: "c1"}); err != nil {
		return err
	}
	<-out.Context().Done()
	return out.Context().Err()
}

type rig struct {
	t      *testing.T
	url    string
	token  string
	leads  *leads
	gw     *Gateway
	issuer *access.Issuer
}

// newRig is a gateway before a marketing department in memory, and an inside sales department that nobody runs.
func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	issuer := access.EphemeralIssuer()
	verifier := o.Verifier
	if verifier == nil {
		var err error
		if verifier, err = access.NewVerifier(access.TrustIssuer(issuer)); err != nil {
			t.Fatal(err)
		}
	}
	network := rpc.InProcess()
	server := rpc.NewServer(rpc.Options{Department: access.Marketing, Verifier: verifier})
	l := &leads{}
	marketingv1.RegisterLeadServiceServer(server, l)
	marketingv1.RegisterLeadImportServiceServer(server, l)
	handoffv1.RegisterHandoffDeskServiceServer(server, l)
	server.SetServing(true)
	go func() { _ = server.Serve(network.Listener()) }() // it ends with Stop
	conn, err := network.Dial(rpc.To(access.Marketing))
	if err != nil {
		t.Fatal(err)
	}
	dead, err := rpc.Dial("127.0.0.1:1", rpc.To(access.InsideSales), rpc.Attempts(1))
	if err != nil {
		t.Fatal(err)
	}
	o.Departments = map[access.Department]grpc.ClientConnInterface{access.Marketing: conn, access.InsideSales: dead}
	o.Verifier = verifier
	gw, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(gw)
	t.Cleanup(func() {
		gw.drain()
		http.DefaultClient.CloseIdleConnections()
		h.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(conn.Close(), dead.Close(), server.Stop(ctx)); err != nil {
			t.Error(err)
		}
	})
	token, err := issuer.Token("sato", "Sato", []access.Role{access.RoleMarketing, access.RoleInsideSales}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, url: h.URL, token: token, leads: l, gw: gw, issuer: issuer}
}

func (r *rig) do(method, path, contentType string, body io.Reader, headers ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(text)
}

const anID = "0198a0b0-0000-7000-8000-00000000beef"

func TestEveryServiceIsRegistered(t *testing.T) {
	for _, d := range access.Departments() {
		if d == access.Insights {
			continue // comes with a later version
		}
		services, err := servicesOf(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range services {
			for i := range s.Methods().Len() {
				if proto.HasExtension(s.Methods().Get(i).Options(), annotations.E_Http) {
					if _, ok := registrations[s.FullName()]; !ok {
						t.Errorf("%s has REST paths and is not in registrations", s.FullName())
					}
					break
				}
			}
		}
	}
}

func TestRESTGivesTheEtagAndTakesItBack(t *testing.T) {
	r := newRig(t, Options{})
	resp, text := r.do("GET", "/marketing/v1/leads/"+anID, "", nil)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") != `"7"` || !strings.Contains(text, `"touchCount":0`) {
		t.Fatalf("HTTP %d, ETag %s, %s", resp.StatusCode, resp.Header.Get("ETag"), text)
	}
	r.do("PATCH", "/marketing/v1/leads/"+anID, "application/json", strings.NewReader(`{"notes":"x"}`), "If-Match", `"7"`)
	if got := r.leads.last.(*marketingv1.UpdateLeadRequest).GetEtag(); got != `"7"` {
		t.Errorf("the command came with etag %q", got)
	}
	r.do("PATCH", "/marketing/v1/leads/"+anID, "application/json", strings.NewReader(`{"notes":"x","etag":"5"}`), "If-Match", `"7"`)
	if got := r.leads.last.(*marketingv1.UpdateLeadRequest).GetEtag(); got != "5" {
		t.Errorf("the etag of the body must win, got %q", got)
	}
}

func TestUploadTakesTheBodyAsItIs(t *testing.T) {
	r := newRig(t, Options{BodyBytes: 100, UploadBytes: 1000})
	_, text := r.do("POST", "/marketing/v1/leads:import?filename=a.csv", "text/csv", strings.NewReader(strings.Repeat("a", 500)))
	if !strings.Contains(text, `"sizeBytes":"500"`) || !strings.Contains(text, `"filename":"a.csv"`) {
		t.Errorf("upload: %s", text)
	}
	_, text = r.do("POST", "/marketing/v1/leads:import", "application/json", strings.NewReader(`{"contentType":"text/csv","data":"YWJj"}`))
	if !strings.Contains(text, `"sizeBytes":"3"`) {
		t.Errorf("upload as JSON: %s", text)
	}
}

func TestLimitsAreClear(t *testing.T) {
	r := newRig(t, Options{BodyBytes: 100, UploadBytes: 1000})
	chunked := io.MultiReader(strings.NewReader(strings.Repeat("a", 2000))) // no Content-Length
	for name, c := range map[string]struct {
		path, contentType string
		body              io.Reader
	}{
		"length known":   {"/marketing/v1/leads", "application/json", strings.NewReader(`{"notes":"` + strings.Repeat("a", 200) + `"}`)},
		"length unknown": {"/marketing/v1/leads:import", "text/csv", chunked},
		"json unknown":   {"/marketing/v1/leads", "application/json", io.MultiReader(strings.NewReader(`{"notes":"` + strings.Repeat("a", 200) + `"}`))},
	} {
		resp, text := r.do("POST", c.path, c.contentType, c.body)
		if resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(text, `"TOO_LARGE"`) {
			t.Errorf("%s: HTTP %d %s", name, resp.StatusCode, text)
		}
	}
}

func TestErrorsHaveOneShapeAndLeakNothing(t *testing.T) {
	r := newRig(t, Options{})
	for name, c := range map[string]struct {
		method, path, body string
		http               int
		reason             string
	}{
		"panic":           {"GET", "/marketing/v1/leads/0198a0b0-0000-7000-8000-00000000dead", "", 500, "INTERNAL"},
		"unknown path":    {"GET", "/marketing/v1/none", "", 404, "RESOURCE_NOT_FOUND"},
		"unknown prefix":  {"GET", "/finance/v1/x", "", 404, "RESOURCE_NOT_FOUND"},
		"unknown field":   {"PATCH", "/marketing/v1/leads/" + anID, `{"nots":"x"}`, 400, "REQUEST_MALFORMED"},
		"broken JSON":     {"PATCH", "/marketing/v1/leads/" + anID, `{`, 400, "REQUEST_MALFORMED"},
		"wrong type":      {"GET", "/marketing/v1/leads?pageSize=many", "", 400, "REQUEST_MALFORMED"},
		"dead department": {"GET", "/inside-sales/v1/work-items", "", 503, "DEPARTMENT_UNAVAILABLE"},
	} {
		resp, text := r.do(c.method, c.path, "application/json", strings.NewReader(c.body))
		var shape struct {
			Code    int
			Message string
			Details []map[string]any
		}
		if err := json.Unmarshal([]byte(text), &shape); err != nil || shape.Code == 0 || shape.Message == "" || len(shape.Details) == 0 {
			t.Errorf("%s is not of the one shape: %s", name, text)
			continue
		}
		if resp.StatusCode != c.http || shape.Details[0]["reason"] != c.reason {
			t.Errorf("%s: HTTP %d %v, want %d %s", name, resp.StatusCode, shape.Details[0]["reason"], c.http, c.reason)
		}
		for _, secret := range []string{"hunter2", "goroutine", "127.0.0.1:1", "connection refused", "proto:"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s leaks %q: %s", name, secret, text)
			}
		}
	}
	if resp, _ := r.do("GET", "/marketing/v1/leads/"+anID, "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("a dead neighbour hurts marketing: HTTP %d", resp.StatusCode)
	}
}

func TestStreamsReachTheBrowserAndEndWhenDraining(t *testing.T) {
	r := newRig(t, Options{})
	for _, c := range [][2]string{ // the last one is open while the gateway drains
		{"text/event-stream", `data: {"result":`}, {"application/json", `{"result":`},
	} {
		accept, want := c[0], c[1]
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/marketing/v1/handoffs:watch", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.token)
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, first); err != nil || !bytes.Equal(first, []byte(want)) {
			t.Errorf("%s: first bytes %q, %v", accept, first, err)
		}
		if accept == "application/json" {
			r.gw.drain()
			rest, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Contains(rest, []byte("DEPARTMENT_UNAVAILABLE")) {
				t.Errorf("a drained stream ended with %q, %v", rest, err)
			}
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if accept == "text/event-stream" && resp.Header.Get("Content-Type") != accept {
			t.Errorf("content type %q", resp.Header.Get("Content-Type"))
		}
	}
}

func TestHealthTellsTheDepartmentsApart(t *testing.T) {
	r := newRig(t, Options{})
	resp, text := r.do("GET", "/readyz", "", nil)
	if resp.StatusCode != http.StatusOK || !strings.Contains(text, `"marketing":"SERVING"`) || !strings.Contains(text, `"inside-sales":"UNREACHABLE"`) {
		t.Errorf("HTTP %d %s", resp.StatusCode, text)
	}
	if resp, _ := r.do("GET", "/readyz?require=all", "", nil); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with a dead department, require=all is HTTP %d", resp.StatusCode)
	}
	if resp, _ := r.do("GET", "/healthz", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: HTTP %d", resp.StatusCode)
	}
}

func TestDocumentationIsServedFromHere(t *testing.T) {
	r := newRig(t, Options{})
	resp, text := r.do("GET", "/docs/", "", nil)
	if resp.StatusCode != http.StatusOK || !strings.Contains(text, "/openapi/marketing.json") {
		t.Fatalf("HTTP %d %.200s", resp.StatusCode, text)
	}
	if strings.Contains(text, `src="http`) || strings.Contains(text, `href="http`) {
		t.Errorf("the page loads from elsewhere: %s", text)
	}
	resp, text = r.do("GET", "/openapi/marketing.json", "", nil)
	var document struct{ OpenAPI string }
	if err := json.Unmarshal([]byte(text), &document); err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("document: HTTP %d, version %q, %v", resp.StatusCode, document.OpenAPI, err)
	}
}

func TestCORSAllowsOnlyTheOriginsNamed(t *testing.T) {
	r := newRig(t, Options{AllowedOrigins: []string{"https://app.example.com"}})
	for origin, want := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example": ""} {
		resp, _ := r.do("OPTIONS", "/marketing/v1/leads", "", nil, "Origin", origin, "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s is answered with %q", origin, got)
		}
	}
}

func TestRequestIDsAreKeptOrMade(t *testing.T) {
	r := newRig(t, Options{})
	if resp, _ := r.do("GET", "/healthz", "", nil, "X-Request-Id", "abc-123"); resp.Header.Get("X-Request-Id") != "abc-123" {
		t.Errorf("request id %q", resp.Header.Get("X-Request-Id"))
	}
	if resp, _ := r.do("GET", "/healthz", "", nil, "X-Request-Id", "with space"); len(resp.Header.Get("X-Request-Id")) != 36 {
		t.Errorf("a bad request id is kept: %q", resp.Header.Get("X-Request-Id"))
	}
	_, text := r.do("GET", "/marketing/v1/leads/0198a0b0-0000-7000-8000-00000000dead", "", nil, "X-Request-Id", "abc-123")
	if !strings.Contains(text, `"request_id":"abc-123"`) {
		t.Errorf("INTERNAL does not name the request: %s", text)
	}
}

func TestNoDepartmentIsAnError(t *testing.T) {
	if _, err := New(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "--peer-marketing") {
		t.Errorf("got %v", err)
	}
}
