package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ClaimRules say how the claims of a person's token are read. The zero value reads the roles of `roles`, the person of
// `sub` and the name of `name`.
//
// A claim is named by its path, for instance `realm_access.roles`: a step is a name, which may itself hold dots, as in
// `https://example.com/roles`. Values of roles may be a list of texts, a text with spaces between them, or an object,
// whose names count.
type ClaimRules struct {
	// Roles are the claims that hold roles or groups.
	Roles []string
	// Map says which roles a value grants; a value that is not in it grants nothing. Without a map, values are names of
	// roles, as ParseRole reads them.
	Map map[string][]Role
	// User is the claim with the id of the person, and Name with the name to show. The id is written to histories and
	// logs: it should be no personal data.
	User, Name string
}

// person reads a token of an issuer that knows people: any role but SERVICE.
func (r ClaimRules) person(subject string, claims map[string]any) (Actor, error) {
	a, err := r.read(subject, claims)
	a.Roles = slices.DeleteFunc(a.Roles, func(role Role) bool { return role == RoleService })
	return a, err
}

// embedded reads a token of our own issuer: any role.
func (r ClaimRules) embedded(subject string, claims map[string]any) (Actor, error) {
	a, err := r.read(subject, claims)
	if a.Has(RoleService) {
		a.Kind = KindService
	}
	return a, err
}

func (r ClaimRules) read(subject string, claims map[string]any) (Actor, error) {
	a := Actor{Kind: KindPerson, ID: subject}
	if r.User != "" {
		if a.ID, _ = claimAt(claims, r.User).(string); a.ID == "" {
			return Actor{}, fmt.Errorf("no claim %s", r.User)
		}
	}
	a.Name, _ = claimAt(claims, or(r.Name, "name")).(string)
	paths := r.Roles
	if len(paths) == 0 {
		paths = []string{"roles"}
	}
	for _, path := range paths {
		for _, value := range values(claimAt(claims, path)) {
			for _, role := range r.rolesOf(value) {
				if !slices.Contains(a.Roles, role) {
					a.Roles = append(a.Roles, role)
				}
			}
		}
	}
	return a, nil
}

func (r ClaimRules) rolesOf(value string) []Role {
	if r.Map != nil {
		return r.Map[value]
	}
	if role, ok := ParseRole(value); ok {
		return []Role{role}
	}
	return nil
}

// claimAt looks the path up; nil when there is nothing.
func claimAt(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	for i, c := range path {
		if c != '.' {
			continue
		}
		if inner, ok := claims[path[:i]].(map[string]any); ok {
			if v := claimAt(inner, path[i+1:]); v != nil {
				return v
			}
		}
	}
	return nil
}

func values(claim any) []string {
	var out []string
	switch claim := claim.(type) {
	case string:
		return strings.Fields(claim)
	case []any:
		for _, v := range claim {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
	case map[string]any:
		for name := range claim {
			out = append(out, name)
		}
		slices.Sort(out)
	}
	return out
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// serviceActor reads a token that a service signed for itself: it says which department it is, and nothing else.
func serviceActor(subject string, claims map[string]any) (Actor, error) {
	name, ok := strings.CutPrefix(subject, "service:")
	if !ok || !slices.Contains(values(claims["roles"]), string(RoleService)) {
		return Actor{}, errors.New("not the identity of a service")
	}
	d, err := ParseDepartment(name)
	if err != nil {
		return Actor{}, err
	}
	return ServiceActor(d), nil
}

// ServiceActor is the service of a department, as its own tokens name it.
func ServiceActor(d Department) Actor {
	return Actor{Kind: KindService, ID: ServiceSubject(d.String()), Name: d.String(), Roles: []Role{RoleService}}
}

// machineActor reads a token that the gateway signed for a machine with an API key.
func machineActor(subject string, claims map[string]any) (Actor, error) {
	a, err := ClaimRules{}.person(subject, claims)
	a.Kind = KindService
	a.ReadOnly, _ = claims["read_only"].(bool)
	for _, name := range values(claims["departments"]) {
		a.Departments = append(a.Departments, Department(name))
	}
	return a, err
}
