package access

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
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
	audiences []string
	now       func() time.Time
	logger    *slog.Logger
	trusted   map[string]trust
	seen      seen
}

// trust is what one issuer can say.
type trust struct {
	verify *oidc.IDTokenVerifier
	// keys are those of an issuer elsewhere; nil where the keys are at hand.
	keys *remoteKeys
	// actor reads the claims of a token whose signature, issuer, audience and times are good.
	actor func(subject string, claims map[string]any) (Actor, error)
}

// VerifierOption changes a Verifier.
type VerifierOption func(*Verifier) error

// ExpectAudience sets the audiences of which tokens must name one; default Audience. Give it before the issuers.
func ExpectAudience(audiences ...string) VerifierOption {
	return func(v *Verifier) error { v.audiences = audiences; return nil }
}

// VerifyAt sets the clock. Give it before the issuers.
func VerifyAt(now func() time.Time) VerifierOption {
	return func(v *Verifier) error { v.now = now; return nil }
}

// VerifyLog sets where it is told that an issuer cannot be reached. Give it before the issuers.
func VerifyLog(logger *slog.Logger) VerifierOption {
	return func(v *Verifier) error { v.logger = logger; return nil }
}

// TrustIssuer accepts the tokens of an issuer at hand; see TrustKey.
func TrustIssuer(i *Issuer) VerifierOption { return TrustKey(i.Name(), i.PublicKey()) }

// TrustKey accepts tokens of the named issuer that one of the keys verifies. The embedded issuer may grant every role,
// MachineIssuer every role but SERVICE, and every other one nothing but the identity of a department's service.
func TrustKey(issuer string, keys ...crypto.PublicKey) VerifierOption {
	return func(v *Verifier) error {
		t := trust{verify: oidc.NewVerifier(issuer, &oidc.StaticKeySet{PublicKeys: keys}, v.config()), actor: serviceActor}
		switch issuer {
		case EmbeddedIssuer:
			t.actor = ClaimRules{}.embedded
		case MachineIssuer:
			t.actor = machineActor
		}
		v.trusted[issuer] = t
		return nil
	}
}

// TrustOpenID accepts tokens of an OpenID Connect issuer, found by discovery below its URL. It can grant every role but
// SERVICE; rules say which claims do. Keys are fetched when they are needed first, and follow the issuer's rotation: an
// issuer that cannot be reached makes calls fail, not the start. A nil client is a default one.
func TrustOpenID(url string, rules ClaimRules, client *http.Client) VerifierOption {
	return func(v *Verifier) error {
		v.trustRemote(url, newRemoteKeys(client, discover(url), v), rules.person)
		return nil
	}
}

func (v *Verifier) trustRemote(issuer string, keys *remoteKeys, actor func(string, map[string]any) (Actor, error)) {
	v.trusted[issuer] = trust{verify: oidc.NewVerifier(issuer, keys, v.config()), keys: keys, actor: actor}
}

// NewVerifier builds a verifier; at least one issuer must be trusted.
func NewVerifier(opts ...VerifierOption) (*Verifier, error) {
	v := &Verifier{
		audiences: []string{Audience}, now: time.Now, logger: slog.New(slog.DiscardHandler), trusted: map[string]trust{},
	}
	for _, o := range opts {
		if err := o(v); err != nil {
			return nil, err
		}
	}
	if len(v.trusted) == 0 {
		return nil, errors.New("access: a verifier needs an issuer to trust")
	}
	return v, nil
}

// Warm fetches the keys of all issuers, so that the first callers need not wait and mistakes show early. The error names
// the issuers that cannot be reached; they are asked again when their tokens come.
func (v *Verifier) Warm(ctx context.Context) error {
	var errs error
	for issuer, t := range v.trusted {
		if t.keys == nil {
			continue
		}
		if err := t.keys.load(ctx, ""); err != nil {
			errs = errors.Join(errs, fmt.Errorf("issuer %s: %w", issuer, err))
		}
	}
	return errs
}

func (v *Verifier) config() *oidc.Config {
	return &oidc.Config{
		SkipClientIDCheck: true, // Verify looks at the audience: there may be several
		// Half a minute of clock difference is forgiven.
		SupportedSigningAlgs: algorithms, Now: func() time.Time { return v.now().Add(-Skew) },
	}
}

// Verify checks a raw token and says who holds it. The error is a problem: TOKEN_INVALID, TOKEN_EXPIRED, or
// DEPARTMENT_UNAVAILABLE when the keys of the issuer cannot be had; or the end of the context.
func (v *Verifier) Verify(ctx context.Context, raw string) (Actor, error) {
	now := v.now()
	if a, ok := v.seen.get(raw, now); ok {
		return a, nil
	}
	t, ok := v.trusted[unverifiedIssuer(raw)]
	if !ok {
		return Actor{}, problem.TokenInvalid(errors.New("issuer is not trusted"))
	}
	if t.keys != nil {
		if err := t.keys.load(ctx, keyID(raw)); err != nil {
			if ctx.Err() != nil {
				return Actor{}, ctx.Err()
			}
			return Actor{}, problem.Unavailable("the token issuer").Because(err)
		}
	}
	tok, err := t.verify.Verify(ctx, raw)
	if err != nil {
		if _, expired := errors.AsType[*oidc.TokenExpiredError](err); expired {
			return Actor{}, problem.TokenExpired()
		}
		return Actor{}, problem.TokenInvalid(err)
	}
	a, err := v.actor(t, tok, now)
	if err != nil {
		return Actor{}, problem.TokenInvalid(err)
	}
	v.seen.put(raw, a, tok.Expiry.Add(Skew), now)
	return a, nil
}

func (v *Verifier) actor(t trust, tok *oidc.IDToken, now time.Time) (Actor, error) {
	if !slices.ContainsFunc(tok.Audience, func(a string) bool { return slices.Contains(v.audiences, a) }) {
		return Actor{}, errors.New("the audience is another one")
	}
	var times struct {
		NotBefore float64 `json:"nbf"`
	}
	if err := tok.Claims(&times); err != nil {
		return Actor{}, err
	}
	// go-oidc forgives five minutes here.
	if times.NotBefore != 0 && now.Add(Skew).Before(time.Unix(int64(times.NotBefore), 0)) {
		return Actor{}, errors.New("not valid yet")
	}
	if tok.Subject == "" {
		return Actor{}, errors.New("no subject")
	}
	var claims map[string]any
	if err := tok.Claims(&claims); err != nil {
		return Actor{}, err
	}
	return t.actor(tok.Subject, claims)
}

// IssuerOf is what a token says its issuer is; empty when it does not say. Nothing is checked: use it only for a token
// whose source is trusted.
func IssuerOf(raw string) string { return unverifiedIssuer(raw) }

// unverifiedIssuer only picks whose keys to try; nothing else is read before the signature is checked.
func unverifiedIssuer(raw string) string {
	var c struct {
		Issuer string `json:"iss"`
	}
	part(raw, 1, &c)
	return c.Issuer
}

// keyID is the key that a token says it was signed with; empty when it does not say.
func keyID(raw string) string {
	var h struct {
		KeyID string `json:"kid"`
	}
	part(raw, 0, &h)
	return h.KeyID
}

// part reads one of the three parts of a token, and leaves out alone what cannot be read.
func part(raw string, n int, out any) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return
	}
	if text, err := base64.RawURLEncoding.DecodeString(parts[n]); err == nil {
		_ = json.Unmarshal(text, out) // what is damaged has no issuer and no key, and is refused for that
	}
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
