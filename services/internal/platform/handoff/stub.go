package handoff

import (
	"context"

	"google.golang.org/grpc"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Engine is the handoffs of one department. It is safe for concurrent use once the service runs.
type Engine struct{}

// New makes the engine of a department and registers its workers. The tables come with Migrations.
func New(cfg Config) *Engine { panic("being written") }

// Migrations makes the tables of this package, and fills handoff_reasons.
func Migrations() store.Migrations { panic("being written") }

// Required are the paths of the fields that a kind must carry by the contract. `a|b` means one of both; `a[].b` means that
// every element of a has b.
func Required(kind handoffv1.Kind) []string { panic("being written") }

// Floor are the paths without which an offer of the kind is refused, a part of Required.
func Floor(kind handoffv1.Kind) []string { panic("being written") }

func (e *Engine) register(KindConfig)                              { panic("being written") }
func (e *Engine) peer(access.Department, grpc.ClientConnInterface) { panic("being written") }
func (e *Engine) subscriptions() []event.Subscription              { panic("being written") }
func (e *Engine) registerServers(grpc.ServiceRegistrar)            { panic("being written") }
func (e *Engine) offer(context.Context, store.Tx, NewOffer) (*handoffv1.Handoff, error) {
	panic("being written")
}
func (e *Engine) fulfil(context.Context, store.Tx, string, string) (*handoffv1.Handoff, error) {
	panic("being written")
}
func (e *Engine) get(context.Context, store.Tx, string) (*handoffv1.Handoff, error) {
	panic("being written")
}
func (e *Engine) completeness(handoffv1.Kind, *handoffv1.Payload) *handoffv1.Completeness {
	panic("being written")
}
func (e *Engine) assign(context.Context, store.Tx, string, string) (*handoffv1.Handoff, error) {
	panic("being written")
}
func (e *Engine) reason(context.Context, store.Tx, handoffv1.Kind, string) (*handoffv1.Reason, error) {
	panic("being written")
}
