package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
)

// mostGrowth is how much more memory the gateway may use at any moment of the attacks than before them, in bytes. It is less
// than what a single compression bomb would unpack to.
const mostGrowth = 160 << 20

// TestDoors attacks the gateway from outside: what is too large, too slow, too deep or not what it says it is gets a clear
// 4xx in the one error shape; memory stays bounded; and somebody else who works at the same time notices nothing.
func TestDoors(t *testing.T) {
	a := runApart(t, "--door-body-time=2s")
	pid := pidOf(t, a.data)
	var admin string
	for _, c := range callers(t, a.data) {
		if c.name == "ADMIN" {
			admin = c.token
		}
	}
	d := &attack{t: t, url: a.url, token: admin}
	before := memory(t, pid, "VmRSS")

	worker := d.workBeside()
	var wg sync.WaitGroup
	for name, attack := range map[string]func(){
		"large bodies": d.largeBodies, "slow bodies": d.slowBodies, "slow headers": d.slowHeaders, "many headers": d.manyHeaders,
		"bombs": d.bombs, "paths": d.paths, "bodies": d.bodies,
	} {
		wg.Go(func() {
			began := time.Now()
			attack()
			t.Logf("%s: %s", name, time.Since(began).Round(time.Millisecond))
		})
	}
	wg.Wait()
	worker()

	peak := memory(t, pid, "VmHWM")
	t.Logf("memory of the gateway: %d MiB before, %d MiB at the most", before>>20, peak>>20)
	if peak-before > mostGrowth {
		t.Errorf("the gateway grew by %d MiB", (peak-before)>>20)
	}
}

// pidOf finds the gateway that serves from the data folder.
func pidOf(t *testing.T, data string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte(data)) || !bytes.Contains(bytes.SplitN(text, []byte{0}, 2)[0], []byte("/gateway")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	t.Skip("memory of other processes is read from /proc, which this system does not have")
	return 0
}

func memory(t *testing.T, pid int, what string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, what+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("no %s of process %d", what, pid)
	return 0
}

type attack struct {
	t          *testing.T
	url, token string
}

// workBeside reads leads all the time; the returned function ends it and judges.
func (d *attack) workBeside() (end func()) {
	ctx, cancel := context.WithCancel(d.t.Context())
	var calls, failed atomic.Int64
	var slowest atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		client := rest.Client{URL: d.url, Token: d.token}
		for ctx.Err() == nil {
			began := time.Now()
			resp, _, err := client.Do(ctx, http.MethodGet, "/marketing/v1/leads", nil)
			if ctx.Err() != nil {
				return
			}
			calls.Add(1)
			if err != nil || resp.StatusCode != http.StatusOK {
				failed.Add(1)
			}
			slowest.Store(max(slowest.Load(), int64(time.Since(began))))
		}
	}()
	return func() {
		cancel()
		<-done
		d.t.Logf("beside: %d calls, slowest %s", calls.Load(), time.Duration(slowest.Load()).Round(time.Millisecond))
		if calls.Load() < 10 || failed.Load() > 0 || time.Duration(slowest.Load()) > 10*time.Second {
			d.t.Errorf("somebody else is hurt: %d of %d calls failed, the slowest took %s", failed.Load(), calls.Load(), time.Duration(slowest.Load()))
		}
	}
}

// request makes a request as an administrator and expects a refusal in the one shape.
func (d *attack) request(name, method, path string, body io.Reader, want int, reason string, headers ...string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, body)
	if err != nil {
		d.t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Errorf("%s: %v", name, err)
		return
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Errorf("%s: %v", name, err)
		return
	}
	d.judge(name, resp.StatusCode, text, want, reason)
}

func (d *attack) judge(name string, code int, text []byte, want int, reason string) {
	d.t.Helper()
	if got := rest.Reason(rest.StatusOf(code, text)); code != want || got != reason {
		d.t.Errorf("%s: HTTP %d %s, want %d %s: %.300s", name, code, got, want, reason, text)
	}
}

// endless is a body that never ends by itself; it ends at most bytes so that the test does.
func endless(most int64) io.Reader { return io.LimitReader(spaces{}, most) }

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (d *attack) largeBodies() {
	for name, c := range map[string]struct {
		size     int64
		kind     string
		declared bool
	}{
		"declared": {2 << 20, "application/json", true}, "chunked": {2 << 20, "application/json", false},
		"declared upload": {21 << 20, "text/csv", true}, "chunked upload": {21 << 20, "text/csv", false},
	} {
		path := "/marketing/v1/leads"
		if c.kind == "text/csv" {
			path = "/marketing/v1/leads:import"
		}
		// What is refused is not read to its end, so the client may find the connection closed while it still sends: it
		// waits for leave to send.
		req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.url+path, io.NopCloser(endless(c.size)))
		if err != nil {
			d.t.Error(err)
			return
		}
		if c.declared {
			req.ContentLength = c.size
			req.Header.Set("Expect", "100-continue")
		}
		req.Header.Set("Authorization", "Bearer "+d.token)
		req.Header.Set("Content-Type", c.kind)
		client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 20 * time.Second, DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			d.t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			d.t.Errorf("%s: %v", name, err)
		}
		d.judge(name, resp.StatusCode, text, http.StatusRequestEntityTooLarge, "TOO_LARGE")
	}
	// Many at once, which declare nothing: memory is judged at the end.
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			d.request("many at once", http.MethodPost, "/marketing/v1/leads", io.MultiReader(strings.NewReader(`{"notes":"`), endless(1200<<10)),
				http.StatusRequestEntityTooLarge, "TOO_LARGE")
		})
	}
	wg.Wait()
}

// raw sends bytes and reads the answer; a connection that ends without one gives code 0.
func (d *attack) raw(send func(net.Conn) error) (code int, text []byte, err error) {
	conn, err := (&net.Dialer{}).DialContext(d.t.Context(), "tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = conn.Close() }() // whatever was written was an attack
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, nil, err
	}
	if err := send(conn); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// slowBodies are begun and never end: the gateway answers when their time is over, and lets go of them.
func (d *attack) slowBodies() {
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			code, text, err := d.raw(func(c net.Conn) error {
				_, err := fmt.Fprintf(c, "POST /marketing/v1/leads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"notes\":\"", d.token)
				return err
			})
			if err != nil {
				d.t.Errorf("a slow body: %v", err)
				return
			}
			d.judge("a slow body", code, text, http.StatusRequestTimeout, "REQUEST_MALFORMED")
		})
	}
	wg.Wait()
}

// slowHeaders never become a request: the connection ends.
func (d *attack) slowHeaders() {
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			code, _, err := d.raw(func(c net.Conn) error {
				_, err := io.WriteString(c, "GET /marketing/v1/leads HTTP/1.1\r\nHost: x\r\nX-Slow: ")
				return err
			})
			if err == nil && code < 400 || os.IsTimeout(err) {
				d.t.Errorf("slow headers: HTTP %d, %v", code, err)
			}
		})
	}
	wg.Wait()
}

// manyHeaders are refused by the HTTP server itself, before there is a request to answer in our shape.
func (d *attack) manyHeaders() {
	for name, headers := range map[string]string{
		"one long header": "X-Long: " + strings.Repeat("a", 1<<20) + "\r\n",
		"many headers":    strings.Repeat("X-Many: a\r\n", 100000),
	} {
		code, _, err := d.raw(func(c net.Conn) error {
			// The gateway stops reading, so the rest may find the connection closed.
			_, _ = io.WriteString(c, "GET /marketing/v1/leads HTTP/1.1\r\nHost: x\r\n"+headers+"\r\n")
			return nil
		})
		if err == nil && code != http.StatusRequestHeaderFieldsTooLarge {
			d.t.Errorf("%s: HTTP %d", name, code)
		}
		if os.IsTimeout(err) {
			d.t.Errorf("%s: no answer", name)
		}
	}
}

// bombs are small on the wire and large when they are unpacked.
func (d *attack) bombs() {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.Copy(z, endless(300<<20)); err != nil {
		d.t.Error(err)
		return
	}
	if err := z.Close(); err != nil {
		d.t.Error(err)
		return
	}
	for _, coding := range []string{"gzip", "br", "deflate", "gzip, gzip"} {
		d.request("REST body as "+coding, http.MethodPost, "/marketing/v1/leads", bytes.NewReader(bomb.Bytes()),
			http.StatusUnsupportedMediaType, "REQUEST_MALFORMED", "Content-Encoding", coding)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.url+"/tasuki.marketing.v1.LeadService/CaptureLead", bytes.NewReader(bomb.Bytes()))
			if err != nil {
				d.t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+d.token)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Content-Encoding", "gzip")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				d.t.Errorf("Connect bomb: %v", err)
				return
			}
			text, _ := io.ReadAll(resp.Body) // what could be read is judged
			_ = resp.Body.Close()
			if resp.StatusCode < 400 || resp.StatusCode >= 500 || !bytes.Contains(text, []byte("resource_exhausted")) {
				d.t.Errorf("Connect bomb: HTTP %d %s", resp.StatusCode, text)
			}
		})
	}
	wg.Wait()
}

// paths lead nowhere but to where they say.
func (d *attack) paths() {
	for path, c := range map[string]struct {
		code   int
		reason string
	}{
		"/marketing/../gateway/v1/api-keys":                 {400, "REQUEST_MALFORMED"},
		"/marketing/%2e%2e/gateway/v1/api-keys":             {400, "REQUEST_MALFORMED"},
		"/marketing/v1/%2E%2E/%2E%2E/readyz":                {400, "REQUEST_MALFORMED"},
		"//marketing/v1/leads":                              {400, "REQUEST_MALFORMED"},
		"/marketing//v1/leads":                              {400, "REQUEST_MALFORMED"},
		"/marketing/./v1/leads":                             {400, "REQUEST_MALFORMED"},
		"/marketing/v1/leads/a%2F..%2Fb":                    {400, "REQUEST_MALFORMED"},
		"/marketing/v1/leads/a%2fb":                         {404, "RESOURCE_NOT_FOUND"},
		"/marketing/v1/leads/%00":                           {400, "REQUEST_MALFORMED"},
		"/marketing/v1/leads/%ff%fe":                        {400, "REQUEST_MALFORMED"},
		"/marketing/v1/leads/%0d%0aSet-Cookie:x":            {400, "REQUEST_MALFORMED"},
		"/marketing/v1/leads?filter=%ff":                    {400, "REQUEST_MALFORMED"},
		"/marketing/v1/leads?page_token=%00":                {400, "REQUEST_MALFORMED"},
		"/marketing/v1/leads?page_size=1e99":                {400, "REQUEST_MALFORMED"},
		"/marketing/v1/leads?nothing=1;drop":                {400, "REQUEST_MALFORMED"},
		"/marketing/v1/leads/" + strings.Repeat("a", 30000): {400, "INVALID_FIELDS"},
		"/docs/%2e%2e/%2e%2e/etc/passwd":                    {400, "REQUEST_MALFORMED"},
		"/sales/v1/leads":                                   {404, "RESOURCE_NOT_FOUND"},
		"/marketing/tasuki.gateway.v1.ApiKeyService/x":      {404, "RESOURCE_NOT_FOUND"},
	} {
		code, text, err := d.raw(func(c net.Conn) error {
			_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n", path, d.token)
			return err
		})
		if err != nil {
			d.t.Errorf("%.60s: %v", path, err)
			continue
		}
		d.judge(fmt.Sprintf("%.60s", path), code, text, c.code, c.reason)
	}
}

// bodies are small and not what they should be.
func (d *attack) bodies() {
	for name, body := range map[string]string{
		"invalid UTF-8":       "{\"notes\":\"\xff\xfe\"}",
		"half a surrogate":    `{"notes":"\ud800"}`,
		"deep lists":          strings.Repeat("[", 500000),
		"deep objects":        `{"person":` + strings.Repeat(`{"name":`, 100000),
		"deep unknown":        `{"nothing":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + "}",
		"huge exponent":       `{"company":{"employees":1e999999999}}`,
		"huge number":         `{"company":{"employees":` + strings.Repeat("9", 900000) + `}}`,
		"fraction":            `{"company":{"employees":0.5}}`,
		"two values":          `{} {}`,
		"a field twice":       `{"notes":"a","notes":"b"}`,
		"a number for a text": `{"notes":1}`,
		"no JSON":             "\x00\x01\x02",
		"nothing":             "",
	} {
		want, reason := http.StatusBadRequest, "REQUEST_MALFORMED"
		if name == "nothing" || name == "two values" {
			continue
		}
		d.request(name, http.MethodPost, "/marketing/v1/leads", strings.NewReader(body), want, reason)
	}
	// What is empty, or a good value with another behind it, is read as far as it goes: nobody is served what they did not ask.
	for _, body := range []string{"", "{} {}"} {
		d.request("empty body", http.MethodPost, "/marketing/v1/leads", strings.NewReader(body), http.StatusBadRequest, "INVALID_FIELDS")
	}
	house.Await(d.t, "the gateway still answers", func() error {
		resp, _, err := rest.Client{URL: d.url}.Do(d.t.Context(), http.MethodGet, "/healthz", nil)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("HTTP %d", resp.StatusCode)
		}
		return err
	})
}
