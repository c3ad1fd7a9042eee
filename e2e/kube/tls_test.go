package kube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestEncrypted plays a relay where gateway and departments speak mutual TLS, and then switches the release to production, with
// an issuer that cannot be reached: all of it must serve all the same, and know itself by service accounts alone.
func TestEncrypted(t *testing.T) {
	c := newCluster(t)
	c.certificates()
	c.helm("install", chartDir, "tls.enabled=true")
	c.enter()
	c.relay()

	c.helm("upgrade", chartDir, "tls.enabled=true", "production=true", "auth.issuer=https://issuer.invalid")
	c.rolledOut()
}

// certificates makes what cert-manager would: a secret per service, for both ends of connections.
func (c *cluster) certificates() {
	c.t.Helper()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityKey, authorityPEM := c.certificate(authority, authority, nil)
	for n, p := range programs {
		key, chain := c.certificate(&x509.Certificate{
			SerialNumber: big.NewInt(int64(n) + 2), Subject: pkix.Name{CommonName: p}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
			DNSNames: []string{release + "-" + p}, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}, authority, authorityKey)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			c.t.Fatal(err)
		}
		args := []string{"create", "secret", "generic", release + "-" + p + "-tls"}
		dir := c.t.TempDir()
		for name, text := range map[string][]byte{
			"ca.crt": authorityPEM, "tls.crt": chain, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				c.t.Fatal(err)
			}
			args = append(args, "--from-file="+filepath.Join(dir, name))
		}
		c.kubectl(args...)
	}
}

// certificate signs with the parent's key, or with its own when there is none.
func (c *cluster) certificate(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		c.t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
