package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
)

// Limits of connections. There is no write timeout: streams last.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// Protocols are what the port offers by ALPN when it speaks TLS.
var Protocols = []string{"h2", "http/1.1"}

// Part serves the gateway on the listener: HTTP/1.1 and HTTP/2, which gRPC clients speak, with TLS or without.
func (g *Gateway) Part(listener net.Listener) lifecycle.Part {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(g.tls != nil)
	protocols.SetUnencryptedHTTP2(g.tls == nil)
	server := &http.Server{
		Handler: g, Protocols: protocols, TLSConfig: g.tls,
		// What it has to say is about callers, with their addresses.
		ErrorLog:          slog.NewLogLogger(g.logger.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	return lifecycle.Part{
		Name: "gateway",
		Run: func(context.Context) error {
			serve := server.Serve
			if g.tls != nil {
				serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
			}
			if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		Stop: func(ctx context.Context) error {
			g.drain()
			if err := server.Shutdown(ctx); err != nil {
				return errors.Join(err, server.Close())
			}
			return nil
		},
	}
}
