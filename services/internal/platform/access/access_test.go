package access

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	accessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/access/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc/rpctest"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// TestMatrix is every audience against every role, on a marketing service.
func TestMatrix(t *testing.T) {
	type set map[Role]bool
	all := set{
		RoleAdmin: true, RoleMarketing: true, RoleInsideSales: true, RoleFieldSales: true, RoleCustomerSuccess: true,
		RoleViewer: true,
	}
	for method, may := range map[string]set{
		rpctest.Get:        all,
		rpctest.Watch:      all,
		rpctest.Roles:      {RoleAdmin: true, RoleMarketing: true, RoleService: true},
		rpctest.Department: {RoleAdmin: true, RoleMarketing: true},
		rpctest.Services:   {RoleService: true},
	} {
		rule, err := RuleOf(method)
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range Roles() {
			err := Authorize(rule, Marketing, Actor{ID: "x", Roles: []Role{role}})
			if may[role] && err != nil || !may[role] && !problem.Is(err, problem.ReasonRoleMissing) {
				t.Errorf("%s as %s: %v", method, role, err)
			}
		}
		if err := Authorize(rule, Marketing, Actor{}); !problem.Is(err, problem.ReasonTokenMissing) {
			t.Errorf("%s without a token: %v", method, err)
		}
		if err := Authorize(rule, Marketing, Actor{ID: "x"}); !problem.Is(err, problem.ReasonRoleMissing) {
			t.Errorf("%s without a role: %v", method, err)
		}
	}
	public, err := RuleOf(rpctest.Public)
	if err != nil || Authorize(public, Marketing, Actor{}) != nil {
		t.Errorf("public door: %v", err)
	}
}

func TestDepartmentAudienceFollowsTheServer(t *testing.T) {
	rule, err := RuleOf(rpctest.Department)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Departments() {
		for _, other := range Departments() {
			if other.Role() == "" {
				continue
			}
			err := Authorize(rule, d, Actor{ID: "x", Roles: []Role{other.Role()}})
			if (err == nil) != (d == other) {
				t.Errorf("%s on %s: %v", other.Role(), d, err)
			}
		}
		if err := Authorize(rule, d, Actor{ID: "x", Roles: []Role{RoleAdmin}}); err != nil {
			t.Errorf("admin on %s: %v", d, err)
		}
	}
	err = Authorize(rule, Marketing, Actor{ID: "x", Roles: []Role{RoleViewer, RoleFieldSales}})
	if e, _ := problem.Parse(err); e.Metadata["needs"] != "ADMIN,MARKETING" || e.Metadata["has"] != "VIEWER,FIELD_SALES" {
		t.Errorf("metadata %v", e.Metadata)
	}
}

func TestWithoutRuleNobody(t *testing.T) {
	for _, method := range []string{rpctest.NoRule, "/tasuki.none.v1.Nothing/Do", "/tasuki.type.v1.Person/mail", "", "/"} {
		if r, err := RuleOf(method); err == nil {
			t.Errorf("%q has rule %v", method, r)
		}
	}
	for _, r := range []*accessv1.Rule{nil, {}, {Audience: accessv1.Audience_AUDIENCE_ROLES, Roles: []accessv1.Role{0}}, {Audience: 99}} {
		if err := Authorize(r, Marketing, Actor{ID: "x", Roles: []Role{RoleMarketing, RoleService, RoleViewer}}); err == nil {
			t.Errorf("%v admits", r)
		}
	}
	for _, method := range []string{"/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"} {
		if r, err := RuleOf(method); err != nil || !IsPublic(r) {
			t.Errorf("%s: %v %v", method, r, err)
		}
	}
}

func TestRolesAreThoseOfTheContract(t *testing.T) {
	for v, name := range accessv1.Role_name {
		if v == 0 {
			continue
		}
		if _, ok := ParseRole(name[len("ROLE_"):]); !ok {
			t.Errorf("%s is not known", name)
		}
	}
	if len(Roles()) != len(accessv1.Role_name)-1 {
		t.Error("more roles than the contract has")
	}
	if r, ok := ParseRole("inside-sales"); !ok || r != RoleInsideSales {
		t.Error("role as on a command line")
	}
	if _, ok := ParseRole("root"); ok {
		t.Error("root is no role")
	}
}

func TestActor(t *testing.T) {
	for _, a := range []Actor{{Kind: KindPerson, ID: "sato", Name: "佐藤"}, System("screening"), {Kind: KindService, ID: "service:marketing"}} {
		if got := ActorFromProto(a.Proto()); got.Kind != a.Kind || got.ID != a.ID || got.Name != a.Name {
			t.Errorf("%+v became %+v", a, got)
		}
	}
	if p := System("screening").Proto(); !proto.Equal(p, &typev1.Actor{Kind: typev1.Actor_KIND_SYSTEM, Id: "screening"}) {
		t.Errorf("%v", p)
	}
	if a := ActorFromProto(nil); !a.IsZero() {
		t.Errorf("%+v", a)
	}
	if _, ok := FromContext(context.Background()); ok || ActorOf(context.Background()).ID != "anonymous" {
		t.Error("nobody is somebody")
	}
	ctx := WithActor(context.Background(), System("timer"))
	if a := ActorOf(ctx); a.ID != "timer" || a.Label() != "timer" {
		t.Errorf("%+v", a)
	}
}

func TestDepartments(t *testing.T) {
	for _, d := range Departments() {
		got, err := ParseDepartment(d.String())
		if err != nil || got != d || d.Package() == "" {
			t.Errorf("%s: %v", d, err)
		}
	}
	if _, err := ParseDepartment("sales"); err == nil {
		t.Error("sales is no department")
	}
}
