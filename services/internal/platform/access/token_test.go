package access

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
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

func verifier(t *testing.T, opts ...VerifierOption) *Verifier {
	t.Helper()
	v, err := NewVerifier(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func token(t *testing.T, i *Issuer, roles ...Role) string {
	t.Helper()
	raw, err := i.Token("sato", "佐藤", roles, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestToken(t *testing.T) {
	clock := testkit.NewClock(time.Time{})
	i := EphemeralIssuer(IssueAt(clock.Now))
	v := verifier(t, VerifyAt(clock.Now), TrustIssuer(i))
	raw := token(t, i, RoleMarketing, RoleViewer)
	for range 2 { // verified, then remembered
		a, err := v.Verify(context.Background(), raw)
		if err != nil || a.ID != "sato" || a.Name != "佐藤" || a.Kind != KindPerson ||
			!slices.Equal(a.Roles, []Role{RoleMarketing, RoleViewer}) {
			t.Fatalf("%+v %v", a, err)
		}
	}
	clock.Advance(time.Hour + Skew - time.Second)
	if _, err := v.Verify(context.Background(), raw); err != nil {
		t.Errorf("within the clock difference: %v", err)
	}
	clock.Advance(2 * time.Second)
	if _, err := v.Verify(context.Background(), raw); !problem.Is(err, problem.ReasonTokenExpired) {
		t.Errorf("expired: %v", err)
	}
}

func TestBadTokens(t *testing.T) {
	i := EphemeralIssuer()
	v := verifier(t, TrustIssuer(i))
	good := token(t, i, RoleAdmin)
	parts := strings.Split(good, ".")
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	elsewhere, err := NewIssuer("elsewhere", key)
	if err != nil {
		t.Fatal(err)
	}
	public := i.PublicKey().(ed25519.PublicKey)
	for name, raw := range map[string]string{
		"empty":            "",
		"text":             "hello",
		"two parts":        parts[0] + "." + parts[1],
		"wrong key":        token(t, EphemeralIssuer(), RoleAdmin),
		"unknown issuer":   token(t, elsewhere, RoleAdmin),
		"foreign audience": token(t, mustIssuer(t, key, EmbeddedIssuer, IssueFor("other")), RoleAdmin),
		"none":             b64(`{"alg":"none"}`) + "." + parts[1] + ".",
		"none, signed":     b64(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2],
		"None":             b64(`{"alg":"None"}`) + "." + parts[1] + ".",
		"shared secret":    hmacToken(t, public, parts[1]),
		"changed claims":   parts[0] + "." + b64(`{"iss":"tasuki-embedded","aud":"tasuki","sub":"x","exp":9999999999,"roles":["ADMIN"]}`) + "." + parts[2],
		"no signature":     parts[0] + "." + parts[1] + ".",
		"not yet valid":    signed(t, i, key, map[string]any{"nbf": time.Now().Add(2 * time.Minute).Unix()}),
	} {
		t.Run(name, func(t *testing.T) {
			vv := v
			if name == "foreign audience" || name == "not yet valid" {
				vv = verifier(t, TrustKey(EmbeddedIssuer, key.Public()))
			}
			if a, err := vv.Verify(context.Background(), raw); !problem.Is(err, problem.ReasonTokenInvalid) {
				t.Errorf("%+v %v", a, err)
			}
		})
	}
	for name, claims := range map[string]map[string]any{"no subject": {"sub": ""}} {
		vv := verifier(t, TrustKey(EmbeddedIssuer, key.Public()))
		if a, err := vv.Verify(context.Background(), signed(t, i, key, claims)); !problem.Is(err, problem.ReasonTokenInvalid) {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
	vv := verifier(t, TrustKey(EmbeddedIssuer, key.Public()))
	if a, err := vv.Verify(context.Background(), signed(t, i, key, map[string]any{"exp": nil})); !problem.Is(err, problem.ReasonTokenExpired) {
		t.Errorf("no expiry: %+v %v", a, err)
	}
}

func must(raw string, err error) string {
	if err != nil {
		panic(err)
	}
	return raw
}

func mustIssuer(t *testing.T, key ed25519.PrivateKey, name string, opts ...IssuerOption) *Issuer {
	t.Helper()
	i, err := NewIssuer(name, key, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// signed makes a good token but for the given claims.
func signed(t *testing.T, _ *Issuer, key crypto.PrivateKey, change map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": EmbeddedIssuer, "aud": Audience, "sub": "sato", "exp": time.Now().Add(time.Hour).Unix(), "roles": []string{"ADMIN"},
	}
	for k, v := range change {
		if v == nil {
			delete(claims, k)
		} else {
			claims[k] = v
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// hmacToken signs with the public key as a shared secret, as attackers try.
func hmacToken(t *testing.T, public ed25519.PublicKey, payload string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(public)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestOnlyTrustedIssuersGrantService(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	service := mustIssuer(t, key, ServiceIssuer)
	embedded := EphemeralIssuer()
	openID := newOpenID(t)
	v := verifier(t, TrustIssuer(service), TrustIssuer(embedded), TrustOpenID(openID.URL, ClaimRules{}, nil))
	for name, c := range map[string]struct {
		raw  string
		want Actor
	}{
		"embedded": {token(t, embedded, RoleService, RoleViewer), Actor{Kind: KindService, Roles: []Role{RoleService, RoleViewer}}},
		"service":  {must(service.Token("service:marketing", "", []Role{RoleService, RoleAdmin}, time.Hour)), Actor{Kind: KindService, Roles: []Role{RoleService}}},
		"openid":   {openID.token(t, map[string]any{"roles": []string{"SERVICE", "ADMIN", "offline_access"}}), Actor{Kind: KindPerson, Roles: []Role{RoleAdmin}}},
	} {
		a, err := v.Verify(context.Background(), c.raw)
		if err != nil || a.Kind != c.want.Kind || !slices.Equal(a.Roles, c.want.Roles) {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
	for name, raw := range map[string]string{
		"a person with a service's key": token(t, service, RoleAdmin),
		"service of no department":      must(service.Token("service:sales", "", []Role{RoleService}, time.Hour)),
		"service without its role":      must(service.Token("service:marketing", "", []Role{RoleAdmin}, time.Hour)),
	} {
		if a, err := v.Verify(context.Background(), raw); !problem.Is(err, problem.ReasonTokenInvalid) {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
	if _, err := NewVerifier(); err == nil {
		t.Error("a verifier without issuers")
	}
}

// TestKeyFile: many processes of a fresh machine start at once.
func TestKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "issuer.key")
	keys := make([]ed25519.PublicKey, 16)
	var wg sync.WaitGroup
	for n := range keys {
		wg.Go(func() {
			i, err := OpenIssuer(EmbeddedIssuer, file)
			if err != nil {
				t.Error(err)
				return
			}
			keys[n] = i.PublicKey().(ed25519.PublicKey)
		})
	}
	wg.Wait()
	for _, k := range keys {
		if !k.Equal(keys[0]) {
			t.Fatal("two keys")
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := os.WriteFile(file, []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenIssuer(EmbeddedIssuer, file); err == nil || !strings.Contains(err.Error(), "PRIVATE KEY") {
		t.Errorf("a spoilt key file: %v", err)
	}
}

func TestServiceIdentity(t *testing.T) {
	clock := testkit.NewClock(time.Time{})
	i := EphemeralIssuer(IssueAt(clock.Now))
	v := verifier(t, VerifyAt(clock.Now), TrustIssuer(i))
	creds := i.Service("marketing")
	get := func() string {
		md, err := creds.GetRequestMetadata(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(md["authorization"], "Bearer ")
	}
	first := get()
	a, err := v.Verify(context.Background(), first)
	if err != nil || a.Kind != KindService || a.ID != "service:marketing" || !slices.Equal(a.Roles, []Role{RoleService}) {
		t.Fatalf("%+v %v", a, err)
	}
	if get() != first {
		t.Error("a new token for every call")
	}
	for range 24 { // over hours the token is always good
		clock.Advance(5 * time.Minute)
		if _, err := v.Verify(context.Background(), get()); err != nil {
			t.Fatal(err)
		}
	}
	if get() == first {
		t.Error("never renewed")
	}
	if md, err := Forward().GetRequestMetadata(context.Background()); err != nil || len(md) != 0 {
		t.Errorf("%v %v", md, err)
	}
	if md, _ := Forward().GetRequestMetadata(WithToken(context.Background(), "abc")); md["authorization"] != "Bearer abc" {
		t.Errorf("%v", md)
	}
}

func FuzzVerify(f *testing.F) {
	i := EphemeralIssuer()
	v, err := NewVerifier(TrustIssuer(i))
	if err != nil {
		f.Fatal(err)
	}
	good, err := i.Token("sato", "", []Role{RoleAdmin}, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := v.Verify(context.Background(), raw)
		if err == nil && raw != good {
			t.Errorf("%q is accepted as %+v", raw, a)
		}
	})
}
