package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/scenario"
)

// page is what a front-end team would write: it watches the desk, captures a lead by REST and another by Connect, and
// shows what came by the stream. It lives on another host than the gateway, so CORS is tried, too.
const page = `<!doctype html><title>desk</title><pre id="log"></pre><script type="module">
const {gateway, watcher, marketer, rest, connect} = %s;
const log = (line) => { document.getElementById("log").textContent += line + "\n"; };
const show = (id, text) => { const e = document.createElement("p"); e.id = id; e.textContent = text; document.body.append(e); };
try {
  const json = {"Content-Type": "application/json", "Authorization": "Bearer " + marketer};
  const watching = fetch(gateway + "/inside-sales/v1/handoffs:watch?box=BOX_INBOX",
    {headers: {"Authorization": "Bearer " + watcher, "Accept": "text/event-stream"}});
  const capture = async () => {
    const one = await fetch(gateway + "/marketing/v1/leads", {method: "POST", body: rest,
      headers: {...json, "Idempotency-Key": crypto.randomUUID()}});
    log("REST " + one.status + " etag " + one.headers.get("ETag"));
    const two = await fetch(gateway + "/marketing/tasuki.marketing.v1.LeadService/CaptureLead", {method: "POST", body: connect,
      headers: {...json, "Connect-Protocol-Version": "1"}});
    log("Connect " + two.status);
  };
  // The answer's header comes with the first change, so something must happen on the desk.
  await new Promise((r) => setTimeout(r, 500));
  await capture();
  const stream = (await watching).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while ((text.match(/"HandoffReceived"/g) || []).length < 2) {
    const {value, done} = await stream.read();
    if (done) throw new Error("the stream ended: " + text);
    text += value;
  }
  show("done", text);
} catch (e) { show("failed", String(e)); }
</script>`

func TestWatchInBrowser(t *testing.T) {
	ctx := browser(t)
	var document string
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, document) // the browser went away
	}))
	defer host.Close()
	h := house.AllInOne(t, "--door-allowed-origins", host.URL)
	r := scenario.NewRelay(t, h)
	settings, err := json.Marshal(map[string]string{
		"gateway": h.URL, "watcher": r.Inside.Token, "marketer": r.Marketing.Token,
		"rest":    protoJSON(t, r.CaptureRequest("browser", "demo_request")),
		"connect": protoJSON(t, r.CaptureRequest("browser2", "demo_request")),
	})
	if err != nil {
		t.Fatal(err)
	}
	document = fmt.Sprintf(page, settings)
	var stream, failure, log string
	err = chromedp.Run(ctx,
		chromedp.Navigate(host.URL),
		chromedp.WaitReady("#done, #failed", chromedp.ByQuery),
		chromedp.Evaluate(`document.querySelector("#done")?.textContent ?? ""`, &stream),
		chromedp.Evaluate(`document.querySelector("#failed")?.textContent ?? ""`, &failure),
		chromedp.Text("#log", &log, chromedp.ByID),
	)
	if err != nil || failure != "" {
		t.Fatalf("the page failed: %v %s\n%s", err, failure, log)
	}
	if !strings.Contains(log, `REST 200 etag "1"`) || !strings.Contains(log, "Connect 200") {
		t.Errorf("the page's calls: %s", log)
	}
	if strings.Count(stream, "data: ") < 2 || !strings.Contains(stream, `"STATE_OFFERED"`) {
		t.Errorf("the stream: %s", stream)
	}
}

func TestDocumentationInBrowser(t *testing.T) {
	ctx := browser(t)
	h := house.AllInOne(t)
	var text string
	err := chromedp.Run(ctx,
		chromedp.Navigate(h.URL+"/docs/"),
		chromedp.WaitVisible(".opblock-tag-section", chromedp.ByQuery),
		chromedp.Text(".swagger-ui", &text, chromedp.ByQuery),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"LeadService", "/v1/leads:import", "HandoffDeskService", "Authorize"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

// browser is a headless Chromium that ends with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); path == "" && err == nil {
			path = found
		}
	}
	if path == "" {
		t.Skip("needs a browser: install Chromium, or name one by CHROMIUM")
	}
	profile, err := os.MkdirTemp("", "tasuki-browser")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(profile))
	ctx, cancelAllocator := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, cancelBrowser := chromedp.NewContext(ctx)
	ctx, cancelTime := context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // asks the browser to end and waits; what is wrong with it is the test's to say
		cancelTime()
		cancelBrowser()
		cancelAllocator()
		// Helpers of the browser write to the profile a moment longer than the browser lives.
		house.Await(t, "the browser has let go of its profile", func() error { return os.RemoveAll(profile) })
	})
	return ctx
}

func protoJSON(t testing.TB, m proto.Message) string {
	t.Helper()
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
