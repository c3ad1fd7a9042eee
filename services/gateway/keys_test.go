package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// keyRig is a rig with API keys, whose clock the test moves.
type keyRig struct {
	*rig
	clock  *testkit.Clock
	people *access.Issuer
	admin  string
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// onBothEngines runs a test with keys in SQLite and in PostgreSQL. The keys' issuer keeps real time: only keys expire by the
// clock.
func onBothEngines(t *testing.T, test func(*testing.T, *keyRig, string)) {
	for engine, dsn := range map[store.Engine]func(testing.TB, ...store.Migrations) string{
		store.SQLite: testkit.SQLiteDSN, store.Postgres: testkit.PostgresDSN,
	} {
		t.Run(string(engine), func(t *testing.T) {
			where := dsn(t)
			test(t, newKeyRig(t, where, testkit.NewClock(time.Now())), where)
		})
	}
}

func newKeyRig(t *testing.T, dsn string, clock *testkit.Clock) *keyRig {
	t.Helper()
	issuer := access.EphemeralIssuer()
	return newKeyRigOf(t, dsn, clock, issuer)
}

func newKeyRigOf(t *testing.T, dsn string, clock *testkit.Clock, people *access.Issuer) *keyRig {
	t.Helper()
	machines, err := people.As(access.MachineIssuer)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := access.NewVerifier(access.TrustIssuer(people), access.TrustIssuer(machines))
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	keys, err := OpenKeys(t.Context(), KeyOptions{DSN: dsn, Migrate: true, Issuer: machines, Verifier: verifier, Clock: clock, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	part := keys.Part()
	done := make(chan error, 1)
	go func() { done <- part.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(part.Stop(ctx), <-done); err != nil {
			t.Error(err)
		}
	})
	r := &keyRig{rig: newRig(t, Options{Keys: keys, Verifier: verifier, Logger: logger}), clock: clock, log: log, people: people}
	if r.token, err = people.Token("sato", "佐藤", []access.Role{access.RoleMarketing}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if r.admin, err = people.Token("e-17", "管理 花子", []access.Role{access.RoleAdmin}, time.Hour); err != nil {
		t.Fatal(err)
	}
	return r
}

type apiKey struct {
	ID, Prefix, State, ExpireTime, LastUseTime, RevokeTime string
	CreatedBy, RevokedBy                                   struct{ ID, DisplayName string }
}

// as calls with a token and returns the status, the reason of an error, and the answer.
func (r *keyRig) as(token, method, path, body string, headers ...string) (code int, reason, text string) {
	r.t.Helper()
	headers = append(headers, "Authorization", "Bearer "+token)
	resp, text := r.do(method, path, "application/json", strings.NewReader(body), headers...)
	var shape struct{ Details []struct{ Reason string } }
	if resp.StatusCode >= 400 {
		if err := json.Unmarshal([]byte(text), &shape); err != nil || len(shape.Details) == 0 {
			r.t.Fatalf("%s %s: HTTP %d is not of the one shape: %s", method, path, resp.StatusCode, text)
		}
		reason = shape.Details[0].Reason
	}
	return resp.StatusCode, reason, text
}

func (r *keyRig) create(body string, headers ...string) (key string, k apiKey) {
	r.t.Helper()
	code, _, text := r.as(r.admin, "POST", "/gateway/v1/api-keys", body, headers...)
	var out struct {
		APIKey apiKey
		Key    string
	}
	if err := json.Unmarshal([]byte(text), &out); code != http.StatusOK || err != nil {
		r.t.Fatalf("create: HTTP %d %s", code, text)
	}
	return out.Key, out.APIKey
}

func (r *keyRig) get(id string) (k apiKey) {
	r.t.Helper()
	_, _, text := r.as(r.admin, "GET", "/gateway/v1/api-keys/"+id, "")
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		r.t.Fatal(err)
	}
	return k
}

const (
	aLead  = "/marketing/v1/leads/" + anID
	change = `{"notes":"x"}`
)

func TestAKeyFromItsBeginningToItsEnd(t *testing.T) {
	onBothEngines(t, func(t *testing.T, r *keyRig, dsn string) {
		key, k := r.create(`{"displayName":"nightly import","roles":["ROLE_MARKETING"]}`)
		if !strings.HasPrefix(key, k.Prefix+"_") || len(key) != 73 || k.State != "STATE_ACTIVE" || k.CreatedBy.ID != "e-17" || k.LastUseTime != "" {
			t.Fatalf("%d letters, %+v", len(key), k)
		}
		if code, _, text := r.as(key, "GET", aLead, ""); code != http.StatusOK {
			t.Fatalf("HTTP %d %s", code, text)
		}
		if code, reason, _ := r.as(key, "POST", "/inside-sales/v1/work-items", "{}"); code != http.StatusForbidden && code != http.StatusMethodNotAllowed {
			t.Errorf("a role that the key does not have: HTTP %d %s", code, reason)
		}
		if got := r.get(k.ID); got.LastUseTime == "" {
			t.Errorf("never used: %+v", got)
		}
		first := r.get(k.ID).LastUseTime
		r.clock.Advance(2 * time.Minute)
		r.as(key, "GET", aLead, "")
		if got := r.get(k.ID).LastUseTime; got <= first {
			t.Errorf("used last %s, then %s", first, got)
		}
		for name, wrong := range map[string]string{
			"another secret": k.Prefix + "_" + strings.Repeat("a", 52), "no such key": "tsk_0123456789abcdef_" + strings.Repeat("a", 52),
			"half a key": key[:40], "only its beginning": k.Prefix, "and more": key + "a", "letters of another size": strings.ToUpper(key),
		} {
			if code, reason, _ := r.as(wrong, "GET", aLead, ""); code != http.StatusUnauthorized || reason != "TOKEN_INVALID" {
				t.Errorf("%s: HTTP %d %s", name, code, reason)
			}
		}

		// Another gateway on the same database learns of the revocation a little later.
		replica := newKeyRigOf(t, dsn, r.clock, r.people)
		if code, _, text := replica.as(key, "GET", aLead, ""); code != http.StatusOK {
			t.Fatalf("at the replica: HTTP %d %s", code, text)
		}
		code, _, text := r.as(r.admin, "POST", "/gateway/v1/api-keys/"+k.ID+":revoke", "{}")
		if code != http.StatusOK || !strings.Contains(text, "STATE_REVOKED") {
			t.Fatalf("revoke: HTTP %d %s", code, text)
		}
		revoked := r.get(k.ID)
		r.clock.Advance(time.Second)
		if r.as(r.admin, "POST", "/gateway/v1/api-keys/"+k.ID+":revoke", "{}"); r.get(k.ID) != revoked || revoked.RevokedBy.ID != "e-17" {
			t.Errorf("revoked twice: %+v, then %+v", revoked, r.get(k.ID))
		}
		if code, reason, _ := r.as(key, "GET", aLead, ""); code != http.StatusUnauthorized || reason != "TOKEN_INVALID" {
			t.Errorf("after its revocation: HTTP %d %s", code, reason)
		}
		r.clock.Advance(15 * time.Second)
		if code, _, _ := replica.as(key, "GET", aLead, ""); code != http.StatusUnauthorized {
			t.Errorf("at the replica, 15 s after its revocation: HTTP %d", code)
		}

		// The secret is in no log.
		if secret := key[len(k.Prefix)+1:]; strings.Contains(r.log.String(), secret) || strings.Contains(r.log.String(), "花子") {
			t.Error("the log tells too much")
		}
		if !strings.Contains(r.log.String(), "TOKEN_INVALID") || !strings.Contains(r.log.String(), "turned away") {
			t.Errorf("the log tells too little:\n%s", r.log.String())
		}
	})
}

func TestKeysAreLimited(t *testing.T) {
	onBothEngines(t, func(t *testing.T, r *keyRig, _ string) {
		reader, _ := r.create(`{"displayName":"report","roles":["ROLE_MARKETING"],"readOnly":true}`)
		elsewhere, _ := r.create(`{"displayName":"dialer","roles":["ROLE_ADMIN"],"departments":["inside-sales"]}`)
		admin, _ := r.create(`{"displayName":"all","roles":["ROLE_ADMIN"]}`)
		for name, c := range map[string]struct {
			key, method, path string
			code              int
			reason            string
		}{
			"reads":                 {reader, "GET", aLead, 200, ""},
			"does not write":        {reader, "PATCH", aLead, 403, "KEY_LIMITED"},
			"of another department": {elsewhere, "GET", aLead, 403, "KEY_LIMITED"},
			"of the department":     {elsewhere, "GET", "/inside-sales/v1/work-items", 503, "DEPARTMENT_UNAVAILABLE"}, // nobody runs it
			"writes":                {admin, "PATCH", aLead, 200, ""},
			"makes no keys":         {admin, "POST", "/gateway/v1/api-keys", 403, "KEY_LIMITED"},
			"sees no keys":          {admin, "GET", "/gateway/v1/api-keys", 403, "KEY_LIMITED"},
		} {
			body := ""
			switch c.method {
			case "PATCH":
				body = change
			case "POST":
				body = `{"displayName":"x","roles":["ROLE_VIEWER"]}`
			}
			if code, reason, text := r.as(c.key, c.method, c.path, body); code != c.code || reason != c.reason {
				t.Errorf("%s: HTTP %d %s, want %d %s: %s", name, code, reason, c.code, c.reason, text)
			}
		}
	})
}

func TestKeysEnd(t *testing.T) {
	onBothEngines(t, func(t *testing.T, r *keyRig, _ string) {
		end := r.clock.Now().Add(time.Hour).Format(time.RFC3339)
		key, k := r.create(`{"displayName":"short","roles":["ROLE_VIEWER"],"expireTime":"` + end + `"}`)
		if code, _, text := r.as(key, "GET", aLead, ""); code != http.StatusOK {
			t.Fatalf("HTTP %d %s", code, text)
		}
		r.clock.Advance(time.Hour)
		if code, reason, _ := r.as(key, "GET", aLead, ""); code != http.StatusUnauthorized || reason != "TOKEN_EXPIRED" {
			t.Errorf("after its end: HTTP %d %s", code, reason)
		}
		if got := r.get(k.ID); got.State != "STATE_EXPIRED" {
			t.Errorf("%+v", got)
		}
		for name, body := range map[string]string{
			"in the past":     `{"displayName":"x","roles":["ROLE_VIEWER"],"expireTime":"2020-01-01T00:00:00Z"}`,
			"in ten years":    `{"displayName":"x","roles":["ROLE_VIEWER"],"expireTime":"2099-01-01T00:00:00Z"}`,
			"no role":         `{"displayName":"x"}`,
			"role of service": `{"displayName":"x","roles":["ROLE_SERVICE"]}`,
			"no department":   `{"displayName":"x","roles":["ROLE_VIEWER"],"departments":["sales"]}`,
			"no name":         `{"roles":["ROLE_VIEWER"]}`,
		} {
			if code, reason, _ := r.as(r.admin, "POST", "/gateway/v1/api-keys", body); code != http.StatusBadRequest || reason != "INVALID_FIELDS" {
				t.Errorf("%s: HTTP %d %s", name, code, reason)
			}
		}
		if code, reason, _ := r.as(r.token, "GET", "/gateway/v1/api-keys", ""); code != http.StatusForbidden || reason != "ROLE_MISSING" {
			t.Errorf("a person who is no administrator: HTTP %d %s", code, reason)
		}
	})
}

// TestCreatingAgain: a repeated creation makes no second key, and the secret is kept nowhere to be shown again.
func TestCreatingAgain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, r *keyRig, _ string) {
		const body = `{"displayName":"once","roles":["ROLE_VIEWER"]}`
		key, first := r.create(body, "Idempotency-Key", "k-1")
		again, second := r.create(body, "Idempotency-Key", "k-1")
		if key == "" || again != "" || first.ID != second.ID {
			t.Errorf("%q %s, then %q %s", key[:4], first.ID, again, second.ID)
		}
		for n := range 3 {
			r.create(fmt.Sprintf(`{"displayName":"n%d","roles":["ROLE_VIEWER"]}`, n))
		}
		var names []string
		token := ""
		for {
			_, _, text := r.as(r.admin, "GET", "/gateway/v1/api-keys?page_size=3&page_token="+token, "")
			var page struct {
				APIKeys       []struct{ DisplayName string }
				NextPageToken string
			}
			if err := json.Unmarshal([]byte(text), &page); err != nil {
				t.Fatal(err)
			}
			for _, k := range page.APIKeys {
				names = append(names, k.DisplayName)
			}
			if token = page.NextPageToken; token == "" {
				break
			}
		}
		if got := strings.Join(names, " "); got != "n2 n1 n0 once" {
			t.Errorf("listed: %s", got)
		}
	})
}

// TestKeysWait: serving and migrating wait for the database, for as long as they are told, and say so without its password.
func TestKeysWait(t *testing.T) {
	away, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dsn := "postgres://gateway:hunter2@" + away.Addr().String() + "/gateway"
	if err := away.Close(); err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	o := KeyOptions{DSN: dsn, Logger: slog.New(slog.NewJSONHandler(log, nil))}
	if _, err := OpenKeys(t.Context(), o); !errors.Is(err, store.ErrUnavailable) || log.String() != "" {
		t.Errorf("without patience: %v\n%s", err, log)
	}
	o.Patience = 200 * time.Millisecond
	_, err = OpenKeys(t.Context(), o)
	for what, err := range map[string]error{"serve": err, "migrate": migrateKeys(dsn, o.Patience)} {
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "ms for the database") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if said := log.String(); !strings.Contains(said, "waiting for it") || strings.Contains(said, "hunter2") {
		t.Error(said)
	}
}
