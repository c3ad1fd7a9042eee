package gateway

import (
	"context"
	"errors"
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

// Part serves the gateway on the listener: HTTP/1.1, and HTTP/2 without TLS for gRPC clients.
func (g *Gateway) Part(listener net.Listener) lifecycle.Part {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: g, Protocols: protocols,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	return lifecycle.Part{
		Name: "gateway",
		Run: func(context.Context) error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
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
