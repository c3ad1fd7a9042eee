package access

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/access/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// infrastructure are the services of gRPC itself; they have no rule of ours and are open to all.
var infrastructure = []string{"/grpc.health.v1.Health/", "/grpc.reflection.v1.", "/grpc.reflection.v1alpha."}

var publicRule = &accessv1.Rule{Audience: accessv1.Audience_AUDIENCE_PUBLIC}

var rules sync.Map // full method → *accessv1.Rule; contracts do not change while a program runs

// RuleOf returns the rule that the contract writes beside a method, for instance
// `/tasuki.marketing.v1.LeadService/GetLead`. It fails for a method that is unknown or has no rule.
func RuleOf(fullMethod string) (*accessv1.Rule, error) {
	if r, ok := rules.Load(fullMethod); ok {
		return r.(*accessv1.Rule), nil
	}
	for _, prefix := range infrastructure {
		if strings.HasPrefix(fullMethod, prefix) {
			return publicRule, nil
		}
	}
	m, err := methodOf(fullMethod)
	if err != nil {
		return nil, err
	}
	r, err := ruleOf(m)
	if err != nil {
		return nil, err
	}
	rules.Store(fullMethod, r)
	return r, nil
}

func methodOf(fullMethod string) (protoreflect.MethodDescriptor, error) {
	name := strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", ".")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("access: no descriptor of %s: %w", fullMethod, err)
	}
	m, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("access: %s is no method", fullMethod)
	}
	return m, nil
}

func ruleOf(m protoreflect.MethodDescriptor) (*accessv1.Rule, error) {
	r, _ := proto.GetExtension(m.Options(), accessv1.E_Rule).(*accessv1.Rule)
	if r.GetAudience() == accessv1.Audience_AUDIENCE_UNSPECIFIED {
		return nil, fmt.Errorf("access: %s has no (tasuki.access.v1.rule)", m.FullName())
	}
	return r, nil
}

// IsPublic reports whether the rule admits callers without a token.
func IsPublic(r *accessv1.Rule) bool { return r.GetAudience() == accessv1.Audience_AUDIENCE_PUBLIC }

// Authorize decides whether a rule admits the actor on a service of the department. A zero actor is a caller without a
// token. The error is a problem: TOKEN_MISSING or ROLE_MISSING.
func Authorize(r *accessv1.Rule, d Department, a Actor) error {
	if IsPublic(r) {
		return nil
	}
	if a.IsZero() {
		return problem.TokenMissing()
	}
	needs := admitted(r, d)
	if a.Has(needs...) {
		return nil
	}
	return problem.RoleMissing(texts(needs), texts(a.Roles))
}

// Admit decides whether the actor may call a method, by its full name, on a service of the department: by the rule of the
// contract, and by what an API key is limited to. The error is a problem: TOKEN_MISSING, ROLE_MISSING or KEY_LIMITED.
func Admit(fullMethod string, d Department, a Actor) error {
	rule, err := RuleOf(fullMethod)
	if err != nil {
		return err
	}
	if err := Authorize(rule, d, a); err != nil || IsPublic(rule) {
		return err
	}
	if len(a.Departments) > 0 && !slices.Contains(a.Departments, d) {
		return problem.KeyLimited("departments", strings.Join(texts(a.Departments), ","))
	}
	if a.ReadOnly && !IsRead(fullMethod) {
		return problem.KeyLimited("read_only", "true")
	}
	return nil
}

// IsRead reports whether the contract says that a method changes nothing: its REST binding is a GET.
func IsRead(fullMethod string) bool {
	m, err := methodOf(fullMethod)
	if err != nil {
		return false
	}
	http, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	return http.GetGet() != ""
}

// admitted are the roles that a rule lets in. SERVICE is only in where the rule names it.
func admitted(r *accessv1.Rule, d Department) []Role {
	switch r.GetAudience() {
	case accessv1.Audience_AUDIENCE_STAFF:
		return []Role{RoleAdmin, RoleMarketing, RoleInsideSales, RoleFieldSales, RoleCustomerSuccess, RoleViewer}
	case accessv1.Audience_AUDIENCE_ROLES:
		out := []Role{RoleAdmin}
		for _, role := range r.GetRoles() {
			if role != accessv1.Role_ROLE_UNSPECIFIED && role != accessv1.Role_ROLE_ADMIN {
				out = append(out, roleOf(role))
			}
		}
		return out
	case accessv1.Audience_AUDIENCE_DEPARTMENT:
		if role := d.Role(); role != "" {
			return []Role{RoleAdmin, role}
		}
		return []Role{RoleAdmin}
	case accessv1.Audience_AUDIENCE_SERVICE:
		return []Role{RoleService}
	}
	return nil
}

func texts[T ~string](of []T) []string {
	out := make([]string, len(of))
	for i, v := range of {
		out[i] = string(v)
	}
	return out
}
