package access

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Skew is how far the clocks of issuer and service may differ.
const Skew = 30 * time.Second

// algorithms that are accepted: asymmetric ones only.
var algorithms = []string{
	oidc.EdDSA, oidc.ES256, oidc.ES384, oidc.ES512, oidc.RS256, oidc.RS384, oidc.RS512,
	oidc.PS256, oidc.PS384, oidc.PS512,
}

// Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	audience string
	now      func() time.Time
	trusted  map[string]trust
	seen     seen
}

type trust struct {
	verify *oidc.IDTokenVerifier
	grants func(Role) bool
}

// VerifierOption changes a Verifier.
type VerifierOption func(context.Context, *Verifier) error

// ExpectAudience sets the audience that tokens must name; default Audience. Give it before the issuers.
func ExpectAudience(audience string) VerifierOption {
	return func(_ context.Context, v *Verifier) error { v.audience = audience; return nil }
}

// VerifyAt sets the clock. Give it before the issuers.
func VerifyAt(now func() time.Time) VerifierOption {
	return func(_ context.Context, v *Verifier) error { v.now = now; return nil }
}

// TrustIssuer accepts the tokens of an issuer at hand: any role of the embedded issuer, only SERVICE of others.
func TrustIssuer(i *Issuer) VerifierOption { return TrustKey(i.Name(), i.PublicKey()) }

// TrustKey accepts tokens of the named issuer that one of the keys verifies: any role of the embedded issuer, only
// SERVICE of others.
func TrustKey(issuer string, keys ...crypto.PublicKey) VerifierOption {
	return func(_ context.Context, v *Verifier) error {
		t := trust{
			verify: oidc.NewVerifier(issuer, &oidc.StaticKeySet{PublicKeys: keys}, v.config()),
			grants: func(r Role) bool { return r == RoleService },
		}
		if issuer == EmbeddedIssuer {
			t.grants = func(Role) bool { return true }
		}
		v.trusted[issuer] = t
		return nil
	}
}

// TrustOpenID accepts tokens of an OpenID Connect issuer, found by discovery below its URL. It can grant every role but
// SERVICE. Keys are fetched when needed and follow the issuer's rotation.
func TrustOpenID(url string) VerifierOption {
	return func(ctx context.Context, v *Verifier) error {
		provider, err := oidc.NewProvider(ctx, url)
		if err != nil {
			return fmt.Errorf("OpenID Connect issuer %s: %w", url, err)
		}
		v.trusted[url] = trust{
			verify: provider.VerifierContext(context.WithoutCancel(ctx), v.config()),
			grants: func(r Role) bool { return r != RoleService },
		}
		return nil
	}
}

// NewVerifier builds a verifier; at least one issuer must be trusted. The context bounds discovery only.
func NewVerifier(ctx context.Context, opts ...VerifierOption) (*Verifier, error) {
	v := &Verifier{audience: Audience, now: time.Now, trusted: map[string]trust{}}
	for _, o := range opts {
		if err := o(ctx, v); err != nil {
			return nil, err
		}
	}
	if len(v.trusted) == 0 {
		return nil, errors.New("access: a verifier needs an issuer to trust")
	}
	return v, nil
}

func (v *Verifier) config() *oidc.Config {
	return &oidc.Config{
		ClientID: v.audience, SupportedSigningAlgs: algorithms,
		Now: func() time.Time { return v.now().Add(-Skew) },
	}
}

// Verify checks a raw token and says who holds it. The error is a problem: TOKEN_INVALID or TOKEN_EXPIRED, or
// the end of the context.
func (v *Verifier) Verify(ctx context.Context, raw string) (Actor, error) {
	now := v.now()
	if a, ok := v.seen.get(raw, now); ok {
		return a, nil
	}
	t, ok := v.trusted[unverifiedIssuer(raw)]
	if !ok {
		return Actor{}, problem.TokenInvalid(errors.New("issuer is not trusted"))
	}
	tok, err := t.verify.Verify(ctx, raw)
	if err != nil {
		if _, expired := errors.AsType[*oidc.TokenExpiredError](err); expired {
			return Actor{}, problem.TokenExpired()
		}
		if ctx.Err() != nil {
			return Actor{}, ctx.Err()
		}
		return Actor{}, problem.TokenInvalid(err)
	}
	a, err := t.actor(tok, now)
	if err != nil {
		return Actor{}, problem.TokenInvalid(err)
	}
	v.seen.put(raw, a, tok.Expiry.Add(Skew), now)
	return a, nil
}

func (t trust) actor(tok *oidc.IDToken, now time.Time) (Actor, error) {
	var c struct {
		claims
		NotBefore int64 `json:"nbf"`
	}
	if err := tok.Claims(&c); err != nil {
		return Actor{}, err
	}
	// go-oidc forgives five minutes here.
	if c.NotBefore != 0 && now.Add(Skew).Before(time.Unix(c.NotBefore, 0)) {
		return Actor{}, errors.New("not valid yet")
	}
	if tok.Subject == "" {
		return Actor{}, errors.New("no subject")
	}
	a := Actor{Kind: KindPerson, ID: tok.Subject, Name: c.Name}
	for _, name := range c.Roles {
		if r, ok := ParseRole(name); ok && t.grants(r) {
			a.Roles = append(a.Roles, r)
		}
	}
	if a.Has(RoleService) {
		a.Kind = KindService
	}
	return a, nil
}

// unverifiedIssuer only picks whose keys to try; nothing else is read before the signature is checked.
func unverifiedIssuer(raw string) string {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return ""
	}
	return c.Issuer
}

// seen remembers verified tokens for a short while: a signature check costs more than most reads.
type seen struct {
	mu      sync.Mutex
	entries map[string]seenEntry
}

type seenEntry struct {
	actor Actor
	until time.Time
}

// The bounds of the memory: entries, and how long a key that its issuer withdrew keeps working.
const (
	seenMax = 4096
	seenTTL = time.Minute
)

func (s *seen) get(raw string, now time.Time) (Actor, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[raw]
	if !ok || !now.Before(e.until) {
		return Actor{}, false
	}
	return e.actor, true
}

func (s *seen) put(raw string, a Actor, expiry, now time.Time) {
	until := now.Add(seenTTL)
	if expiry.Before(until) {
		until = expiry
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil || len(s.entries) >= seenMax {
		s.entries = map[string]seenEntry{}
	}
	s.entries[raw] = seenEntry{actor: a, until: until}
}
