package rpc

import (
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
)

// Peers are connections to departments, closed together.
type Peers struct {
	conns []*grpc.ClientConn
	byDep map[access.Department]grpc.ClientConnInterface
}

// DialPeers makes a connection to every department that target has an address for, except the one named. It does not connect yet, as
// with Dial.
func DialPeers(target func(access.Department) (string, bool), except access.Department, opts ...DialOption) (*Peers, error) {
	p := &Peers{byDep: map[access.Department]grpc.ClientConnInterface{}}
	for _, d := range access.Departments() {
		address, ok := target(d)
		if !ok || d == except {
			continue
		}
		conn, err := Dial(address, append(opts[:len(opts):len(opts)], To(d))...)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--peer-%s: %w", d, err), p.Close())
		}
		p.conns = append(p.conns, conn)
		p.byDep[d] = conn
	}
	return p, nil
}

// Conns are the connections by department.
func (p *Peers) Conns() map[access.Department]grpc.ClientConnInterface { return p.byDep }

// Close closes them all.
func (p *Peers) Close() error {
	var errs error
	for _, c := range p.conns {
		errs = errors.Join(errs, c.Close())
	}
	return errs
}
