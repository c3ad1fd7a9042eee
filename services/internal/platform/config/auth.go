package config

import (
	"context"
	"path/filepath"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
)

// KeyFileName is the file in the data folder that holds the key of the embedded issuer.
const KeyFileName = "issuer.key"

// Keys opens what tokens need: the issuer that signs the program's own identity, and the verifier of incoming tokens.
// Without an OpenID Connect issuer the former also signs tokens for people. The context bounds discovery.
func (b Base) Keys(ctx context.Context) (*access.Issuer, *access.Verifier, error) {
	file := b.Auth.KeyFile
	if file == "" {
		file = filepath.Join(b.Data, KeyFileName)
	}
	name := access.EmbeddedIssuer
	if b.Auth.Issuer != "" {
		name = access.ServiceIssuer
	}
	issuer, err := access.OpenIssuer(name, file, access.IssueFor(b.Auth.Audience))
	if err != nil {
		return nil, nil, err
	}
	opts := []access.VerifierOption{access.ExpectAudience(b.Auth.Audience), access.TrustIssuer(issuer)}
	if b.Auth.Issuer != "" {
		opts = append(opts, access.TrustOpenID(b.Auth.Issuer))
	}
	verifier, err := access.NewVerifier(ctx, opts...)
	if err != nil {
		return nil, nil, err
	}
	return issuer, verifier, nil
}
