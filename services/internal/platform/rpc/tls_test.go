package rpc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// authority makes certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, next: 2}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// file writes the authority's own certificate.
func (a *authority) file(dir string) string {
	path := filepath.Join(dir, a.cert.Subject.CommonName+".pem")
	writePEM(a.t, path, "CERTIFICATE", a.cert.Raw)
	return path
}

// issue writes a certificate that ends after life, and its key, over those that are there.
func (a *authority) issue(dir, name string, life time.Duration) (cert, key string) {
	a.t.Helper()
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour),
		NotAfter: time.Now().Add(life), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, k.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.next++
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	writePEM(a.t, cert, "CERTIFICATE", der)
	writePEM(a.t, key, "PRIVATE KEY", pkcs8)
	return cert, key
}

// serveTLS serves health over TLS on a port of its own.
func serveTLS(t *testing.T, files TLSFiles, log *syncLog) string {
	t.Helper()
	config, err := ServerTLS(files, slog.New(slog.NewTextHandler(log, nil)), "h2")
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := access.NewVerifier(access.TrustIssuer(access.EphemeralIssuer()))
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(Options{Department: access.Marketing, Verifier: verifier, Credentials: credentials.NewTLS(config)})
	s.SetServing(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.grpc.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func dialTLS(t *testing.T, address string, files TLSFiles) *grpc.ClientConn {
	t.Helper()
	creds, err := ClientTLS(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(address, Secure(creds), To(access.Marketing), Attempts(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// serial asks for health and returns the number of the certificate that the server showed.
func serial(t *testing.T, conn *grpc.ClientConn) (int64, error) {
	t.Helper()
	var p peer.Peer
	if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}, grpc.Peer(&p)); err != nil {
		return 0, err
	}
	return p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].SerialNumber.Int64(), nil
}

// TestCertificatesRotate: a new certificate is shown from the next handshake on; open connections live on; a half-written
// one changes nothing; a new authority is trusted without a restart.
func TestCertificatesRotate(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	var log syncLog
	files := TLSFiles{}
	files.Cert, files.Key = ca.issue(dir, "server", time.Hour)
	address := serveTLS(t, files, &log)
	client := TLSFiles{CA: ca.file(dir)}
	open := dialTLS(t, address, client)
	expect := func(conn *grpc.ClientConn, want int64) {
		t.Helper()
		if got, err := serial(t, conn); err != nil || got != want {
			t.Errorf("certificate %d, want %d: %v", got, want, err)
		}
	}
	expect(open, 2)
	ca.issue(dir, "server", time.Hour)
	expect(open, 2)
	expect(dialTLS(t, address, client), 3)

	if err := os.WriteFile(files.Cert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(dialTLS(t, address, client), 3)
	if !strings.Contains(log.String(), "server.crt") {
		t.Errorf("not told:\n%s", log.String())
	}

	// The client's own file changes, too, before a connection that is made later.
	newCA := newAuthority(t, "ca")
	newCA.next = 10
	newCA.issue(dir, "server", time.Hour)
	later := dialTLS(t, address, client)
	newCA.file(dir)
	expect(later, 10)
	expect(open, 2)
}

func TestCertificatesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	ca, foreign := newAuthority(t, "ca"), newAuthority(t, "foreign")
	var log syncLog
	serverFiles := func(a *authority, name string, life time.Duration) (f TLSFiles) {
		f.Cert, f.Key = a.issue(dir, name, life)
		return f
	}
	mutual := serverFiles(ca, "mutual", time.Hour)
	mutual.CA = ca.file(dir)
	good := TLSFiles{CA: ca.file(dir)}
	own := func(a *authority, name string, life time.Duration) TLSFiles {
		f := serverFiles(a, name, life)
		f.CA = ca.file(dir)
		return f
	}
	for name, c := range map[string]struct {
		server, client TLSFiles
		why            string // empty is accepted
	}{
		"good":                           {serverFiles(ca, "a", time.Hour), good, ""},
		"expired":                        {serverFiles(ca, "b", -time.Hour), good, "certificate has expired"},
		"foreign authority":              {serverFiles(foreign, "c", time.Hour), good, "unknown authority"},
		"not of the system's":            {serverFiles(ca, "d", time.Hour), TLSFiles{CA: SystemCA}, "unknown authority"},
		"mutual":                         {mutual, own(ca, "e", time.Hour), ""},
		"mutual, none shown":             {mutual, good, "shows no certificate"},
		"mutual, expired":                {mutual, own(ca, "f", -time.Hour), "certificate has expired"},
		"mutual, of a foreign authority": {mutual, own(foreign, "g", time.Hour), "unknown authority"},
	} {
		log.Reset()
		_, err := serial(t, dialTLS(t, serveTLS(t, c.server, &log), c.client))
		if c.why == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if e, ok := problem.Parse(err); !ok || e.Reason != problem.ReasonDepartmentUnavailable || !strings.Contains(err.Error()+log.String(), c.why) {
			t.Errorf("%s: %v\n%s", name, err, log.String())
		}
		if name == "expired" && !strings.Contains(log.String(), "has expired") {
			t.Errorf("the owner of an expired certificate is not told:\n%s", log.String())
		}
	}
	// Plain against TLS.
	conn, err := Dial(serveTLS(t, serverFiles(ca, "h", time.Hour), &log), Attempts(1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := serial(t, conn); err == nil {
		t.Error("a plain connection to a port that speaks TLS")
	}
}

func TestFilesThatAreMissing(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	cert, _ := ca.issue(dir, "one", time.Hour)
	_, key := ca.issue(dir, "two", time.Hour)
	logger := slog.New(slog.DiscardHandler)
	if _, err := ServerTLS(TLSFiles{Cert: cert, Key: key}, logger); err == nil || !strings.Contains(err.Error(), "one.crt") {
		t.Errorf("a key of another certificate: %v", err)
	}
	if _, err := ServerTLS(TLSFiles{Cert: filepath.Join(dir, "none"), Key: key}, logger); err == nil {
		t.Error("no certificate")
	}
	if _, err := ClientTLS(TLSFiles{CA: key}, logger); err == nil || !strings.Contains(err.Error(), "no PEM certificate") {
		t.Errorf("no authority: %v", err)
	}
}

// TestSelf: a health check accepts the very certificate of its own port and no other.
func TestSelf(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	var log syncLog
	files := TLSFiles{CA: ca.file(dir)}
	files.Cert, files.Key = ca.issue(dir, "own", time.Hour)
	address := serveTLS(t, files, &log)
	ask := func(f TLSFiles) error {
		t.Helper()
		config, err := SelfTLS(f, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		config.NextProtos = []string{"h2"}
		conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	if err := ask(files); err != nil {
		t.Error(err)
	}
	other := files
	other.Cert, other.Key = ca.issue(dir, "other", time.Hour)
	if err := ask(other); err == nil {
		t.Error("another certificate is accepted")
	}
}

// syncLog is a log that servers write while the test reads.
type syncLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *syncLog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}
