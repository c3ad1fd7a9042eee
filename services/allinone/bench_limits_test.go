package allinone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/credentials"

	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/allinone"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
)

// inProcess is Tasuki inside the test.
func inProcess(t *testing.T, dsn func(access.Department) string) (h *house, token string) {
	t.Helper()
	issuer := access.EphemeralIssuer()
	verifier, err := access.NewVerifier(access.TrustIssuer(issuer))
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	system, err := allinone.Open(t.Context(), allinone.Options{Database: dsn, Identity: func(d access.Department) (credentials.PerRPCCredentials, error) {
		return issuer.Service(d.String()), nil
	}, Verifier: verifier, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	group := lifecycle.New(lifecycle.Options{Logger: logger})
	system.AddTo(group, listener)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- group.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	h = &house{url: "http://" + listener.Addr().String(), marketing: dsn(access.Marketing)}
	h.awaitReady(t)
	if token, err = issuer.Token("bench", "bench", []access.Role{access.RoleMarketing}, 1<<40); err != nil {
		t.Fatal(err)
	}
	return h, token
}

// TestBareTransactionsWriteWhatCapturesWrite: the limit of the database is measured with the very rows.
func TestBareTransactionsWriteWhatCapturesWrite(t *testing.T) {
	engines := map[string]func(t *testing.T) func(access.Department) string{
		"sqlite": func(t *testing.T) func(access.Department) string {
			data := t.TempDir()
			return func(d access.Department) string { return "sqlite:" + filepath.Join(data, string(d)+".db") }
		},
		"postgres": func(t *testing.T) func(access.Department) string {
			dsn := databases(t)
			return func(d access.Department) string {
				return strings.ReplaceAll(dsn, "{department}", strings.ReplaceAll(string(d), "-", ""))
			}
		},
	}
	for engine, dsn := range engines {
		t.Run(engine, func(t *testing.T) {
			h, authorization := inProcess(t, dsn(t))
			before := countRows(t, h.marketing)
			const n = 5
			client, err := dialRaw(h.url, restPath, authorization, captureBody)
			if err != nil {
				t.Fatal(err)
			}
			defer client.conn.Close()
			for range n {
				if err := client.post(); err != nil {
					t.Fatal(err)
				}
			}
			captured := grown(before, countRows(t, h.marketing))
			if captured["leads"] != n || captured["events"] != n { // its consent is told to nobody: no other department knows the person
				t.Errorf("%d captures wrote %v", n, captured)
			}

			name := string(client.request[client.places[0]:][:tokenLength])
			bareDSN := emptyDatabase(t, h.marketing)
			rows := bareCapture(t, h.marketing, name)
			var s subject
			if engine == "sqlite" {
				s = rows.sqliteSubject(t, bareDSN)
			} else {
				s = rows.postgresSubject(t, bareDSN, 1)
			}
			before = countRows(t, bareDSN)
			op, end, err := s.connect()
			if err != nil {
				t.Fatal(err)
			}
			for range n {
				if err := op(); err != nil {
					t.Fatal(err)
				}
			}
			end()
			if diff := cmp.Diff(captured, grown(before, countRows(t, bareDSN))); diff != "" {
				t.Errorf("rows of %d captures and of %d bare transactions (-captures +bare):\n%s", n, n, diff)
			}
		})
	}
}

// TestEchoAnswersLikeACapture: the limit of the gateway is measured with an answer of the same shape and size.
func TestEchoAnswersLikeACapture(t *testing.T) {
	data := t.TempDir()
	h, authorization := inProcess(t, func(d access.Department) string { return "sqlite:" + filepath.Join(data, string(d)+".db") })
	c := &restClient{url: h.url, token: authorization}
	lead := &marketingv1.Lead{}
	var captured, echoed any
	text := c.text(t, http.MethodPost, restPath, "application/json", captureBody, lead)
	if err := json.Unmarshal(text, &captured); err != nil {
		t.Fatal(err)
	}
	if lead.GetState() != marketingv1.Lead_STATE_MAL {
		t.Errorf("the lead is %s: the benchmark wants one that is not offered", lead.GetState())
	}
	if err := json.Unmarshal(captureAnswer, &echoed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shape(captured), shape(echoed)); diff != "" {
		t.Errorf("testdata/lead.json is not what a capture answers (-capture +testdata):\n%s\nA capture answered:\n%s", diff, text)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, captureAnswer); err != nil {
		t.Fatal(err)
	}
	if got, want := len(text), compact.Len(); got < want*9/10 || got > want*11/10 {
		t.Errorf("a capture is answered with %d bytes, the echo with %d", got, want)
	}
}

// shape lists the paths of a JSON value.
func shape(v any) []string {
	var paths []string
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			for _, below := range shape(v[key]) {
				paths = append(paths, "."+key+below)
			}
		}
	case []any:
		for _, element := range v {
			for _, below := range shape(element) {
				paths = append(paths, "[]"+below)
			}
		}
	}
	if paths == nil {
		return []string{""}
	}
	return paths
}
