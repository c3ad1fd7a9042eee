package sim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

var departments = []access.Department{access.Marketing, access.InsideSales, access.FieldSales, access.CustomerSuccess}

// route is a way of handing over. Marketing sends to two departments, and field sales receives from three.
type route struct {
	kind     handoffv1.Kind
	from, to int
}

var routes = []route{
	{handoffv1.Kind_KIND_MQL, 0, 1},
	{handoffv1.Kind_KIND_MQL, 0, 2},
	{handoffv1.Kind_KIND_MEETING, 1, 2},
	{handoffv1.Kind_KIND_CLOSED_WON, 2, 3},
	{handoffv1.Kind_KIND_CSQL, 3, 2},
}

// process is a department: a database that stays, and a program that comes and goes.
type process struct {
	w     *World
	i     int
	db    *store.DB
	clock *testkit.Clock
	// tables are those that are emptied between schedules.
	tables []string

	servers servers
	jobs    jobs.Manual
	engine  *handoff.Engine
	subs    *event.Subscriber
	sources []string // names of the subscriptions

	// commits counts; readTo is that of a source when the subscription had read all of it.
	commits int64
	readTo  map[string]int64
	// dirty is set when something was committed since the ledger was read.
	dirty  bool
	ledger ledger
}

func (p *process) name() access.Department { return departments[p.i] }

// start makes the program anew over the same database.
func (p *process) start() {
	quiet := slog.New(slog.DiscardHandler)
	log := event.NewLog(p.db, p.clock)
	j := jobs.New(p.db, jobs.Config{Logger: quiet})
	p.engine = handoff.New(handoff.Config{
		Department: p.name(), DB: p.db, Clock: p.clock, Events: log, Jobs: j, Logger: quiet, Together: p.together,
	})
	p.jobs = jobs.ByHand(j)
	for _, r := range routes {
		if p.i == r.to || p.i == r.from && r != routes[1] {
			p.engine.Register(p.kind(r))
		}
	}
	p.servers = servers{}
	for _, other := range p.w.procs {
		if other != p {
			p.engine.Peer(other.name(), &conn{from: p, to: other})
		}
	}
	log.RegisterServer(p.servers)
	p.engine.RegisterServers(p.servers)
	p.subs = event.NewSubscriber(p.db, p.clock, quiet, event.Holder("sim"))
	p.sources = nil
	for _, s := range p.engine.Subscriptions() {
		if p.w.plant.Handler != nil {
			s.Handler = p.w.plant.Handler(s.Handler)
		}
		p.subs.Subscribe(s)
		p.sources = append(p.sources, s.Name)
	}
}

// together lets a delivery take along whatever else there is, as those are that wait for one another. What is not on its way
// stays where it is.
func (p *process) together(id string) []string {
	return slices.DeleteFunc(slices.Clone(p.w.handoffs), func(other string) bool { return other == id })
}

func (p *process) kind(r route) handoff.KindConfig {
	k := handoff.KindConfig{
		Kind: r.kind, From: departments[r.from], To: departments[r.to],
		OnReceived:    p.subject("received"),
		OnAccepted:    p.subject("accepted"),
		OnAssigned:    p.hook("assigned"),
		OnRejected:    p.hook("rejected"),
		OnReturned:    p.hook("returned"),
		OnRecalled:    p.hook("recalled"),
		OnExpired:     p.hook("expired"),
		OnFulfilled:   p.hook("fulfilled"),
		OnDelivered:   p.hook("delivered"),
		OnResubmitted: p.hook("resubmitted"),
		OnDecision: func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, _ *handoffv1.Reason) error {
			return p.effect(ctx, tx, h, "decided "+stateName(h.GetState()))
		},
	}
	if r == routes[0] && p.i == r.from {
		k.AlsoTo = []access.Department{departments[routes[1].to]}
	}
	if r == routes[0] && p.i == r.to { // this one wants more than its senders know
		k.Floor = append([]string{"person.title"}, handoff.Floor(r.kind)...)
	}
	return k
}

func (p *process) hook(what string) handoff.Hook {
	return func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error { return p.effect(ctx, tx, h, what) }
}

func (p *process) subject(what string) handoff.SubjectHook {
	return func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) (string, error) {
		return "record/" + h.GetId(), p.effect(ctx, tx, h, what)
	}
}

// effect is what the department makes of a change: a row of the same transaction. The table would take it twice.
func (p *process) effect(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, what string) error {
	p.w.sleeves.hook(p)
	if err := p.w.sleeves.hookFailure(); err != nil {
		return err
	}
	if plant := p.w.plant.Effect; plant != nil {
		return plant(ctx, p.db, tx, h, what)
	}
	addEffect(tx, h, what)
	return nil
}

func addEffect(tx store.Tx, h *handoffv1.Handoff, what string) {
	tx.Queue(`INSERT INTO sim_effects (handoff_id, attempt, what) VALUES ($1, $2, $3)`, h.GetId(), int64(h.GetAttempt()), what)
}

// servers are the services of a process by full method.
type servers map[string]func(ctx context.Context, req any) (any, error)

// RegisterService implements grpc.ServiceRegistrar.
func (s servers) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, m := range desc.Methods {
		s["/"+desc.ServiceName+"/"+m.MethodName] = func(ctx context.Context, req any) (any, error) {
			return m.Handler(impl, ctx, func(into any) error {
				proto.Merge(into.(proto.Message), req.(proto.Message)) // a copy, as over a wire
				return nil
			}, nil)
		}
	}
}

// call is the part of a service's chain that matters here: who calls, and errors as statuses.
func (s servers) call(ctx context.Context, by access.Actor, method string, req any) (any, error) {
	handler := s[method]
	if handler == nil {
		return nil, fmt.Errorf("sim: no method %s", method)
	}
	resp, err := handler(access.WithActor(ctx, by), req)
	if err != nil {
		return nil, problem.Status(ctx, err).Err()
	}
	return resp, nil
}
