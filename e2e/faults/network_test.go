package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
)

// network are toxiproxies on all ways between programs, and between programs and their databases.
type network struct {
	t      *testing.T
	server *toxiproxy.ApiServer
	ways   map[link]*toxiproxy.Proxy
}

func newNetwork(t *testing.T) *network {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics log past the logger that they are given
	n := &network{
		t: t, ways: map[link]*toxiproxy.Proxy{},
		server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
	}
	t.Cleanup(func() {
		for _, way := range n.ways {
			way.Stop()
		}
	})
	return n
}

// wiring leads every way through a proxy.
func (n *network) wiring() house.Wiring {
	return house.Wiring{
		Peer: func(program, department, address string) string { return n.open(link{program, department}, address) },
		Database: func(program, dsn string) string {
			u, err := url.Parse(dsn)
			if err != nil {
				n.t.Fatal("a DSN is no URL")
			}
			u.Host = n.open(link{program, database}, u.Host)
			return u.String()
		},
	}
}

func (n *network) open(l link, upstream string) string {
	way := toxiproxy.NewProxy(n.server, l.String(), house.LastingAddress(n.t), upstream)
	if err := way.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.ways[l] = way
	return way.Listen
}

// cut ends all connections of a way and takes no new ones until mend.
func (n *network) cut(l link) { n.ways[l].Stop() }

// mend takes connections again.
func (n *network) mend(l link) error { return n.ways[l].Start() }

const toxicName = "fault"

// poison does something to the connections of a way, old and new ones.
func (n *network) poison(l link, x *toxic) error {
	text, err := json.Marshal(struct {
		Name string `json:"name"`
		*toxic
	}{toxicName, x})
	if err != nil {
		return err
	}
	_, err = n.ways[l].Toxics.AddToxicJson(bytes.NewReader(text))
	return err
}

// cure undoes poison.
func (n *network) cure(ctx context.Context, l link) error {
	done := make(chan error, 1)
	go func() { done <- n.ways[l].Toxics.RemoveToxic(ctx, toxicName) }()
	select {
	case err := <-done:
		return err
	case <-time.After(30 * time.Second):
		return fmt.Errorf("toxiproxy does not let go of %s", l)
	}
}
