package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// How the keys of an issuer elsewhere are kept.
const (
	// keysTTL is how long keys are used before they are fetched again: a key that was withdrawn ends then.
	keysTTL = 10 * time.Minute
	// keysPause lies between two fetches, however many tokens name keys that nobody knows.
	keysPause = 5 * time.Second
	// keysStale is how long keys are used while the issuer cannot be reached.
	keysStale = 24 * time.Hour
	// keysTimeout bounds a fetch.
	keysTimeout = 10 * time.Second
	// keysBytes bounds what an issuer may send.
	keysBytes = 1 << 20
)

// remoteKeys are the public keys of an issuer elsewhere. It is an oidc.KeySet; go-oidc's own asks the issuer for every
// token with a bad signature, and never forgets a key that was withdrawn.
type remoteKeys struct {
	client *http.Client
	locate func(context.Context) (url string, err error)
	now    func() time.Time
	logger *slog.Logger

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // when the keys came
	tried   time.Time // when they were asked for
	err     error     // of the last fetch
	flight  chan struct{}
}

func newRemoteKeys(client *http.Client, locate func(*http.Client) func(context.Context) (string, error), v *Verifier) *remoteKeys {
	if client == nil {
		client = NewHTTPClient(nil)
	}
	return &remoteKeys{client: client, locate: locate(client), now: v.now, logger: v.logger}
}

// discover finds the keys of an issuer by OpenID Connect discovery.
func discover(issuer string) func(*http.Client) func(context.Context) (string, error) {
	return func(client *http.Client) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
			if err != nil {
				return "", err
			}
			var found struct {
				Keys string `json:"jwks_uri"`
			}
			if err := provider.Claims(&found); err != nil {
				return "", err
			}
			if found.Keys == "" {
				return "", errors.New("discovery names no jwks_uri")
			}
			return found.Keys, nil
		}
	}
}

// at is a place of keys that is known.
func at(url string) func(*http.Client) func(context.Context) (string, error) {
	return func(*http.Client) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return url, nil }
	}
}

// load sees to it that keys are here, among them, if the issuer has it, the one with the id. It fails only when there are
// none to use.
func (k *remoteKeys) load(ctx context.Context, id string) error {
	k.mu.Lock()
	now := k.now()
	if k.fresh(now) && k.knows(id) || k.flight == nil && !k.tried.IsZero() && now.Sub(k.tried) < keysPause {
		defer k.mu.Unlock()
		return k.usable(now)
	}
	if k.flight == nil {
		k.flight = make(chan struct{})
		k.tried = now
		go k.fetch(context.WithoutCancel(ctx), k.flight)
	}
	flight := k.flight
	k.mu.Unlock()
	select {
	case <-flight:
	case <-ctx.Done():
		return ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.usable(now)
}

func (k *remoteKeys) fresh(now time.Time) bool {
	return !k.fetched.IsZero() && now.Sub(k.fetched) < keysTTL
}

func (k *remoteKeys) knows(id string) bool {
	return id == "" || slices.ContainsFunc(k.keys, func(key jose.JSONWebKey) bool { return key.KeyID == id })
}

func (k *remoteKeys) usable(now time.Time) error {
	if k.err != nil && (k.fetched.IsZero() || now.Sub(k.fetched) > keysStale) {
		return k.err
	}
	return nil
}

func (k *remoteKeys) fetch(ctx context.Context, flight chan struct{}) {
	defer close(flight)
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	keys, err := k.ask(ctx)
	if err != nil {
		k.logger.WarnContext(ctx, "the keys of an issuer cannot be fetched; its known ones stay in use", "error", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.flight, k.err = nil, err
	if err == nil {
		k.keys, k.fetched = keys, k.now()
	}
}

func (k *remoteKeys) ask(ctx context.Context) ([]jose.JSONWebKey, error) {
	url, err := k.locate(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, keysBytes)).Decode(&set); err != nil {
		return nil, fmt.Errorf("GET %s: %w", url, err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// Keys of kinds that we do not know, and those for encryption, are none of ours.
		if err := json.Unmarshal(raw, &key); err == nil && key.IsPublic() && key.Valid() && key.Use != "enc" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("GET %s: no key for signatures", url)
	}
	return keys, nil
}

// VerifySignature implements oidc.KeySet with the keys that load has brought. go-oidc has looked at the algorithm.
func (k *remoteKeys) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	named := make([]jose.SignatureAlgorithm, len(algorithms))
	for i, a := range algorithms {
		named[i] = jose.SignatureAlgorithm(a)
	}
	jws, err := jose.ParseSignedCompact(raw, named)
	if err != nil {
		return nil, err
	}
	header := jws.Signatures[0].Header
	k.mu.Lock()
	keys := k.keys
	k.mu.Unlock()
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no key of the issuer made this signature")
}
