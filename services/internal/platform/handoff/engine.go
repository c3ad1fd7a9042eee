package handoff

import (
	"context"
	"log/slog"

	"google.golang.org/grpc"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Config is what an Engine needs. All fields are required.
type Config struct {
	// Department is the one whose ledger this is.
	Department access.Department
	DB         *store.DB
	Clock      clock.Clock
	Events     *event.Log
	// Jobs must not be started yet: New registers the engine's workers.
	Jobs   *jobs.Jobs
	Logger *slog.Logger
}

// Hook takes part in a change of state, in the transaction that makes it. h is the handoff after the change; it must not be
// kept. An error rolls everything back and is what the caller gets.
type Hook func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) error

// SubjectHook is a Hook that says what the receiver has made of the handoff, as `kind/id`, for instance `work-item/0198…`.
// It becomes `receiver_subject`; empty leaves that as it is.
type SubjectHook func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff) (receiverSubject string, err error)

// DecisionHook takes in what became of a handoff, at the sender: h.State says what (ACCEPTED, REJECTED, RETURNED, RECALLED,
// EXPIRED or FULFILLED), h.Decision by whom and why. reason is set with REJECTED.
type DecisionHook func(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, reason *handoffv1.Reason) error

// KindConfig says what a department does with a kind of handoff. A nil hook does nothing.
type KindConfig struct {
	Kind handoffv1.Kind
	// From and To are the departments that send and receive the kind. One of them must be the engine's own.
	From, To access.Department
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
	OnRejected, OnReturned, OnRecalled, OnFulfilled Hook

	// OnDelivered runs at the sender when the receiver has the offer.
	OnDelivered Hook
	// OnDecision runs at the sender in the transaction that takes in the receiver's decision.
	OnDecision DecisionHook
}

// NewOffer is what a sender hands over.
type NewOffer struct {
	Kind handoffv1.Kind
	// To is the receiver; empty means the one of the kind.
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

// Register says what this department does with a kind. It must be called before the service starts, and panics when the
// kind is taken or does not concern this department.
func (e *Engine) Register(k KindConfig) { e.register(k) }

// Peer says how another department is reached. Departments without a peer cannot be delivered to: their offers wait.
func (e *Engine) Peer(d access.Department, conn grpc.ClientConnInterface) { e.peer(d, conn) }

// Subscriptions are the readings of the peers' feeds that bring decisions back. Give them to the service's
// event.Subscriber after all calls of Register and Peer.
func (e *Engine) Subscriptions() []event.Subscription { return e.subscriptions() }

// Offer writes an offer as rows of the caller's transaction: ledger, attempt, history, event HandoffOffered, and the job that
// delivers it. It fails with PAYLOAD_INCOMPLETE when a field of the kind's floor is missing.
func (e *Engine) Offer(ctx context.Context, tx store.Tx, o NewOffer) (*handoffv1.Handoff, error) {
	return e.offer(ctx, tx, o)
}

// Fulfil records, in the transaction of the receiver's first action, that the action was done. It does nothing when the
// handoff is fulfilled already, and fails with ILLEGAL_TRANSITION when it was not accepted. OnFulfilled runs.
func (e *Engine) Fulfil(ctx context.Context, tx store.Tx, handoffID, note string) (*handoffv1.Handoff, error) {
	return e.fulfil(ctx, tx, handoffID, note)
}

// Assign puts a handoff of the inbox into somebody's hands, or back into the queue with an empty assignee, in the caller's
// transaction: AssignHandoff of the desk for departments that assign their own records. OnAssigned runs. It does nothing
// when the assignee is the same, and fails with DECISION_TAKEN or ILLEGAL_TRANSITION when the handoff is not OFFERED.
func (e *Engine) Assign(ctx context.Context, tx store.Tx, handoffID, assignee string) (*handoffv1.Handoff, error) {
	return e.assign(ctx, tx, handoffID, assignee)
}

// Reason looks up what a reason code of a kind means. It fails with REASON_UNKNOWN, which names the codes that there are.
func (e *Engine) Reason(ctx context.Context, tx store.Tx, kind handoffv1.Kind, code string) (*handoffv1.Reason, error) {
	return e.reason(ctx, tx, kind, code)
}

// Get reads a handoff of either side. RESOURCE_NOT_FOUND when there is none.
func (e *Engine) Get(ctx context.Context, tx store.Tx, handoffID string) (*handoffv1.Handoff, error) {
	return e.get(ctx, tx, handoffID)
}

// Completeness measures a payload by what its kind must carry.
func (e *Engine) Completeness(kind handoffv1.Kind, p *handoffv1.Payload) *handoffv1.Completeness {
	return e.completeness(kind, p)
}

// RegisterServers serves HandoffReceiverService and HandoffDeskService.
func (e *Engine) RegisterServers(r grpc.ServiceRegistrar) { e.registerServers(r) }
