package handoff

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Config is what an Engine needs. All fields but Intake and Together are required.
type Config struct {
	// Department is the one whose ledger this is.
	Department access.Department
	DB         *store.DB
	Clock      clock.Clock
	Events     *event.Log
	// Jobs must not be started yet: New registers the engine's workers.
	Jobs   *jobs.Jobs
	Logger *slog.Logger
	// Intake may change what arrives before anything else sees it: people who were merged or erased meanwhile.
	Intake func(ctx context.Context, tx store.Tx, arriving ...*handoffv1.Handoff) error
	// Together is for simulations, which decide what happens at the same time: deliveries wait for no other, and take along
	// what it names. Nil lets those go together that wait for the same receiver.
	Together func(handoffID string) []string
}

// Hook takes part in a change of state, in the transaction that makes it. h is the handoff after the change; it must not be
// kept or changed. The row is written after the hook: a hook must not command the same handoff through the engine. An error
// rolls everything back and is what the caller gets.
type Hook func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error

// SubjectHook is a Hook that says what the receiver has made of the handoff, as `kind/id`, for instance `work-item/0198…`.
// It becomes `receiver_subject`; empty leaves that as it is.
type SubjectHook func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) (receiverSubject string, err error)

// DecisionHook takes in what became of a handoff, at the sender: h.State says what (ACCEPTED, REJECTED, RETURNED, RECALLED,
// EXPIRED or FULFILLED), h.Decision by whom and why. reason is set with REJECTED.
type DecisionHook func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, reason *handoffv1.Reason) error

// BreachHook takes part in the step that is taken because a clock has run out, in its transaction. h is the handoff after
// the step; due is when the clock ran out. It runs for every step of the policy.
type BreachHook func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, clock handoffv1.Clock, due time.Time) error

// KindConfig says what a department does with a kind of handoff. A nil hook does nothing.
type KindConfig struct {
	Kind handoffv1.Kind
	// From and To are the departments that send and receive the kind. One of them must be the engine's own.
	From, To access.Department
	// AlsoTo are other departments that may receive it, see NewOffer.To.
	AlsoTo []access.Department
	// Required are the fields that make up the completeness; nil means those of the contract (see Required).
	Required []string
	// Floor are the fields without which an offer is refused; nil means those of the contract (see Floor).
	Floor []string

	// OnReceived runs at the receiver when an offer arrives, once per attempt.
	OnReceived SubjectHook
	// OnAccepted runs at the receiver. h.Decision.Missing names the gaps when it was accepted with gaps. h.Assignee is who
	// will work on it.
	OnAccepted SubjectHook
	// OnAssigned runs at the receiver when h.Assignee has changed without a decision.
	OnAssigned Hook
	// The other changes at the receiver.
	OnRejected, OnReturned, OnRecalled, OnExpired, OnFulfilled Hook
	// OnBreached runs at the receiver when one of its clocks has run out.
	OnBreached BreachHook

	// OnDelivered runs at the sender when the receiver has the offer.
	OnDelivered Hook
	// OnResubmitted runs at the sender when a returned or expired handoff was offered again.
	OnResubmitted Hook
	// OnDecision runs at the sender in the transaction that takes in the receiver's decision.
	OnDecision DecisionHook
	// BeforeHooks may read in one go, in the same transaction, what the hooks need for several handoffs; they run under the context
	// that it returns. It need not be called for a single one.
	BeforeHooks func(ctx context.Context, tx store.Tx, handoffs []*handoffv1.Handoff) (context.Context, error)
}

// NewOffer is what a sender hands over.
type NewOffer struct {
	Kind handoffv1.Kind
	// To is the receiver; empty means the one of the kind, others must be among its AlsoTo.
	To access.Department
	// Queue is the receiver's queue; empty means its default queue.
	Queue string
	// JourneyID is required; PersonID and AccountID where there are such.
	JourneyID, PersonID, AccountID string
	Payload                        *handoffv1.Payload
	// SenderSubject is what it comes from, as `kind/id`, for instance `lead/0198…`.
	SenderSubject string
	// ChainID is the chain of an earlier handoff of the same kind for the same subject; empty begins a chain.
	ChainID string
}

// Engine is the handoffs of one department. It is safe for concurrent use once the service runs.
type Engine struct {
	cfg   Config
	kinds map[handoffv1.Kind]*KindConfig
	peers map[access.Department]grpc.ClientConnInterface
	// gates are those to the receivers, by department.
	gates sync.Map
}

// New makes the engine of a department and registers its workers. The tables come with Migrations.
func New(cfg Config) *Engine {
	e := &Engine{cfg: cfg, kinds: map[handoffv1.Kind]*KindConfig{}, peers: map[access.Department]grpc.ClientConnInterface{}}
	jobs.Register(cfg.Jobs, e.deliver)
	jobs.Register(cfg.Jobs, e.askBack)
	jobs.Register(cfg.Jobs, e.ring)
	jobs.Register(cfg.Jobs, e.remind)
	jobs.Register(cfg.Jobs, e.reconcile)
	return e
}

// Register says what this department does with a kind. It must be called before the service starts, and panics when the
// kind is taken or does not concern this department.
func (e *Engine) Register(k KindConfig) {
	me := e.cfg.Department
	if e.kinds[k.Kind] != nil || k.Kind == handoffv1.Kind_KIND_UNSPECIFIED || k.From == k.To || k.From != me && k.To != me {
		panic(fmt.Sprintf("handoff: %s from %q to %q cannot be registered for %q", kindName(k.Kind), k.From, k.To, me))
	}
	if k.Required == nil {
		k.Required = Required(k.Kind)
	}
	if k.Floor == nil {
		k.Floor = Floor(k.Kind)
	}
	e.kinds[k.Kind] = &k
}

// Peer says how another department is reached. Departments without a peer cannot be delivered to: their offers wait.
func (e *Engine) Peer(d access.Department, conn grpc.ClientConnInterface) { e.peers[d] = conn }

// kind is what this department does with a kind as its sender or receiver; nil when it does not.
func (e *Engine) kind(k handoffv1.Kind, side Side) *KindConfig {
	cfg := e.kinds[k]
	if cfg == nil || side == Out && cfg.From != e.cfg.Department || side == In && cfg.To != e.cfg.Department {
		return nil
	}
	return cfg
}

// Get reads a handoff of either side. RESOURCE_NOT_FOUND when there is none.
func (e *Engine) Get(ctx context.Context, tx store.Tx, handoffID string) (*handoffv1.Handoff, error) {
	r, err := find(ctx, tx, handoffID, false)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, problem.NotFound("handoff", handoffID)
	}
	return r.h, nil
}

// Completeness measures a payload by what its kind must carry here.
func (e *Engine) Completeness(kind handoffv1.Kind, p *handoffv1.Payload) *handoffv1.Completeness {
	paths := Required(kind)
	if cfg := e.kinds[kind]; cfg != nil {
		paths = cfg.Required
	}
	return completenessOf(p, paths)
}

// RegisterServers serves HandoffReceiverService and HandoffDeskService.
func (e *Engine) RegisterServers(r grpc.ServiceRegistrar) {
	handoffv1.RegisterHandoffReceiverServiceServer(r, &receiver{e: e})
	handoffv1.RegisterHandoffDeskServiceServer(r, &desk{e: e})
}
