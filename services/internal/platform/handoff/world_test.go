package handoff

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

func sets() []store.Migrations {
	return []store.Migrations{event.Migrations(), jobs.Migrations(), Migrations()}
}

func TestSchemas(t *testing.T) { testkit.SchemasMatch(t, event.Migrations(), Migrations()) }

// department is one with a ledger, all of whose parts run.
type department struct {
	t      *testing.T
	name   access.Department
	db     *store.DB
	log    *event.Log
	jobs   *jobs.Jobs
	engine *Engine
	conn   *grpc.ClientConn
	desk   handoffv1.HandoffDeskServiceClient
	// deaf keeps the department from reading the feeds of others.
	deaf bool
	// answer may spoil the answers of this department's receiver service, after they were made.
	answer func(method string, err error) error
	// refuse keeps calls from the receiver service.
	refuse func(method string) bool

	mu    sync.Mutex
	hooks []string
}

// saw notes a hook.
func (d *department) saw(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hooks = append(d.hooks, what)
}

func (d *department) seen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.hooks...)
}

// world runs marketing and inside sales on an engine, wired to one another over memory. configure may change what they
// register and is called before anything starts.
func world(t *testing.T, engine store.Engine, configure func(sender, receiver *department, k *KindConfig)) (sender, receiver *department) {
	t.Helper()
	return worldAt(t, engine, clock.System{}, configure)
}

// worldAt is world by another clock.
func worldAt(t *testing.T, engine store.Engine, now clock.Clock, configure func(sender, receiver *department, k *KindConfig)) (sender, receiver *department) {
	t.Helper()
	sender, receiver = newDepartment(t, engine, now, access.Marketing), newDepartment(t, engine, now, access.InsideSales)
	for _, d := range []*department{sender, receiver} {
		k := KindConfig{
			Kind: handoffv1.Kind_KIND_MQL, From: access.Marketing, To: access.InsideSales,
			OnReceived: func(_ context.Context, _ store.Tx, h *handoffv1.Handoff) (string, error) {
				d.saw("received")
				return "work-item/" + h.GetId(), nil
			},
			OnAccepted: func(context.Context, store.Tx, *handoffv1.Handoff) (string, error) {
				d.saw("accepted")
				return "", nil
			},
			OnAssigned: d.hook("assigned"),
			OnBreached: func(_ context.Context, _ store.Tx, h *handoffv1.Handoff, clock handoffv1.Clock, due time.Time) error {
				d.saw(fmt.Sprintf("breached %s %d at %s", clock, h.GetBreaches(), due.UTC().Format(time.TimeOnly)))
				return nil
			},
			OnRejected:    d.hook("rejected"),
			OnReturned:    d.hook("returned"),
			OnRecalled:    d.hook("recalled"),
			OnExpired:     d.hook("expired"),
			OnFulfilled:   d.hook("fulfilled"),
			OnDelivered:   d.hook("delivered"),
			OnResubmitted: d.hook("resubmitted"),
			OnDecision: func(_ context.Context, _ store.Tx, h *handoffv1.Handoff, reason *handoffv1.Reason) error {
				what := "decision " + string(stateOf(h.GetState()))
				if reason != nil {
					what += " " + reason.GetAction().String()
				}
				d.saw(what)
				return nil
			},
		}
		if configure != nil {
			configure(sender, receiver, &k)
		}
		d.engine.Register(k)
	}
	sender.engine.Peer(access.InsideSales, receiver.conn)
	receiver.engine.Peer(access.Marketing, sender.conn)
	sender.start()
	receiver.start()
	return sender, receiver
}

func (d *department) hook(what string) Hook {
	return func(context.Context, store.Tx, *handoffv1.Handoff) error {
		d.saw(what)
		return nil
	}
}

func newDepartment(t *testing.T, engine store.Engine, now clock.Clock, name access.Department) *department {
	t.Helper()
	d := &department{t: t, name: name}
	if engine == store.Postgres {
		d.db = testkit.Postgres(t, sets()...)
	} else {
		d.db = testkit.SQLite(t, sets()...)
	}
	quiet := slog.New(slog.DiscardHandler)
	d.log = event.NewLog(d.db, now)
	d.jobs = jobs.New(d.db, jobs.Config{Logger: quiet})
	d.engine = New(Config{Department: name, DB: d.db, Clock: now, Events: d.log, Jobs: d.jobs, Logger: quiet})
	server := grpc.NewServer(grpc.UnaryInterceptor(d.intercept))
	d.log.RegisterServer(server)
	d.engine.RegisterServers(server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with Stop
	}()
	var err error
	d.conn, err = grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	d.desk = handoffv1.NewHandoffDeskServiceClient(d.conn)
	t.Cleanup(func() {
		_ = d.conn.Close() // nothing depends on it
		server.Stop()
		<-served
	})
	return d
}

// intercept is what matters here of the service's own chain: the actor, errors as statuses, and transactions that are shared.
func (d *department) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	actor := access.Actor{Kind: access.KindService, ID: "service"}
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("user")) > 0 {
		actor = access.Actor{Kind: access.KindPerson, ID: md.Get("user")[0]}
	}
	var resp any
	var err error
	if d.refuse == nil || !d.refuse(info.FullMethod) {
		resp, err = handler(store.Sharing(access.WithActor(ctx, actor)), req)
	}
	if err != nil {
		err = problem.Status(ctx, err).Err()
	}
	if d.answer != nil {
		err = d.answer(info.FullMethod, err)
	}
	return resp, err
}

func (d *department) start() {
	d.t.Helper()
	if err := d.jobs.Start(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	sub := event.NewSubscriber(d.db, clock.System{}, slog.New(slog.DiscardHandler))
	for _, s := range d.engine.Subscriptions() {
		if !d.deaf {
			sub.Subscribe(s)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	for _, run := range []func(context.Context) error{sub.Run, d.log.Run} {
		loops.Go(func() {
			if err := run(ctx); err != nil {
				d.t.Error(err)
			}
		})
	}
	d.t.Cleanup(func() {
		stop, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		if err := d.jobs.Stop(stop); err != nil {
			d.t.Error(err)
		}
		cancel()
		loops.Wait()
	})
}

// as is a context of a person who calls.
func as(t *testing.T, user string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "user", user)
}

// offer offers a complete lead.
func (d *department) offer(change func(*NewOffer)) *handoffv1.Handoff {
	d.t.Helper()
	h, err := d.tryOffer(change)
	if err != nil {
		d.t.Fatal(err)
	}
	return h
}

func (d *department) tryOffer(change func(*NewOffer)) (*handoffv1.Handoff, error) {
	o := NewOffer{
		Kind: handoffv1.Kind_KIND_MQL, JourneyID: uuid.NewString(), PersonID: uuid.NewString(),
		Payload: full()[handoffv1.Kind_KIND_MQL], SenderSubject: "lead/1",
	}
	if change != nil {
		change(&o)
	}
	ctx := access.WithActor(context.Background(), access.Actor{Kind: access.KindPerson, ID: "tanaka"})
	return store.Write(ctx, d.db, func(tx store.Tx) (*handoffv1.Handoff, error) { return d.engine.Offer(ctx, tx, o) })
}

// get reads a handoff of the ledger; nil when there is none.
func (d *department) get(id string) *handoffv1.Handoff {
	d.t.Helper()
	h, err := store.Read(d.t.Context(), d.db, func(tx store.Tx) (*handoffv1.Handoff, error) {
		r, err := find(d.t.Context(), tx, id, false)
		if err != nil || r == nil {
			return nil, err
		}
		return r.h, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return h
}

// wait waits until the handoff is in the ledger as ok wants it.
func (d *department) wait(id, what string, ok func(h *handoffv1.Handoff) bool) *handoffv1.Handoff {
	d.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		h := d.get(id)
		if h != nil && ok(h) {
			return h
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("%s: %s: not within 30 s; it is %v", d.name, what, h)
		}
		<-time.After(3 * time.Millisecond)
	}
}

func (d *department) waitState(id string, s State) *handoffv1.Handoff {
	d.t.Helper()
	return d.wait(id, "to be "+string(s), func(h *handoffv1.Handoff) bool { return stateOf(h.GetState()) == s })
}

// both runs a test on both engines.
func both(t *testing.T, test func(t *testing.T, engine store.Engine)) {
	t.Parallel()
	t.Run(string(store.SQLite), func(t *testing.T) { test(t, store.SQLite) })
	t.Run(string(store.Postgres), func(t *testing.T) { test(t, store.Postgres) })
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
		<-time.After(3 * time.Millisecond)
	}
}
