package fieldsales_test

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
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
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
	kinds []handoff.KindConfig
	conn  *grpc.ClientConn
}

func (n *neighbour) definition(name access.Department) department.Definition {
	// A department has tables; this one needs none of its own.
	empty := &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE no_rooms (id BIGINT NOT NULL);\n")}
	return department.Definition{
		Name:       name,
		Migrations: store.Migrations{Name: "neighbour", FS: fstest.MapFS{"sqlite/0001_no_rooms.sql": empty, "postgres/0001_no_rooms.sql": empty}},
		Build: func(b *department.Base) error {
			n.Base = b
			for _, k := range n.kinds {
				b.Handoffs.Register(k)
			}
			return nil
		},
	}
}

// house is field sales between inside sales and customer success, all in this process, connected as over a wire.
type house struct {
	insideSales, customerSuccess *neighbour
	heard                        chan *handoffv1.Handoff // what the neighbours hear of what they handed over
	conn                         *grpc.ClientConn        // to field sales, with the token of the context
	issuer                       *access.Issuer
	accounts                     pb.AccountServiceClient
	deals                        pb.OpportunityServiceClient
	desk                         handoffv1.HandoffDeskServiceClient
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

// seller is a context of tanaka, who sells.
func (h *house) seller(t *testing.T) context.Context { return h.as(t, "tanaka", access.RoleFieldSales) }

// houses runs a test in a house on each engine. The neighbours are on SQLite.
func houses(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, build(t, true, testkit.SQLiteDSN(t, fieldsales.Definition.Sets()...), store.WithoutSync()))
	})
	t.Run("postgres", func(t *testing.T) { test(t, build(t, true, testkit.PostgresDSN(t, fieldsales.Definition.Sets()...))) })
}

func build(t *testing.T, neighbours bool, dsn string, opts ...store.Option) *house {
	t.Helper()
	h := &house{issuer: access.EphemeralIssuer(), heard: make(chan *handoffv1.Handoff, 100)}
	hear := func(_ context.Context, tx store.Tx, ho *handoffv1.Handoff, _ *handoffv1.Reason) error {
		told := proto.Clone(ho).(*handoffv1.Handoff)
		tx.AfterCommit(func() { h.heard <- told })
		return nil
	}
	nets := map[access.Department]*rpc.Loopback{access.FieldSales: rpc.InProcess()}
	if neighbours {
		nets[access.InsideSales], nets[access.CustomerSuccess] = rpc.InProcess(), rpc.InProcess()
	}
	verifier, err := access.NewVerifier(t.Context(), access.TrustIssuer(h.issuer))
	if err != nil {
		t.Fatal(err)
	}
	group := lifecycle.New(lifecycle.Options{Signals: []os.Signal{}})
	open := func(def department.Definition, dsn string, opts ...store.Option) {
		t.Helper()
		peers := map[access.Department]grpc.ClientConnInterface{}
		for d, net := range nets {
			if d != def.Name {
				peers[d] = dial(t, net, rpc.To(d), rpc.As(h.issuer.Service(string(def.Name))))
			}
		}
		service, err := department.Open(t.Context(), def, department.Settings{
			DSN: dsn, Migrate: true, Verifier: verifier, Peers: peers, StoreOptions: opts,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range service.Parts(nets[def.Name].Listener()) {
			group.Add(p)
		}
		group.OnReady(service.SetServing)
	}
	if neighbours {
		h.insideSales = &neighbour{kinds: []handoff.KindConfig{
			{Kind: handoffv1.Kind_KIND_MEETING, From: access.InsideSales, To: access.FieldSales, OnDecision: hear},
		}}
		h.customerSuccess = &neighbour{kinds: []handoff.KindConfig{
			{Kind: handoffv1.Kind_KIND_CSQL, From: access.CustomerSuccess, To: access.FieldSales, OnDecision: hear},
			{Kind: handoffv1.Kind_KIND_CLOSED_WON, From: access.FieldSales, To: access.CustomerSuccess},
		}}
		for name, n := range map[access.Department]*neighbour{access.InsideSales: h.insideSales, access.CustomerSuccess: h.customerSuccess} {
			def := n.definition(name)
			open(def, testkit.SQLiteDSN(t, def.Sets()...), store.WithoutSync())
		}
		h.insideSales.conn = dial(t, nets[access.InsideSales], rpc.As(access.Forward()))
		h.customerSuccess.conn = dial(t, nets[access.CustomerSuccess], rpc.As(access.Forward()))
	}
	open(fieldsales.Definition, dsn, opts...)

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the house does not stop well: %v", err)
		}
	})
	h.conn = dial(t, nets[access.FieldSales], rpc.As(access.Forward()))
	h.accounts, h.deals = pb.NewAccountServiceClient(h.conn), pb.NewOpportunityServiceClient(h.conn)
	h.desk = handoffv1.NewHandoffDeskServiceClient(h.conn)
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

// hears waits until a neighbour has taken in what became of a handoff.
func (h *house) hears(t *testing.T, id string, state handoffv1.State) *handoffv1.Handoff {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case d := <-h.heard:
			if d.GetId() == id && d.GetState() == state {
				return d
			}
		case <-late.C:
			t.Fatalf("the sender never heard that %s is %s", id, state)
		}
	}
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// must is for calls that have to go well.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused reads the error of a call: its reason and the fields it names.
func refused(t *testing.T, err error) (problem.Reason, []string) {
	t.Helper()
	p, ok := problem.Parse(err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var fields []string
	for _, v := range p.Violations {
		fields = append(fields, v.Field)
	}
	return p.Reason, fields
}
