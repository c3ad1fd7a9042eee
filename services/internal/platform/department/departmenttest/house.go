// Package departmenttest runs a whole department in a test's own process: a real store on each engine, gRPC with every
// step, and neighbours of which only the shared contracts are there. It ends with the test.
package departmenttest

import (
	"context"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// Patience bounds every wait of a test; nothing waits as long when all is well.
const Patience = time.Minute

// Neighbour is a department of which only the shared contracts are there: handoffs and feed. It decides nothing by itself.
type Neighbour struct {
	// Base is what it is built on, once the house runs.
	*department.Base
	Name access.Department
	// Kinds are the handoffs that it sends and receives.
	Kinds []handoff.KindConfig
	// Conn reaches it with the token of the context, once the house runs.
	Conn *grpc.ClientConn
}

func (n *Neighbour) definition() department.Definition {
	// A department has tables; this one needs none of its own.
	none := &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE no_tables (id BIGINT NOT NULL);\n")}
	return department.Definition{
		Name:       n.Name,
		Migrations: store.Migrations{Name: "neighbour", FS: fstest.MapFS{"sqlite/0001_none.sql": none, "postgres/0001_none.sql": none}},
		Build: func(b *department.Base) error {
			n.Base = b
			for _, k := range n.Kinds {
				b.Handoffs.Register(k)
			}
			return nil
		},
	}
}

// Tell writes an event of the neighbour.
func (n *Neighbour) Tell(t *testing.T, e event.Event) {
	t.Helper()
	_, err := store.Write(t.Context(), n.DB, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, n.Events.Append(t.Context(), tx, e)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Database is where a department under test keeps its data.
type Database struct {
	DSN  string
	Opts []store.Option
}

// Engines runs a test on each engine. PostgreSQL is skipped, or required, as in testkit.
func Engines(t *testing.T, def department.Definition, test func(t *testing.T, db Database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t, def)) })
	t.Run("postgres", func(t *testing.T) { test(t, Database{DSN: testkit.PostgresDSN(t, def.Sets()...)}) })
}

// SQLite is a database of the department on SQLite that a power cut would harm.
func SQLite(t *testing.T, def department.Definition) Database {
	t.Helper()
	return Database{DSN: testkit.SQLiteDSN(t, def.Sets()...), Opts: []store.Option{store.WithoutSync()}}
}

// House is a department and its neighbours, connected as over a wire.
type House struct {
	Issuer *access.Issuer
	// Conn reaches the department with the token of the context.
	Conn *grpc.ClientConn

	clock clock.Clock
	nets  map[access.Department]*rpc.Loopback
}

// Run opens a house and runs it until the test ends. The neighbours are on SQLite; without any the department stands
// alone.
func Run(t *testing.T, def department.Definition, db Database, neighbours ...*Neighbour) *House {
	t.Helper()
	return RunAt(t, clock.System{}, def, db, neighbours...)
}

// RunAt is Run by a clock that the whole house goes by.
func RunAt(t *testing.T, c clock.Clock, def department.Definition, db Database, neighbours ...*Neighbour) *House {
	t.Helper()
	h := &House{Issuer: access.EphemeralIssuer(), clock: c, nets: map[access.Department]*rpc.Loopback{def.Name: rpc.InProcess()}}
	for _, n := range neighbours {
		h.nets[n.Name] = rpc.InProcess()
	}
	group := lifecycle.New(lifecycle.Options{Signals: []os.Signal{}})
	for _, n := range neighbours {
		own := n.definition()
		h.open(t, group, own, SQLite(t, own))
		n.Conn = h.dial(t, n.Name, rpc.As(access.Forward()))
	}
	h.open(t, group, def, db)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the house does not stop well: %v", err)
		}
	})
	h.Conn = h.dial(t, def.Name, rpc.As(access.Forward()))
	return h
}

func (h *House) open(t *testing.T, group *lifecycle.Group, def department.Definition, db Database) {
	t.Helper()
	verifier, err := access.NewVerifier(access.TrustIssuer(h.Issuer))
	if err != nil {
		t.Fatal(err)
	}
	peers := map[access.Department]grpc.ClientConnInterface{}
	for d := range h.nets {
		if d != def.Name {
			peers[d] = h.dial(t, d, rpc.As(h.Issuer.Service(string(def.Name))))
		}
	}
	service, err := department.Open(t.Context(), def, department.Settings{
		DSN: db.DSN, Migrate: true, Verifier: verifier, Peers: peers, Clock: h.clock, StoreOptions: db.Opts,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range service.Parts(h.nets[def.Name].Listener()) {
		group.Add(p)
	}
	group.OnReady(service.SetServing)
}

func (h *House) dial(t *testing.T, d access.Department, opts ...rpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := h.nets[d].Dial(append(opts, rpc.To(d))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test is over
	return conn
}

// From reaches the department of the house as another service would, with that service's identity.
func (h *House) From(t *testing.T, service access.Department, to access.Department) *grpc.ClientConn {
	t.Helper()
	return h.dial(t, to, rpc.As(h.Issuer.Service(string(service))))
}

// As is a context of a person with a role.
func (h *House) As(t *testing.T, who string, role access.Role) context.Context {
	t.Helper()
	raw, err := h.Issuer.Token(who, who, []access.Role{role}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return access.WithToken(ctx, raw)
}

// WaitFor waits for the first event on a feed that matches, from the beginning of the feed.
func WaitFor[T proto.Message](t *testing.T, h *House, conn grpc.ClientConnInterface, match func(T) bool) T {
	t.Helper()
	var none T
	name := string(none.ProtoReflect().Descriptor().FullName())
	ctx, cancel := context.WithCancel(h.As(t, "viewer", access.RoleViewer))
	defer cancel()
	stream, err := feedv1.NewFeedServiceClient(conn).StreamEvents(ctx, &feedv1.StreamEventsRequest{Types: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	for {
		msg, err := stream.Recv()
		if err != nil {
			t.Fatalf("no %s came: %v", name, err)
		}
		for _, ev := range msg.GetEvents() {
			data, err := ev.GetData().UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := data.(T); ok && match(got) {
				return got
			}
		}
	}
}

// Ear hears what becomes of the handoffs of a neighbour.
type Ear chan *handoffv1.Handoff

// NewEar makes an ear; its Hear is the OnDecision of a kind.
func NewEar() Ear { return make(Ear, 100) }

// Hear is a handoff.DecisionHook.
func (e Ear) Hear(_ context.Context, tx store.Tx, h *handoffv1.Handoff, _ *handoffv1.Reason) error {
	told, ok := proto.Clone(h).(*handoffv1.Handoff)
	if ok {
		tx.AfterCommit(func() { e <- told })
	}
	return nil
}

// Await waits until the neighbour has taken in that a handoff is in a state.
func (e Ear) Await(t *testing.T, id string, state handoffv1.State) *handoffv1.Handoff {
	t.Helper()
	late := time.NewTimer(Patience)
	defer late.Stop()
	for {
		select {
		case h := <-e:
			if h.GetId() == id && h.GetState() == state {
				return h
			}
		case <-late.C:
			t.Fatalf("the sender never heard that %s is %s", id, state)
		}
	}
}
