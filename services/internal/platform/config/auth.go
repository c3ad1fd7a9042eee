package config

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
)

// KeyFileName is the file in the data folder that holds the key of the embedded issuer.
const KeyFileName = "issuer.key"

// warmTimeout is how long a start waits for issuers elsewhere; they are asked again later.
const warmTimeout = 5 * time.Second

// Identity is whose tokens a program accepts, and with which it calls others.
type Identity struct {
	// Verifier checks incoming tokens.
	Verifier *access.Verifier
	// Issuer signs the identity of services, and without an OpenID Connect issuer also tokens for people. It is nil where
	// somebody else signs.
	Issuer *access.Issuer

	tokenFile  string
	machineKey string
	audience   string
}

// Identity opens what tokens need. Issuers elsewhere that cannot be reached are only logged: they are asked again when
// their tokens come.
func (b Base) Identity(ctx context.Context, logger *slog.Logger) (*Identity, error) {
	id := &Identity{tokenFile: b.Auth.ServiceTokenFile, audience: b.Auth.Audience[0]}
	opts := []access.VerifierOption{access.ExpectAudience(b.Auth.Audience...), access.VerifyLog(logger)}
	if file := b.keyFile(); file != "" {
		name := access.EmbeddedIssuer
		if b.Auth.Issuer != "" {
			name = access.ServiceIssuer
		}
		var err error
		if id.Issuer, err = access.OpenIssuer(name, file, access.IssueFor(id.audience)); err != nil {
			return nil, err
		}
		opts = append(opts, access.TrustIssuer(id.Issuer))
	}
	machines, err := b.machines(id)
	if err != nil {
		return nil, err
	}
	people, err := b.people()
	if err != nil {
		return nil, err
	}
	cluster, err := b.Auth.cluster()
	if err != nil {
		return nil, err
	}
	if id.Verifier, err = access.NewVerifier(append(append(append(opts, machines...), people...), cluster...)...); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	if err := id.Verifier.Warm(ctx); err != nil {
		logger.WarnContext(ctx, "an issuer cannot be reached yet; its tokens are refused until it can", "error", err)
	}
	return id, nil
}

// keyFile holds the key of our own issuer; empty where there is none to have.
func (b Base) keyFile() string {
	switch {
	case b.Auth.KeyFile != "":
		return b.Auth.KeyFile
	case b.Production, b.Auth.ServiceTokenFile != "" && b.Auth.Issuer != "":
		return ""
	}
	return filepath.Join(b.Data, KeyFileName)
}

// machines trusts the gateway's tokens for API keys. For trying out they are signed with the key that is there anyway.
func (b Base) machines(id *Identity) ([]access.VerifierOption, error) {
	id.machineKey = b.Auth.MachineKeyFile
	if id.machineKey == "" && !b.Production {
		id.machineKey = b.keyFile()
	}
	if id.machineKey == "" {
		return nil, nil
	}
	key, err := access.ReadPublicKey(id.machineKey)
	if err != nil {
		return nil, fmt.Errorf("--auth-machine-key-file: %w", err)
	}
	return []access.VerifierOption{access.TrustKey(access.MachineIssuer, key)}, nil
}

func (b Base) people() ([]access.VerifierOption, error) {
	if b.Auth.Issuer == "" {
		return nil, nil
	}
	authorities, err := pool(b.Auth.CA)
	if err != nil {
		return nil, fmt.Errorf("--auth-ca: %w", err)
	}
	rules := access.ClaimRules{Roles: b.Auth.RolesClaim, User: b.Auth.UserClaim, Name: b.Auth.NameClaim}
	if len(b.Auth.RoleMap) > 0 {
		rules.Map = map[string][]access.Role{}
		for value, names := range b.Auth.RoleMap {
			if rules.Map[value], err = parseRoles(names); err != nil {
				return nil, err
			}
		}
	}
	return []access.VerifierOption{access.TrustOpenID(b.Auth.Issuer, rules, access.NewHTTPClient(authorities))}, nil
}

func parseRoles(names string) ([]access.Role, error) {
	var roles []access.Role
	for name := range strings.SplitSeq(names, ",") {
		role, ok := access.ParseRole(strings.TrimSpace(name))
		if !ok || role == access.RoleService {
			return nil, fmt.Errorf("--auth-role-map: %q is no role of people: %v", name, access.Roles()[:len(access.Roles())-1])
		}
		roles = append(roles, role)
	}
	return roles, nil
}

// cluster trusts the service accounts of the Kubernetes cluster.
func (a Auth) cluster() ([]access.VerifierOption, error) {
	if len(a.Kubernetes.Accounts) == 0 {
		return nil, nil
	}
	k := access.Kubernetes{Issuer: a.Kubernetes.Issuer, KeysURL: a.Kubernetes.KeysURL, Accounts: map[string]access.Department{}}
	for account, name := range a.Kubernetes.Accounts {
		d, err := access.ParseDepartment(name)
		if err != nil {
			return nil, fmt.Errorf("--auth-kubernetes-accounts: %w", err)
		}
		k.Accounts[account] = d
	}
	if k.Issuer == "" {
		raw, err := os.ReadFile(a.ServiceTokenFile)
		if err != nil {
			return nil, fmt.Errorf("--auth-service-token-file: %w", err)
		}
		if k.Issuer = access.IssuerOf(strings.TrimSpace(string(raw))); k.Issuer == "" {
			return nil, errors.New("--auth-service-token-file: names no issuer")
		}
	}
	authorities, err := pool(a.Kubernetes.CA)
	if err != nil {
		return nil, fmt.Errorf("--auth-kubernetes-ca: %w", err)
	}
	k.Client = access.NewHTTPClient(authorities)
	if a.Kubernetes.TokenFile != "" {
		k.Client = access.WithTokenFile(k.Client, a.Kubernetes.TokenFile)
	}
	return []access.VerifierOption{access.TrustKubernetes(k)}, nil
}

// pool reads authorities from a PEM file; none means those of the system.
func pool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return p, nil
}

// Service is the identity with which a department calls others.
func (i *Identity) Service(d access.Department) (credentials.PerRPCCredentials, error) {
	switch {
	case i.tokenFile != "":
		return access.NewTokenFile(i.tokenFile, time.Now), nil
	case i.Issuer != nil:
		return i.Issuer.Service(string(d)), nil
	}
	return nil, errors.New("no identity to call other departments with: set --auth-key-file or --auth-service-token-file")
}

// Machines signs the gateway's tokens for API keys; it needs the private half of --auth-machine-key-file.
func (i *Identity) Machines() (*access.Issuer, error) {
	if i.machineKey == "" {
		return nil, errors.New("API keys need --auth-machine-key-file")
	}
	issuer, err := access.OpenIssuer(access.MachineIssuer, i.machineKey, access.IssueFor(i.audience))
	if err != nil {
		return nil, fmt.Errorf("--auth-machine-key-file: %w", err)
	}
	return issuer, nil
}
