package access

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// openIDServer is an OpenID Connect issuer that signs with ES256. It counts how often its keys are asked for.
type openIDServer struct {
	*httptest.Server

	mu      sync.Mutex
	keys    map[string]*ecdsa.PrivateKey
	current string
	fetches int
	down    bool
}

func newOpenID(t *testing.T) *openIDServer {
	t.Helper()
	s := &openIDServer{keys: map[string]*ecdsa.PrivateKey{}}
	s.rotate(t, "1")
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if s.isDown() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"id_token_signing_alg_values_supported":["ES256"]}`, s.URL, s.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fetches++
		// An unknown kind of key beside ours must not spoil the set.
		set := struct {
			Keys []any `json:"keys"`
		}{Keys: []any{map[string]string{"kty": "FUTURE", "kid": "x"}}}
		for id, key := range s.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: "ES256", Use: "sig"})
		}
		_ = json.NewEncoder(w).Encode(set)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *openIDServer) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func (s *openIDServer) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *openIDServer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

// rotate signs with a new key from now on; withdrawn keys are shown no longer.
func (s *openIDServer) rotate(t *testing.T, id string, withdrawn ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[id], s.current = key, id
	for _, w := range withdrawn {
		delete(s.keys, w)
	}
}

// token makes a good one but for the given claims; nil leaves one out.
func (s *openIDServer) token(t *testing.T, change map[string]any) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sign(t, s.keys[s.current], s.current, change)
}

func (s *openIDServer) sign(t *testing.T, key crypto.PrivateKey, id string, change map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": s.URL, "aud": []string{"web", Audience}, "sub": "tanaka", "name": "田中", "exp": time.Now().Add(time.Hour).Unix(),
	}
	for k, v := range change {
		claims[k] = v
		if v == nil {
			delete(claims, k)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestOpenIDTokens(t *testing.T) {
	s := newOpenID(t)
	foreign := newOpenID(t)
	v := verifier(t, TrustOpenID(s.URL, ClaimRules{}, nil))
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	payload := strings.Split(s.token(t, nil), ".")[1]
	public, err := x509.MarshalPKIXPublicKey(s.keys["1"].Public())
	if err != nil {
		t.Fatal(err)
	}
	unix := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, c := range map[string]struct {
		raw  string
		want problem.Reason // 0 is accepted
	}{
		"good":                         {s.token(t, nil), 0},
		"no key id":                    {s.sign(t, s.keys["1"], "", nil), 0},
		"expired within the skew":      {s.token(t, map[string]any{"exp": unix(-Skew + 10*time.Second)}), 0},
		"valid from within the skew":   {s.token(t, map[string]any{"nbf": unix(Skew - 10*time.Second)}), 0},
		"expired":                      {s.token(t, map[string]any{"exp": unix(-Skew - 10*time.Second)}), problem.ReasonTokenExpired},
		"valid from later":             {s.token(t, map[string]any{"nbf": unix(Skew + 10*time.Second)}), problem.ReasonTokenInvalid},
		"no expiry":                    {s.token(t, map[string]any{"exp": nil}), problem.ReasonTokenExpired},
		"foreign audience":             {s.token(t, map[string]any{"aud": "web"}), problem.ReasonTokenInvalid},
		"no audience":                  {s.token(t, map[string]any{"aud": nil}), problem.ReasonTokenInvalid},
		"foreign issuer":               {foreign.token(t, nil), problem.ReasonTokenInvalid},
		"foreign key, our issuer":      {foreign.token(t, map[string]any{"iss": s.URL}), problem.ReasonTokenInvalid},
		"wrong key":                    {s.sign(t, other, "1", nil), problem.ReasonTokenInvalid},
		"wrong key without id":         {s.sign(t, other, "", nil), problem.ReasonTokenInvalid},
		"unknown key id":               {s.sign(t, other, "2", nil), problem.ReasonTokenInvalid},
		"none":                         {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + ".", problem.ReasonTokenInvalid},
		"public key as shared secret":  {hmacToken(t, public, payload), problem.ReasonTokenInvalid},
		"no subject":                   {s.token(t, map[string]any{"sub": nil}), problem.ReasonTokenInvalid},
		"claims of an embedded issuer": {s.token(t, map[string]any{"iss": EmbeddedIssuer}), problem.ReasonTokenInvalid},
	} {
		if a, err := v.Verify(t.Context(), c.raw); problem.ReasonOf(err) != c.want {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
	several := verifier(t, ExpectAudience("tasuki-a", "web"), TrustOpenID(s.URL, ClaimRules{}, nil))
	if _, err := several.Verify(t.Context(), s.token(t, nil)); err != nil {
		t.Errorf("one of several audiences: %v", err)
	}
}

// TestKeysRotate: a new key is found when its first token comes, and a withdrawn one ends. However many tokens name keys
// that nobody has, the issuer is asked now and then only.
func TestKeysRotate(t *testing.T) {
	s := newOpenID(t)
	clock := testkit.NewClock(time.Now())
	v := verifier(t, VerifyAt(clock.Now), TrustOpenID(s.URL, ClaimRules{}, nil))
	accepted := func(raw string) bool {
		t.Helper()
		_, err := v.Verify(t.Context(), raw)
		if err != nil && !problem.Is(err, problem.ReasonTokenInvalid) {
			t.Fatal(err)
		}
		return err == nil
	}
	life := map[string]any{"exp": clock.Now().Add(time.Hour).Unix()}
	old := s.token(t, life)
	if !accepted(old) || s.asked() != 1 {
		t.Fatalf("first token; %d fetches", s.asked())
	}
	forged, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(keysPause)
	for n := range 50 {
		if accepted(s.sign(t, forged, fmt.Sprint("forged-", n), life)) {
			t.Fatal("a forged key")
		}
	}
	if s.asked() != 2 {
		t.Errorf("50 unknown keys made %d fetches", s.asked()-1)
	}
	s.rotate(t, "2", "1")
	clock.Advance(keysPause)
	if !accepted(s.token(t, life)) || s.asked() != 3 {
		t.Errorf("the new key is not found; %d fetches", s.asked())
	}
	clock.Advance(seenTTL)
	if accepted(old) {
		t.Error("the withdrawn key still works")
	}

	before := s.asked()
	clock.Advance(keysTTL)
	accepted(s.sign(t, forged, "2", life))
	if s.asked() != before+1 {
		t.Error("keys are never fetched again")
	}
}

// TestIssuerIsAway: an issuer that is not there makes its tokens fail as unavailable, not for ever, and not what is known.
func TestIssuerIsAway(t *testing.T) {
	s := newOpenID(t)
	s.setDown(true)
	clock := testkit.NewClock(time.Now())
	embedded := EphemeralIssuer()
	v := verifier(t, VerifyAt(clock.Now), TrustOpenID(s.URL, ClaimRules{}, nil), TrustIssuer(embedded))
	life := map[string]any{"exp": clock.Now().Add(100 * time.Hour).Unix()}
	if err := v.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), s.URL) {
		t.Errorf("%v", err)
	}
	if _, err := v.Verify(t.Context(), s.token(t, life)); !problem.Is(err, problem.ReasonDepartmentUnavailable) {
		t.Errorf("while it is away: %v", err)
	}
	if _, err := v.Verify(t.Context(), token(t, embedded, RoleAdmin)); err != nil {
		t.Errorf("another issuer: %v", err)
	}
	s.setDown(false)
	clock.Advance(keysPause)
	raw := s.token(t, life)
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	s.setDown(true)
	clock.Advance(2 * keysTTL)
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Errorf("away again, with known keys: %v", err)
	}
	clock.Advance(keysStale)
	if _, err := v.Verify(t.Context(), raw); !problem.Is(err, problem.ReasonDepartmentUnavailable) {
		t.Errorf("away for a day: %v", err)
	}
}

// TestVerifyEndsWithItsContext: an issuer that never answers holds nobody longer than they want to wait.
func TestVerifyEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	v := verifier(t, TrustOpenID(s.URL, ClaimRules{}, nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	raw := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":%q}`, s.URL)) + ".AAAA"
	if _, err := v.Verify(ctx, raw); err != context.Canceled {
		t.Errorf("%v", err)
	}
}

func TestClaims(t *testing.T) {
	s := newOpenID(t)
	mapped := map[string][]Role{"sales leads": {RoleFieldSales, RoleViewer}, "ops": {RoleAdmin}}
	for name, c := range map[string]struct {
		rules  ClaimRules
		claims map[string]any
		want   Actor
	}{
		"defaults": {
			ClaimRules{},
			map[string]any{"roles": []string{"marketing", "inside-sales", "root"}},
			Actor{ID: "tanaka", Name: "田中", Roles: []Role{RoleMarketing, RoleInsideSales}},
		},
		"nested": {
			ClaimRules{Roles: []string{"realm_access.roles"}},
			map[string]any{"realm_access": map[string]any{"roles": []string{"VIEWER"}}, "roles": []string{"ADMIN"}},
			Actor{ID: "tanaka", Name: "田中", Roles: []Role{RoleViewer}},
		},
		"names with dots": {
			ClaimRules{Roles: []string{"https://id.example.com/app.roles"}},
			map[string]any{"https://id.example.com/app": map[string]any{"roles": "viewer marketing"}},
			Actor{ID: "tanaka", Name: "田中", Roles: []Role{RoleViewer, RoleMarketing}},
		},
		"an object's names": {
			ClaimRules{Roles: []string{"urn:roles"}},
			map[string]any{"urn:roles": map[string]any{"viewer": map[string]any{"1": "x"}}},
			Actor{ID: "tanaka", Name: "田中", Roles: []Role{RoleViewer}},
		},
		"map": {
			ClaimRules{Roles: []string{"groups", "roles"}, Map: mapped},
			map[string]any{"groups": []string{"sales leads", "viewer", "nobody"}, "roles": []string{"ops", "ops"}},
			Actor{ID: "tanaka", Name: "田中", Roles: []Role{RoleFieldSales, RoleViewer, RoleAdmin}},
		},
		"a map leaves out names of roles": {
			ClaimRules{Map: mapped},
			map[string]any{"roles": []string{"ADMIN", "VIEWER"}},
			Actor{ID: "tanaka", Name: "田中"},
		},
		"services are not for people": {
			ClaimRules{Map: map[string][]Role{"x": {RoleService}}},
			map[string]any{"roles": []string{"x"}},
			Actor{ID: "tanaka", Name: "田中"},
		},
		"what is no text": {ClaimRules{}, map[string]any{"roles": []any{1, true, nil, "viewer"}, "name": 7}, Actor{ID: "tanaka", Roles: []Role{RoleViewer}}},
		"a number":        {ClaimRules{}, map[string]any{"roles": 7}, Actor{ID: "tanaka", Name: "田中"}},
		"user and name": {
			ClaimRules{User: "ids.employee", Name: "nick"},
			map[string]any{"ids": map[string]any{"employee": "e-17"}, "nick": "たな"},
			Actor{ID: "e-17", Name: "たな"},
		},
	} {
		v := verifier(t, TrustOpenID(s.URL, c.rules, nil))
		got, err := v.Verify(t.Context(), s.token(t, c.claims))
		if err != nil || got.ID != c.want.ID || got.Name != c.want.Name || got.Kind != KindPerson || !slices.Equal(got.Roles, c.want.Roles) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	v := verifier(t, TrustOpenID(s.URL, ClaimRules{User: "employee"}, nil))
	if a, err := v.Verify(t.Context(), s.token(t, nil)); !problem.Is(err, problem.ReasonTokenInvalid) {
		t.Errorf("a person without an id: %+v %v", a, err)
	}
}
