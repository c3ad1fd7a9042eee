package access

import (
	"context"
	"slices"
	"strings"

	accessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/access/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
)

// Role is what a token says its holder is: the value of tasuki.access.v1.Role without its prefix.
type Role string

// The roles.
const (
	RoleAdmin           Role = "ADMIN"
	RoleMarketing       Role = "MARKETING"
	RoleInsideSales     Role = "INSIDE_SALES"
	RoleFieldSales      Role = "FIELD_SALES"
	RoleCustomerSuccess Role = "CUSTOMER_SUCCESS"
	RoleViewer          Role = "VIEWER"
	RoleService         Role = "SERVICE"
)

// Roles are all roles that exist, in the order of the contract.
func Roles() []Role {
	return []Role{RoleAdmin, RoleMarketing, RoleInsideSales, RoleFieldSales, RoleCustomerSuccess, RoleViewer, RoleService}
}

// ParseRole accepts a role's name in any case, with `-` or `_`, for instance `inside-sales`.
func ParseRole(name string) (Role, bool) {
	r := Role(strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	return r, slices.Contains(Roles(), r)
}

func roleOf(r accessv1.Role) Role { return Role(strings.TrimPrefix(r.String(), "ROLE_")) }

// Kind is the kind of an actor, as tables store it.
type Kind string

// The kinds.
const (
	KindPerson  Kind = "PERSON"
	KindService Kind = "SERVICE"
	KindSystem  Kind = "SYSTEM"
)

// Actor is who does something. It is a plain value: rules and stores keep it as it is.
type Actor struct {
	Kind Kind
	// ID is the subject of the token, or the name of the service (`service:marketing`) or rule (`screening`).
	ID string
	// Name is shown to people; empty falls back to ID.
	Name string
	// Roles are what the token grants; empty for system actors.
	Roles []Role
	// Departments are the only ones where a machine with an API key may call; empty is all.
	Departments []Department
	// ReadOnly machines may call only what changes nothing.
	ReadOnly bool
}

// Has reports whether the actor holds one of the roles.
func (a Actor) Has(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(a.Roles, r) })
}

// IsZero reports whether a names nobody.
func (a Actor) IsZero() bool { return a.ID == "" }

// Label is the name to show to people.
func (a Actor) Label() string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}

// Proto is the actor as the contract writes it.
func (a Actor) Proto() *typev1.Actor {
	return &typev1.Actor{
		Kind: typev1.Actor_Kind(typev1.Actor_Kind_value["KIND_"+string(a.Kind)]), Id: a.ID, DisplayName: a.Name,
	}
}

// ActorFromProto is the inverse of Actor.Proto; roles do not travel.
func ActorFromProto(p *typev1.Actor) Actor {
	if p == nil {
		return Actor{}
	}
	a := Actor{ID: p.GetId(), Name: p.GetDisplayName()}
	if p.GetKind() != typev1.Actor_KIND_UNSPECIFIED {
		a.Kind = Kind(strings.TrimPrefix(p.GetKind().String(), "KIND_"))
	}
	return a
}

// System is Tasuki itself acting through a rule, timer or automatic step of this name.
func System(name string) Actor { return Actor{Kind: KindSystem, ID: name} }

// Anonymous is a visitor at a public door.
func Anonymous() Actor { return Actor{Kind: KindPerson, ID: "anonymous"} }

type (
	actorKey struct{}
	tokenKey struct{}
)

// WithActor puts the actor into the context. Interceptors do it for calls; jobs and subscriptions with System.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// FromContext returns the actor of the context; ok is false when nobody was put there.
func FromContext(ctx context.Context) (a Actor, ok bool) {
	a, ok = ctx.Value(actorKey{}).(Actor)
	return a, ok
}

// ActorOf returns the actor of the context, and Anonymous when there is none.
func ActorOf(ctx context.Context) Actor {
	if a, ok := FromContext(ctx); ok {
		return a
	}
	return Anonymous()
}

// WithToken keeps the raw token of the call, so that Forward can send it on.
func WithToken(ctx context.Context, raw string) context.Context {
	return context.WithValue(ctx, tokenKey{}, raw)
}

// Token is the raw token of the call; empty when there is none.
func Token(ctx context.Context) string {
	raw, _ := ctx.Value(tokenKey{}).(string)
	return raw
}
