package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// SystemCA in TLSFiles.CA stands for the authorities that the system trusts.
const SystemCA = "system"

// TLSFiles are PEM files: a certificate chain with its key, and the authorities of the other side. They are looked at in
// every handshake, and read again when they have changed: a new certificate needs no restart, and connections that are
// open stay open. Files that are damaged, or half written, leave in force what was read before.
type TLSFiles struct{ Cert, Key, CA string }

// ServerTLS shows the certificate to callers, and with a CA demands one of theirs. Protocols are those of ALPN.
func ServerTLS(f TLSFiles, logger *slog.Logger, protocols ...string) (*tls.Config, error) {
	w := &watched{files: f, logger: logger, build: func(c *tls.Config, authorities *x509.CertPool) {
		c.NextProtos = protocols
		if authorities != nil {
			c.ClientAuth = tls.RequestClientCert // of any authority: so that demand can say what is wrong with it
			c.VerifyConnection = demand(authorities, logger)
		}
	}}
	if _, err := w.current(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return w.current() },
	}, nil
}

// demand verifies the certificate of a caller, as tls.RequireAndVerifyClientCert does, and tells why one was refused: the
// caller often sees no more than a connection that ends.
func demand(authorities *x509.CertPool, logger *slog.Logger) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		err := errors.New("the caller shows no certificate")
		if len(s.PeerCertificates) > 0 {
			rest := x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				rest.AddCert(c)
			}
			_, err = s.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: authorities, Intermediates: rest, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			})
		}
		if err != nil {
			logger.Info("TLS: a caller is refused", "error", err)
		}
		return err
	}
}

// ClientTLS checks the certificate of departments against the CA, and shows one of its own when there is one.
func ClientTLS(f TLSFiles, logger *slog.Logger) (credentials.TransportCredentials, error) {
	w := &watched{files: f, logger: logger, build: func(c *tls.Config, authorities *x509.CertPool) { c.RootCAs = authorities }}
	if _, err := w.current(); err != nil {
		return nil, err
	}
	return &clientTLS{files: w}, nil
}

// SelfTLS is for a connection to a port of ours: it must show the very certificate in the file, whatever name it is for.
// That certificate is also shown, for ports that demand one.
func SelfTLS(f TLSFiles, logger *slog.Logger) (*tls.Config, error) {
	w := &watched{files: TLSFiles{Cert: f.Cert, Key: f.Key}, logger: logger, build: func(*tls.Config, *x509.CertPool) {}}
	own, err := w.current()
	if err != nil {
		return nil, err
	}
	c := own.Clone()
	c.InsecureSkipVerify = true //nolint:gosec // replaced by the stricter check below
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, own.Certificates[0].Certificate[0]) {
			return errors.New("the port shows another certificate than the file")
		}
		return nil
	}
	return c, nil
}

// Secure encrypts the connection; without it the connection is plain.
func Secure(c credentials.TransportCredentials) DialOption {
	return func(o *dialOptions) { o.transport = c }
}

// watched is a configuration made of files.
type watched struct {
	files  TLSFiles
	logger *slog.Logger
	build  func(c *tls.Config, authorities *x509.CertPool)

	mu     sync.Mutex
	seen   [3][]byte
	config *tls.Config
}

func (w *watched) current() (*tls.Config, error) {
	texts, err := w.read()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		if w.config != nil && bytes.Equal(texts[0], w.seen[0]) && bytes.Equal(texts[1], w.seen[1]) && bytes.Equal(texts[2], w.seen[2]) {
			return w.config, nil
		}
		w.seen = texts
		var c *tls.Config
		if c, err = w.parse(texts); err == nil {
			w.config = c
			return c, nil
		}
	}
	if w.config == nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	w.logger.Warn("TLS files cannot be read; what was read before stays in force", "error", err)
	return w.config, nil
}

func (w *watched) read() (texts [3][]byte, err error) {
	for i, name := range []string{w.files.Cert, w.files.Key, w.files.CA} {
		if name == "" || name == SystemCA {
			continue
		}
		if texts[i], err = os.ReadFile(name); err != nil {
			return texts, err
		}
	}
	return texts, nil
}

func (w *watched) parse(texts [3][]byte) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if w.files.Cert != "" {
		pair, err := tls.X509KeyPair(texts[0], texts[1])
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", w.files.Cert, w.files.Key, err)
		}
		if end := pair.Leaf.NotAfter; time.Now().After(end) {
			w.logger.Warn("the certificate has expired: others will refuse it", "file", w.files.Cert, "ended", end)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	var authorities *x509.CertPool
	if w.files.CA != "" && w.files.CA != SystemCA {
		authorities = x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(texts[2]) {
			return nil, fmt.Errorf("%s holds no PEM certificate", w.files.CA)
		}
	}
	w.build(c, authorities)
	return c, nil
}

// clientTLS makes every handshake with what the files hold now.
type clientTLS struct {
	files *watched
}

func (c *clientTLS) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := c.files.current()
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

func (c *clientTLS) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("TLS: these credentials are for clients")
}

func (c *clientTLS) Info() credentials.ProtocolInfo { return credentials.NewTLS(nil).Info() }

func (c *clientTLS) Clone() credentials.TransportCredentials { return &clientTLS{files: c.files} }

// OverrideServerName implements an interface that gRPC has deprecated; names come from addresses.
func (c *clientTLS) OverrideServerName(string) error {
	return errors.New("TLS: names come from addresses")
}
