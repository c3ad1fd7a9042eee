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
	"strings"
	"testing"
	"time"
)

// TestEncrypted plays a relay where gateway and departments speak mutual TLS, and then switches the release to production, with
// an issuer that cannot be reached yet: all of it must serve all the same, and know itself by service accounts alone. Then the issuer
// comes.
func TestEncrypted(t *testing.T) {
	c := newCluster(t)
	a := c.authority()
	for _, p := range programs {
		a.secret(release+"-"+p+"-tls", release+"-"+p)
	}
	t.Logf("from nothing to ready: %v", c.helm("install", now, "tls.enabled=true").Round(100*time.Millisecond))
	c.enter()
	if !t.Run("idle pods are small", func(t *testing.T) { c.in(t).idle() }) {
		return // the cluster does not work
	}
	c.relay()

	i := c.newIssuer(a)
	c.helm("upgrade", now, append(i.settings(), "tls.enabled=true", "production=true")...)
	c.rolledOut()
	c.people(i)
}

// authority signs certificates for this test.
type authority struct {
	c       *cluster
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	chain   []byte // its own certificate
	granted int64
}

func (c *cluster) authority() *authority {
	c.t.Helper()
	a := &authority{c: c, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	a.key, a.chain = c.certificate(a.cert, a.cert, nil)
	return a
}

// secret makes what cert-manager would: a certificate for both ends of connections.
func (a *authority) secret(secret, host string) {
	a.c.t.Helper()
	a.granted++
	key, chain := a.c.certificate(&x509.Certificate{
		SerialNumber: big.NewInt(a.granted + 1), Subject: pkix.Name{CommonName: "test"}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		DNSNames: []string{host}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.c.t.Fatal(err)
	}
	a.c.keep("secret generic "+secret, map[string][]byte{
		"ca.crt": a.chain, "tls.crt": chain, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	})
}

// keep makes a secret or a ConfigMap of files.
func (c *cluster) keep(what string, files map[string][]byte) {
	c.t.Helper()
	args := append([]string{"create"}, strings.Fields(what)...)
	dir := c.t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			c.t.Fatal(err)
		}
		args = append(args, "--from-file="+filepath.Join(dir, name))
	}
	c.kubectl(args...)
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
