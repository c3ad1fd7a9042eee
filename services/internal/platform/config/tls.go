package config

import (
	"crypto/tls"
	"errors"
	"log/slog"

	"google.golang.org/grpc/credentials"

	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
)

// TLS says where connections are encrypted. All files are PEM, and are read again when they change.
type TLS struct {
	Cert       string `help:"Certificate chain of this program's port, which then speaks TLS only." placeholder:"FILE"`
	Key        string `help:"Key of --tls-cert." placeholder:"FILE"`
	ClientCA   string `name:"client-ca" help:"Authorities of which every caller must show a certificate (mutual TLS)." placeholder:"FILE"`
	CA         string `name:"ca" help:"Authorities of the departments that this program calls, or 'system'; with it they are called by TLS." placeholder:"FILE"`
	ClientCert string `help:"Certificate to show to those departments; empty is --tls-cert." placeholder:"FILE"`
	ClientKey  string `help:"Key of --tls-client-cert." placeholder:"FILE"`
}

// Check looks at the settings that depend on one another.
func (t TLS) Check() error {
	switch {
	case (t.Cert == "") != (t.Key == ""):
		return errors.New("--tls-cert and --tls-key belong together")
	case (t.ClientCert == "") != (t.ClientKey == ""):
		return errors.New("--tls-client-cert and --tls-client-key belong together")
	case t.ClientCA != "" && t.Cert == "":
		return errors.New("--tls-client-ca needs --tls-cert")
	}
	return nil
}

// Server encrypts this program's port; nil leaves it plain.
func (t TLS) Server(logger *slog.Logger, protocols ...string) (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil
	}
	return rpc.ServerTLS(rpc.TLSFiles{Cert: t.Cert, Key: t.Key, CA: t.ClientCA}, logger, protocols...)
}

// Credentials encrypts the port of a gRPC server; nil leaves it plain.
func (t TLS) Credentials(logger *slog.Logger) (credentials.TransportCredentials, error) {
	c, err := t.Server(logger, "h2")
	if c == nil || err != nil {
		return nil, err
	}
	return credentials.NewTLS(c), nil
}

// Dial are the options of connections to departments.
func (t TLS) Dial(logger *slog.Logger) ([]rpc.DialOption, error) {
	if t.CA == "" {
		return nil, nil
	}
	files := rpc.TLSFiles{Cert: t.ClientCert, Key: t.ClientKey, CA: t.CA}
	if files.Cert == "" {
		files.Cert, files.Key = t.Cert, t.Key
	}
	c, err := rpc.ClientTLS(files, logger)
	if err != nil {
		return nil, err
	}
	return []rpc.DialOption{rpc.Secure(c)}, nil
}

// Self are the options of a connection to this program's own port, for health checks: the certificate there must be the
// very one in the file.
func (t TLS) Self(logger *slog.Logger) (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil
	}
	return rpc.SelfTLS(rpc.TLSFiles{Cert: t.Cert, Key: t.Key}, logger)
}
