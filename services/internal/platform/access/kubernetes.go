package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// Kubernetes says how the service-account tokens of a cluster are checked.
type Kubernetes struct {
	// Issuer is the `iss` of the tokens.
	Issuer string
	// KeysURL is where the cluster shows its keys; empty is discovery below Issuer.
	KeysURL string
	// Accounts are the service accounts, as `namespace/name`, and the departments that run under them.
	Accounts map[string]Department
	// Client fetches the keys; nil is a default one.
	Client *http.Client
}

// TrustKubernetes accepts projected service-account tokens of a cluster as the identity of departments. They carry the
// role SERVICE and nothing else, whatever their claims say; an account that is no department's is refused.
func TrustKubernetes(k Kubernetes) VerifierOption {
	return func(v *Verifier) error {
		place := discover(k.Issuer)
		if k.KeysURL != "" {
			place = at(k.KeysURL)
		}
		v.trustRemote(k.Issuer, newRemoteKeys(k.Client, place, v), func(subject string, _ map[string]any) (Actor, error) {
			account, ok := strings.CutPrefix(subject, "system:serviceaccount:")
			d, known := k.Accounts[strings.Replace(account, ":", "/", 1)]
			if !ok || !known {
				return Actor{}, errors.New("the service account is no department's")
			}
			return ServiceActor(d), nil
		})
		return nil
	}
}

// NewHTTPClient makes a client for issuers: it trusts the authorities given, or those of the system when there are none,
// and keeps no connection between its rare calls.
func NewHTTPClient(authorities *x509.CertPool) *http.Client {
	return &http.Client{Timeout: keysTimeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
	}}
}

// WithTokenFile makes a client that sends the token in a file with every request: the cluster shows its keys to its own
// accounts only.
func WithTokenFile(client *http.Client, file string) *http.Client {
	own := *client
	own.Transport = &bearer{file: NewTokenFile(file, time.Now), next: client.Transport}
	return &own
}

type bearer struct {
	file *TokenFile
	next http.RoundTripper
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := b.file.token()
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+raw)
	return b.next.RoundTrip(r)
}

// tokenFileTTL is how long a token is used before its file is read again. Kubernetes puts a new one there when a fifth of
// the old one's life is left.
const tokenFileTTL = 10 * time.Second

// TokenFile is the identity of a service that somebody else renews in a file, as the kubelet does.
type TokenFile struct {
	path string
	now  func() time.Time

	mu   sync.Mutex
	raw  string
	read time.Time
}

var _ credentials.PerRPCCredentials = (*TokenFile)(nil)

// NewTokenFile sends the token in the file with every call, and reads it again every few seconds.
func NewTokenFile(path string, now func() time.Time) *TokenFile {
	return &TokenFile{path: path, now: now}
}

func (f *TokenFile) token() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if f.raw != "" && now.Sub(f.read) < tokenFileTTL {
		return f.raw, nil
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return "", fmt.Errorf("service token: %w", err)
	}
	raw := strings.TrimSpace(string(text))
	if raw == "" {
		return "", fmt.Errorf("service token: %s is empty", f.path)
	}
	f.raw, f.read = raw, now
	return raw, nil
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (f *TokenFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	raw, err := f.token()
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + raw}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials; see Issuer.Service.
func (f *TokenFile) RequireTransportSecurity() bool { return false }
