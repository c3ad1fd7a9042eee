package access

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"google.golang.org/grpc/credentials"
)

// Audience is the audience of tokens when nothing else is configured.
const Audience = "tasuki"

// Names of the issuers whose key lies with us.
const (
	// EmbeddedIssuer signs tokens for people and services on a machine without an OpenID Connect issuer.
	EmbeddedIssuer = "tasuki-embedded"
	// ServiceIssuer signs only the identity of services, where people come from an OpenID Connect issuer.
	ServiceIssuer = "tasuki-service"
	// MachineIssuer signs what the gateway gives for an API key.
	MachineIssuer = "tasuki-machine"
)

// serviceTTL is the life of a service's own token, and renewBefore how early a new one is made.
const (
	serviceTTL  = 10 * time.Minute
	renewBefore = 2 * time.Minute
)

// Issuer signs tokens with an Ed25519 key. It is safe for concurrent use.
type Issuer struct {
	name     string
	audience string
	key      ed25519.PrivateKey
	signer   jose.Signer
	now      func() time.Time
}

// IssuerOption changes an Issuer.
type IssuerOption func(*Issuer)

// IssueFor sets the audience of the tokens; default Audience.
func IssueFor(audience string) IssuerOption { return func(i *Issuer) { i.audience = audience } }

// IssueAt sets the clock.
func IssueAt(now func() time.Time) IssuerOption { return func(i *Issuer) { i.now = now } }

// OpenIssuer reads the key of an issuer from a PEM file, and makes the file, readable by its owner only, when there is
// none. Processes that do so at the same moment end with the same key.
func OpenIssuer(name, keyFile string, opts ...IssuerOption) (*Issuer, error) {
	key, err := readKey(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = createKey(keyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("issuer key: %w", err)
	}
	return NewIssuer(name, key, opts...)
}

// NewIssuer signs with a key at hand.
func NewIssuer(name string, key ed25519.PrivateKey, opts ...IssuerOption) (*Issuer, error) {
	i := &Issuer{name: name, audience: Audience, key: key, now: time.Now}
	for _, o := range opts {
		o(i)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("issuer %s: %w", name, err)
	}
	i.signer = signer
	return i, nil
}

// EphemeralIssuer has the embedded issuer's name and a key that nobody keeps: for tests.
func EphemeralIssuer(opts ...IssuerOption) *Issuer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	i, err := NewIssuer(EmbeddedIssuer, key, opts...)
	if err != nil {
		panic(err) // an Ed25519 key always makes a signer
	}
	return i
}

// As is an issuer of another name with the same key.
func (i *Issuer) As(name string) (*Issuer, error) {
	return NewIssuer(name, i.key, IssueFor(i.audience), IssueAt(i.now))
}

// Name is the `iss` claim of the tokens.
func (i *Issuer) Name() string { return i.name }

// PublicKey verifies the tokens.
func (i *Issuer) PublicKey() crypto.PublicKey { return i.key.Public() }

// claims are what a token of ours says besides the registered claims.
type claims struct {
	Name        string       `json:"name,omitempty"`
	Roles       []string     `json:"roles"`
	Departments []Department `json:"departments,omitempty"`
	ReadOnly    bool         `json:"read_only,omitempty"`
}

// Token makes a token for subject that is good for ttl.
func (i *Issuer) Token(subject, name string, roles []Role, ttl time.Duration) (string, error) {
	return i.sign(subject, claims{Name: name, Roles: texts(roles)}, ttl)
}

// Machine makes a token with everything that a machine with an API key may do.
func (i *Issuer) Machine(a Actor, ttl time.Duration) (string, error) {
	return i.sign(a.ID, claims{Name: a.Name, Roles: texts(a.Roles), Departments: a.Departments, ReadOnly: a.ReadOnly}, ttl)
}

func (i *Issuer) sign(subject string, c claims, ttl time.Duration) (string, error) {
	now := i.now()
	return jwt.Signed(i.signer).Claims(jwt.Claims{
		Issuer: i.name, Subject: subject, Audience: jwt.Audience{i.audience}, ID: uuid.NewString(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(ttl)),
	}).Claims(c).Serialize()
}

// ServiceSubject is the subject of a service's own token, for instance `service:marketing`.
func ServiceSubject(service string) string { return "service:" + service }

// Service is the identity of a service, for instance "marketing", for its own outgoing calls. The token is kept, and
// renewed before it expires.
func (i *Issuer) Service(service string) credentials.PerRPCCredentials {
	return &serviceCredentials{issuer: i, service: service}
}

type serviceCredentials struct {
	issuer  *Issuer
	service string

	mu      sync.Mutex
	header  map[string]string
	renewAt time.Time
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (c *serviceCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.issuer.now()
	if c.header == nil || !now.Before(c.renewAt) {
		raw, err := c.issuer.Token(ServiceSubject(c.service), c.service, []Role{RoleService}, serviceTTL)
		if err != nil {
			return nil, err
		}
		c.header = map[string]string{"authorization": "Bearer " + raw}
		c.renewAt = now.Add(serviceTTL - renewBefore)
	}
	return c.header, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. Inside one process and one cluster network the
// transport may be plain; deployments that leave it add TLS to the connection.
func (c *serviceCredentials) RequireTransportSecurity() bool { return false }

// Forward sends the token of the incoming call on, so that the next service sees the same person. Calls without a token
// go out without one.
func Forward() credentials.PerRPCCredentials { return forward{} }

type forward struct{}

func (forward) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	if raw := Token(ctx); raw != "" {
		return map[string]string{"authorization": "Bearer " + raw}, nil
	}
	return nil, nil
}

func (forward) RequireTransportSecurity() bool { return false }

// ReadPublicKey reads the Ed25519 key that verifies an issuer's tokens from a PEM file, which may hold the private key.
func ReadPublicKey(file string) (crypto.PublicKey, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(raw); block != nil && block.Type == "PUBLIC KEY" {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if _, ok := key.(ed25519.PublicKey); !ok {
			return nil, fmt.Errorf("%s holds a %T; an Ed25519 key is needed", file, key)
		}
		return key, nil
	}
	key, err := readKey(file)
	if err != nil {
		return nil, err
	}
	return key.Public(), nil
}

func readKey(file string) (ed25519.PrivateKey, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s holds no PEM block PRIVATE KEY", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T; an Ed25519 key is needed", file, key)
	}
	return ed, nil
}

// createKey writes a whole file under a name of its own and links it into place: whoever links first wins, and nobody
// ever reads half a key.
func createKey(file string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(dir, ".issuer-*") // created with O_EXCL and mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readKey(file)
}
