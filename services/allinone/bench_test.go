package allinone_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// docs/performance.md says what these benchmarks measure and how to read them. Each measures by itself, in windows of
// -benchtime, and does not mind b.N.

// repeats is how often files are imported and programs started.
const repeats = 3

// report shows the metrics of a benchmark, without the time per run, which means nothing here.
func report(b *testing.B, metrics map[string]float64) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
	for unit, value := range metrics {
		b.ReportMetric(value, unit)
	}
}

// BenchmarkSystemCapture captures distinct people over REST, beside the two limits: the same rows in a bare transaction, and the
// same message through the gateway to a department without a store.
func BenchmarkSystemCapture(b *testing.B) {
	for _, kind := range houses {
		b.Run(kind.name, func(b *testing.B) {
			h := kind.open(b)
			authorization := h.token(b, "marketing")
			capture := overREST(h.url, restPath, authorization, captureBody, h.cpu(b))
			first, err := dialRaw(h.url, restPath, authorization, captureBody)
			if err != nil {
				b.Fatal(err)
			}
			if err := first.post(); err != nil {
				b.Fatal(err)
			}
			name := string(first.request[first.places[0]:][:tokenLength])
			_ = first.conn.Close()
			echo := echoSubject(b, h, kind.name == "postgres-split")
			for _, clients := range []int{1, 8, 32} {
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
					got := takeTurns(b, clients, capture, bareSubject(b, h, name, clients), echo)
					ours, db, gw := got[0], got[1], got[2]
					limit := 1 / (1/db.rate + 1/gw.rate)
					metrics := map[string]float64{
						"captures/s": ours.rate, "db/s": db.rate, "gateway/s": gw.rate, "limit/s": limit,
						"%-of-limit": 100 * ours.rate / limit, "%-of-db": 100 * ours.rate / db.rate,
						"p50-ms": quantile(ours.took, 0.5), "p99-ms": quantile(ours.took, 0.99),
						"cpu-ms/capture": ours.cpuMS(""), "cpu-ms/gateway": gw.cpuMS(""),
					}
					if kind.name == "sqlite" {
						metrics["cpu-ms/db"] = db.cpuMS("")
					} else {
						metrics["cpu-ms/capture-pg"], metrics["cpu-ms/db-pg"] = ours.cpuMS("postgres"), db.cpuMS("postgres")
					}
					report(b, metrics)
				})
			}
		})
	}
}

// BenchmarkSystemGateway sends one message to the same department without a store: through the gateway, through a bare
// grpc-gateway, and directly over gRPC. All are processes of their own.
func BenchmarkSystemGateway(b *testing.B) {
	h := &house{data: b.TempDir()}
	authorization := h.token(b, "marketing")
	department, gwAddress, bareAddress := freeAddress(b), freeAddress(b), freeAddress(b)
	again(b, roleEcho, department, h.data)
	gw := launchGateway(b, gwAddress, department, h.data)
	bare := again(b, roleBare, bareAddress, h.data, envPeer+"="+department)
	subjects := []subject{
		overREST("http://"+gwAddress, restPath, authorization, captureBody, cpu(b, gw)),
		overREST("http://"+bareAddress, "/v1/leads", authorization, captureBody, cpu(b, bare)),
		overGRPC(b, department, authorization),
	}
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			got := takeTurns(b, clients, subjects...)
			report(b, map[string]float64{
				"gateway/s": got[0].rate, "bare/s": got[1].rate, "grpc/s": got[2].rate,
				"%-of-bare": 100 * got[0].rate / got[1].rate, "%-of-grpc": 100 * got[0].rate / got[2].rate,
				"cpu-ms/gateway": got[0].cpuMS(""), "cpu-ms/bare": got[1].cpuMS(""),
				"p50-ms": quantile(got[0].took, 0.5), "p99-ms": quantile(got[0].took, 0.99), "bare-p50-ms": quantile(got[1].took, 0.5),
			})
		})
	}
}

// Handoffs are offered at this rate, this many of them.
const (
	handoffEvery = 50 * time.Millisecond
	handoffs     = 300
)

// BenchmarkSystemHandoff captures leads that want a demo, and takes the time until inside sales' desk shows each: from sending
// the capture, and from its answer, which says that marketing has committed the offer.
func BenchmarkSystemHandoff(b *testing.B) {
	for _, kind := range houses {
		b.Run(kind.name, func(b *testing.B) {
			h := kind.open(b)
			desk := watchDesk(b, h)
			c := &restClient{url: h.url, token: h.token(b, "marketing")}
			offer := func() (id string, sent, answered time.Time) {
				lead := &marketingv1.Lead{}
				body := bytes.ReplaceAll(hot(), []byte(placeholder), []byte(token()))
				sent = time.Now()
				c.do(b, http.MethodPost, restPath, "application/json", body, lead)
				return lead.GetHandoffId(), sent, time.Now()
			}
			// The stream is open once something has come through.
			await(b, "the desk shows a handoff", 100*time.Millisecond, func() error {
				if offer(); desk.isEmpty() {
					return errors.New("nothing is on the desk yet")
				}
				return nil
			})
			type offered struct {
				id             string
				sent, answered time.Time
			}
			var all []offered
			before := h.cpu(b)()
			pace := time.NewTicker(handoffEvery)
			defer pace.Stop()
			for range handoffs {
				<-pace.C
				id, sent, answered := offer()
				if id == "" {
					b.Fatal("the lead was not offered")
				}
				all = append(all, offered{id, sent, answered})
			}
			var fromCapture, fromAnswer []time.Duration
			for _, o := range all {
				await(b, "the desk shows handoff "+o.id, time.Millisecond, func() error {
					if desk.appeared(o.id).IsZero() {
						return errors.New("it is not there")
					}
					return nil
				})
				at := desk.appeared(o.id)
				fromCapture = append(fromCapture, at.Sub(o.sent))
				fromAnswer = append(fromAnswer, max(0, at.Sub(o.answered)))
			}
			used := h.cpu(b)()[""] - before[""]
			report(b, map[string]float64{
				"p50-ms": quantile(fromAnswer, 0.5), "p99-ms": quantile(fromAnswer, 0.99),
				"capture-p50-ms": quantile(fromCapture, 0.5), "capture-p99-ms": quantile(fromCapture, 0.99),
				"cpu-ms/handoff": used.Seconds() * 1000 / handoffs,
			})
		})
	}
}

// desk is what inside sales sees: a stream of handoffs over REST.
type desk struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// appeared is when a handoff was first shown; zero when it was not.
func (d *desk) appeared(id string) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen[id]
}

func (d *desk) isEmpty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.seen) == 0
}

func watchDesk(b *testing.B, h *house) *desk {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"/inside-sales/v1/handoffs:watch?box=BOX_INBOX", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token(b, "inside-sales"))
	d := &desk{seen: map[string]time.Time{}}
	done := make(chan struct{})
	b.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return // the benchmark ends, or notices that nothing comes
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			now := time.Now()
			var message struct{ Result json.RawMessage }
			var change handoffv1.WatchHandoffsResponse
			if json.Unmarshal(lines.Bytes(), &message) != nil || protojson.Unmarshal(message.Result, &change) != nil {
				continue
			}
			d.mu.Lock()
			if id := change.GetHandoff().GetId(); id != "" && d.seen[id].IsZero() {
				d.seen[id] = now
			}
			d.mu.Unlock()
		}
	}()
	return d
}

// importRows is how many rows the imported file has.
const importRows = 20_000

// BenchmarkSystemImport imports files of distinct people over REST, one after the other, from sending to DONE.
func BenchmarkSystemImport(b *testing.B) {
	for _, kind := range houses {
		b.Run(kind.name, func(b *testing.B) {
			h := kind.open(b)
			c := &restClient{url: h.url, token: h.token(b, "marketing")}
			var rates, cpuMS []float64
			for range repeats {
				file := leadFile(importRows)
				before, began := h.cpu(b)(), time.Now()
				imported := &marketingv1.LeadImport{}
				c.do(b, http.MethodPost, "/marketing/v1/leads:import?filename=bench.csv", "text/csv", file, imported)
				await(b, "the import is done", 10*time.Millisecond, func() error {
					c.do(b, http.MethodGet, "/marketing/v1/lead-imports/"+imported.GetId(), "", nil, imported)
					if imported.GetState() != marketingv1.LeadImport_STATE_DONE {
						return fmt.Errorf("%s, %d rows", imported.GetState(), imported.GetProcessedRows())
					}
					return nil
				})
				rates = append(rates, importRows/time.Since(began).Seconds())
				cpuMS = append(cpuMS, (h.cpu(b)()[""]-before[""]).Seconds()*1000/importRows)
				if imported.GetCreatedCount() != importRows {
					b.Fatalf("%d of %d rows made a lead", imported.GetCreatedCount(), importRows)
				}
			}
			report(b, map[string]float64{"rows/s": median(rates), "cpu-ms/row": median(cpuMS)})
		})
	}
}

// leadFile is a list as people keep it: two people of a company each.
func leadFile(rows int) []byte {
	var file bytes.Buffer
	file.WriteString("会社名,氏名,メールアドレス,電話番号,役職,従業員数,流入経路\n")
	company := ""
	for i := range rows {
		name := token()
		if i%2 == 0 {
			company = name
		}
		fmt.Fprintf(&file, "株式会社タスキ %[1]s,佐藤 花子,%[2]s@%[1]s.example,03-1234-5678,主任,30,展示会\n", company, name)
	}
	return file.Bytes()
}

// idle is how long a program that nobody calls is watched before its memory is read.
const idle = 10 * time.Second

// BenchmarkSystemStart starts `tasuki up`, in an empty data folder and in one that was used before, and takes the time until all
// departments serve; then its memory when nobody calls.
func BenchmarkSystemStart(b *testing.B) {
	for _, kind := range houses[:2] { // `tasuki up` on both engines
		b.Run(kind.name, func(b *testing.B) {
			dsn := ""
			if kind.name != "sqlite" {
				dsn = databases(b)
			}
			data := b.TempDir()
			var cold, warm []float64
			var last *process
			for round := range repeats + 2 {
				if round > 0 {
					last.stop()
				}
				var took time.Duration
				if round < repeats {
					if dsn != "" && round > 0 {
						dsn = databases(b)
					}
					data = b.TempDir()
					last, took = startUp(b, data, dsn)
					cold = append(cold, took.Seconds()*1000)
					last.stop()
				}
				last, took = startUp(b, data, dsn)
				warm = append(warm, took.Seconds()*1000)
			}
			before := cpu(b, last)()[""]
			time.Sleep(idle)
			used := cpu(b, last)()[""] - before
			program, err := os.Stat(filepath.Join(programs(b), "tasuki"))
			if err != nil {
				b.Fatal(err)
			}
			report(b, map[string]float64{
				"cold-ms": median(cold), "warm-ms": median(warm), "idle-MB": last.memory(b, "VmRSS"),
				"peak-MB": last.memory(b, "VmHWM"), "idle-cpu-%": 100 * used.Seconds() / idle.Seconds(), "program-MB": float64(program.Size()) / 1e6,
			})
		})
	}
}

func startUp(b *testing.B, data, dsn string) (*process, time.Duration) {
	b.Helper()
	address := freeAddress(b)
	args := []string{"up", "--listen", address, "--data", data}
	if dsn != "" {
		args = append(args, "--dsn", dsn)
	}
	began := time.Now()
	p := launch(b, nil, filepath.Join(programs(b), "tasuki"), args...)
	await(b, "all departments serve", 2*time.Millisecond, func() error { return answers("http://" + address + "/readyz?require=all") })
	return p, time.Since(began)
}

// restClient calls the gateway where it does not matter what the call costs.
type restClient struct{ url, token string }

func (c *restClient) do(b testing.TB, method, path, contentType string, body []byte, out proto.Message) {
	b.Helper()
	c.text(b, method, path, contentType, body, out)
}

// text is do for those who also want to see the answer.
func (c *restClient) text(b testing.TB, method, path, contentType string, body []byte, out proto.Message) []byte {
	b.Helper()
	req, err := http.NewRequest(method, c.url+path, bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(text)))
	}
	if err := protojson.Unmarshal(text, out); err != nil {
		b.Fatal(err)
	}
	return text
}
