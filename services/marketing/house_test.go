package marketing_test

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
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
	"github.com/tasuki-project/tasuki/services/marketing"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// patience bounds every wait of these tests; nothing waits as long when all is well.
const patience = time.Minute

// neighbour is a department of which only the shared contracts are there: handoffs and feed. It decides nothing by itself.
type neighbour struct {
	*department.Base
	conn *grpc.ClientConn
}

func (n *neighbour) definition(name access.Department, kinds ...handoff.KindConfig) department.Definition {
	// A department has tables; this one needs none of its own.
	empty := &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE no_tables (id BIGINT NOT NULL);\n")}
	return department.Definition{
		Name:       name,
		Migrations: store.Migrations{Name: "neighbour", FS: fstest.MapFS{"sqlite/0001_none.sql": empty, "postgres/0001_none.sql": empty}},
		Build: func(b *department.Base) error {
			n.Base = b
			for _, kind := range kinds {
				b.Handoffs.Register(kind)
			}
			return nil
		},
	}
}

// tell writes an event of the neighbour.
func (n *neighbour) tell(t *testing.T, e event.Event) {
	t.Helper()
	_, err := store.Write(t.Context(), n.DB, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, n.Events.Append(t.Context(), tx, e)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// house is marketing beside inside sales and field sales, all in this process, connected as over a wire.
type house struct {
	insideSales, fieldSales *neighbour
	conn                    *grpc.ClientConn // to marketing, without a token
	issuer                  *access.Issuer
	leads                   pb.LeadServiceClient
	imports                 pb.LeadImportServiceClient
	rules                   pb.ExclusionServiceClient
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
	t.Run("sqlite", func(t *testing.T) { test(t, build(t, true, testkit.SQLiteDSN(t), store.WithoutSync())) })
	t.Run("postgres", func(t *testing.T) { test(t, build(t, true, testkit.PostgresDSN(t, marketing.Definition.Sets()...))) })
}

// build opens the house; without neighbours marketing stands alone.
func build(t *testing.T, neighbours bool, dsn string, opts ...store.Option) *house {
	t.Helper()
	h := &house{issuer: access.EphemeralIssuer(), insideSales: &neighbour{}, fieldSales: &neighbour{}}
	nets := map[access.Department]*rpc.Loopback{access.Marketing: rpc.InProcess()}
	if neighbours {
		nets[access.InsideSales], nets[access.FieldSales] = rpc.InProcess(), rpc.InProcess()
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
	if neighbours {
		mql := handoff.KindConfig{Kind: handoffv1.Kind_KIND_MQL, From: access.Marketing, To: access.InsideSales}
		open(h.insideSales.definition(access.InsideSales, mql), testkit.SQLiteDSN(t), store.WithoutSync())
		open(h.fieldSales.definition(access.FieldSales), testkit.SQLiteDSN(t), store.WithoutSync())
		h.insideSales.conn = dial(t, nets[access.InsideSales], rpc.As(access.Forward()))
	}
	open(marketing.Definition, dsn, opts...)

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the house does not stop well: %v", err)
		}
	})
	h.conn = dial(t, nets[access.Marketing], rpc.As(access.Forward()))
	h.leads, h.imports = pb.NewLeadServiceClient(h.conn), pb.NewLeadImportServiceClient(h.conn)
	h.rules = pb.NewExclusionServiceClient(h.conn)
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
