package insidesales_test

import (
	"context"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/insidesales"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// patience bounds every wait of these tests; nothing waits as long when all is well.
const patience = 30 * time.Second

// neighbour is a department of which only the shared contracts are there: handoffs and feed. It decides nothing by itself.
type neighbour struct {
	*department.Base
	kind handoff.KindConfig
	conn *grpc.ClientConn
}

func (n *neighbour) definition(name access.Department) department.Definition {
	// A department has tables; this one needs none of its own.
	empty := &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE neighbours (id BIGINT NOT NULL);\n")}
	return department.Definition{
		Name:       name,
		Migrations: store.Migrations{Name: "neighbour", FS: fstest.MapFS{"sqlite/0001_neighbours.sql": empty, "postgres/0001_neighbours.sql": empty}},
		Build: func(b *department.Base) error {
			n.Base = b
			b.Handoffs.Register(n.kind)
			return nil
		},
	}
}

// house is inside sales between marketing and field sales, all in this process, connected as over a wire.
type house struct {
	marketing, fieldSales *neighbour
	decisions             chan *handoffv1.Handoff // what marketing hears of its MQLs
	conn                  *grpc.ClientConn        // to inside sales, without a token
	issuer                *access.Issuer
	items                 pb.WorkItemServiceClient
}

// as is a context of a person with a role.
func (h *house) as(t *testing.T, who string, role access.Role) context.Context {
	t.Helper()
	raw, err := h.issuer.Token(who, who, []access.Role{role}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return access.WithToken(ctx, raw)
}

// houses runs a test in a house on each engine. The neighbours are on SQLite.
func houses(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	all := []access.Department{access.Marketing, access.InsideSales, access.FieldSales}
	sets := insidesales.Definition.Sets()
	t.Run("sqlite", func(t *testing.T) { test(t, build(t, all, testkit.SQLiteDSN(t, sets...), store.WithoutSync())) })
	t.Run("postgres", func(t *testing.T) { test(t, build(t, all, testkit.PostgresDSN(t, sets...))) })
}

// build puts a house of these departments together and runs it until the test ends.
func build(t *testing.T, departments []access.Department, dsn string, opts ...store.Option) *house {
	t.Helper()
	h := &house{issuer: access.EphemeralIssuer(), decisions: make(chan *handoffv1.Handoff, 100)}
	h.marketing = &neighbour{kind: handoff.KindConfig{
		Kind: handoffv1.Kind_KIND_MQL, From: access.Marketing, To: access.InsideSales,
		OnDecision: func(_ context.Context, tx store.Tx, ho *handoffv1.Handoff, _ *handoffv1.Reason) error {
			told := proto.Clone(ho).(*handoffv1.Handoff)
			tx.AfterCommit(func() { h.decisions <- told })
			return nil
		},
	}}
	h.fieldSales = &neighbour{kind: handoff.KindConfig{Kind: handoffv1.Kind_KIND_MEETING, From: access.InsideSales, To: access.FieldSales}}

	nets := map[access.Department]*rpc.Loopback{}
	for _, d := range departments {
		nets[d] = rpc.InProcess()
	}
	verifier, err := access.NewVerifier(t.Context(), access.TrustIssuer(h.issuer))
	if err != nil {
		t.Fatal(err)
	}
	group := lifecycle.New(lifecycle.Options{Signals: []os.Signal{}})
	open := func(def department.Definition, dsn string, opts ...store.Option) {
		peers := map[access.Department]grpc.ClientConnInterface{}
		for d, net := range nets {
			if d != def.Name {
				peers[d] = dial(t, net, rpc.To(d), rpc.As(h.issuer.Service(string(def.Name))))
			}
		}
		service, err := department.Open(t.Context(), def, department.Settings{
			DSN: dsn, Migrate: true, Verifier: verifier, Peers: peers, Clock: clock.System{}, StoreOptions: opts,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range service.Parts(nets[def.Name].Listener()) {
			group.Add(p)
		}
		group.OnReady(service.SetServing)
	}
	for d, n := range map[access.Department]*neighbour{access.Marketing: h.marketing, access.FieldSales: h.fieldSales} {
		if nets[d] == nil {
			continue
		}
		def := n.definition(d)
		open(def, testkit.SQLiteDSN(t, def.Sets()...), store.WithoutSync())
		n.conn = dial(t, nets[d], rpc.As(access.Forward()))
	}
	open(insidesales.Definition, dsn, opts...)

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the house does not stop well: %v", err)
		}
	})
	h.conn = dial(t, nets[access.InsideSales], rpc.As(access.Forward()))
	h.items = pb.NewWorkItemServiceClient(h.conn)
	return h
}

func dial(t *testing.T, net *rpc.Loopback, opts ...rpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := net.Dial(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// waitFor waits for the first event on a feed that matches, from the beginning of the feed.
func waitFor[T proto.Message](t *testing.T, h *house, conn grpc.ClientConnInterface, match func(T) bool) T {
	t.Helper()
	var none T
	name := string(none.ProtoReflect().Descriptor().FullName())
	ctx, cancel := context.WithCancel(h.as(t, "viewer", access.RoleViewer))
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
			if got := data.(T); match(got) {
				return got
			}
		}
	}
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}
