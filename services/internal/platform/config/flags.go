package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
)

// Secret is a text that is never shown.
type Secret string

// String hides the text.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "****"
}

// GoString hides it from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides it from JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// DSN is the address of a database; its password is never shown.
type DSN string

// String hides the password.
func (d DSN) String() string {
	u, err := url.Parse(string(d))
	if err != nil {
		return "****"
	}
	if q := u.Query(); q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// GoString hides it from %#v.
func (d DSN) GoString() string { return d.String() }

// MarshalText hides it from JSON and logs.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Check refuses addresses that no engine understands.
func (d DSN) Check() error {
	s := string(d)
	switch {
	case s == "", strings.HasPrefix(s, "sqlite:") && len(s) > len("sqlite:"):
		return nil
	case strings.HasPrefix(s, "postgres://"), strings.HasPrefix(s, "postgresql://"):
		if _, err := url.Parse(s); err != nil {
			return errors.New("is no URL: write postgres://user:password@host:5432/database, special characters as %XX")
		}
		return nil
	}
	return errors.New("write sqlite:PATH or postgres://user:password@host:5432/database")
}

// Address is where to listen: host:port, the host may be empty.
type Address string

// Check looks at the form.
func (a Address) Check() error {
	if _, port, err := net.SplitHostPort(string(a)); err != nil || port == "" {
		return fmt.Errorf("%q is no address: write host:port, for instance 127.0.0.1:8080", string(a))
	}
	return nil
}

// Service are the settings of a program that serves one department. The kong variable `listen` is its default address.
type Service struct {
	Base
	Listen Address `help:"Address to serve gRPC on." default:"${listen}" placeholder:"HOST:PORT"`
	DSN    DSN     `name:"dsn" help:"Database: sqlite:PATH or postgres://…; empty is a SQLite file in the data folder." placeholder:"DSN"`
	Peers  Peers   `embed:"" prefix:"peer-" group:"peers"`
}

// Database is the DSN, and a SQLite file of the department in the data folder when none is set.
func (s Service) Database(d access.Department) string { return Database(s.DSN, s.Data, d) }

// Database is dsn, and a SQLite file of the department in the data folder when dsn is empty.
func Database(dsn DSN, data string, d access.Department) string {
	if dsn != "" {
		return string(dsn)
	}
	return "sqlite:" + filepath.Join(data, d.String()+".db")
}

// Events say how long a department keeps its events.
type Events struct {
	Days int `name:"keep-events-days" help:"Delete events that are older than this, in days, once every subscription is past them; 0 keeps them for ever." default:"0" placeholder:"DAYS"`
}

// Check looks at the range.
func (e Events) Check() error {
	if e.Days < 0 {
		return errors.New("--keep-events-days must not be negative")
	}
	return nil
}

// Keep is how long events are kept at least; zero keeps them for ever.
func (e Events) Keep() time.Duration { return time.Duration(e.Days) * 24 * time.Hour }

// Patience says how long a program that starts waits for what it needs.
type Patience struct {
	Database time.Duration `name:"database-wait" help:"Longest wait at the start for a PostgreSQL that cannot be reached; 0 does not wait." default:"1m"`
}

// Check looks at the range.
func (p Patience) Check() error {
	if p.Database < 0 {
		return errors.New("--database-wait must not be negative")
	}
	return nil
}

// Base are the settings of every program.
type Base struct {
	Config     File     `help:"Read settings from this YAML file." placeholder:"FILE"`
	Data       string   `help:"Folder for embedded databases and keys." default:".data" placeholder:"DIR"`
	Production bool     `help:"Refuse what is only good for trying out, such as the embedded issuer."`
	Log        Log      `embed:"" prefix:"log-" group:"log"`
	Auth       Auth     `embed:"" prefix:"auth-" group:"auth"`
	TLS        TLS      `embed:"" prefix:"tls-" group:"tls"`
	Shutdown   Shutdown `embed:"" prefix:"shutdown-" group:"shutdown"`
	Patience   Patience `embed:""`
}

// Check looks at the settings that depend on one another.
func (b Base) Check() error {
	if b.Production && b.Auth.Issuer == "" {
		return errors.New("--production needs --auth-issuer: the embedded issuer is for trying out only")
	}
	return nil
}

// Check looks at the settings that depend on one another.
func (s Service) Check() error {
	if s.Production && s.Auth.KeyFile == "" && s.Auth.ServiceTokenFile == "" {
		return errors.New("--production needs --auth-key-file, the key that all services share for their own identity, or --auth-service-token-file")
	}
	return nil
}

// Log says how to log.
type Log struct {
	Level  string `help:"Least level to log: ${enum}." enum:"debug,info,warn,error" default:"info"`
	Format string `help:"Form of the log: ${enum}; auto is text on a terminal." enum:"auto,text,json" default:"auto"`
}

// Auth says whose tokens to accept, and which identity to call others with.
type Auth struct {
	Issuer     string            `help:"URL of the OpenID Connect issuer of people's tokens; empty is the embedded issuer." placeholder:"URL"`
	Audience   []string          `help:"Audiences of which tokens must name one; our own tokens name the first." default:"tasuki"`
	CA         string            `name:"ca" help:"PEM file of the authorities that the issuer's certificate must be of; empty is the system's." placeholder:"FILE"`
	RolesClaim []string          `help:"Claims with roles or groups, by path, for instance realm_access.roles." default:"roles" placeholder:"PATH"`
	RoleMap    map[string]string `help:"Roles by value of those claims, for instance 'sales-leads=field-sales,viewer;ops=admin'. Other values grant nothing. Empty: the values are names of roles." placeholder:"VALUE=ROLE,…;…"`
	UserClaim  string            `help:"Claim with the id of the person. It is written to histories and logs: take one that is no personal data." default:"sub" placeholder:"PATH"`
	NameClaim  string            `help:"Claim with the name to show." default:"name" placeholder:"PATH"`

	KeyFile          string     `help:"Ed25519 key with which services sign their identity; empty is issuer.key in the data folder." placeholder:"FILE"`
	MachineKeyFile   string     `help:"Ed25519 key with which the gateway signs what API keys stand for; the public half is enough for departments." placeholder:"FILE"`
	ServiceTokenFile string     `help:"File with this service's own token, which somebody else renews, for instance a projected service-account token; empty signs with --auth-key-file." placeholder:"FILE"`
	Kubernetes       Kubernetes `embed:"" prefix:"kubernetes-"`
}

// Kubernetes says which service accounts of the cluster are which departments.
type Kubernetes struct {
	Accounts  map[string]string `help:"Departments by service account, for instance 'tasuki/marketing=marketing;tasuki/field-sales=field-sales'. Empty trusts no cluster." placeholder:"NAMESPACE/NAME=DEPARTMENT;…"`
	Issuer    string            `help:"Issuer of the cluster's service-account tokens; empty is the one of --auth-service-token-file." placeholder:"URL"`
	KeysURL   string            `name:"keys-url" help:"Where the cluster shows its keys; empty is discovery below the issuer." default:"https://kubernetes.default.svc/openid/v1/jwks" placeholder:"URL"`
	CA        string            `name:"ca" help:"PEM file of the cluster's authority; empty is the system's." default:"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt" placeholder:"FILE"`
	TokenFile string            `help:"Token to fetch the keys with; empty sends none." default:"/var/run/secrets/kubernetes.io/serviceaccount/token" placeholder:"FILE"`
}

// Check looks at the form.
func (k Kubernetes) Check() error {
	for account, department := range k.Accounts {
		if strings.Count(account, "/") != 1 {
			return fmt.Errorf("--auth-kubernetes-accounts: %q is no service account: write namespace/name", account)
		}
		if _, err := access.ParseDepartment(department); err != nil {
			return fmt.Errorf("--auth-kubernetes-accounts: %w", err)
		}
	}
	return nil
}

// Check looks at the form.
func (a Auth) Check() error {
	if len(a.Audience) == 0 || slices.Contains(a.Audience, "") {
		return errors.New("--auth-audience is empty")
	}
	for _, roles := range a.RoleMap {
		if _, err := parseRoles(roles); err != nil {
			return err
		}
	}
	if len(a.Kubernetes.Accounts) > 0 && a.Kubernetes.Issuer == "" && a.ServiceTokenFile == "" {
		return errors.New("--auth-kubernetes-accounts needs --auth-kubernetes-issuer or --auth-service-token-file")
	}
	if a.Issuer == "" {
		return nil
	}
	u, err := url.Parse(a.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("--auth-issuer %q is no URL: write https://…", a.Issuer)
	}
	return nil
}

// Shutdown says how long to wait when stopping.
type Shutdown struct {
	Drain   time.Duration `help:"Wait between telling health checks and taking no more calls." default:"0s"`
	Timeout time.Duration `help:"Longest wait for each part of the program to stop." default:"10s"`
}

// Check looks at the range.
func (s Shutdown) Check() error {
	if s.Drain < 0 || s.Timeout <= 0 {
		return errors.New("--shutdown-drain must not be negative, and --shutdown-timeout must be positive")
	}
	return nil
}

// Peers are the gRPC addresses of the other departments; an empty one is not there.
type Peers struct {
	Marketing       string `help:"gRPC address of marketing." placeholder:"HOST:PORT"`
	InsideSales     string `help:"gRPC address of inside sales." placeholder:"HOST:PORT"`
	FieldSales      string `help:"gRPC address of field sales." placeholder:"HOST:PORT"`
	CustomerSuccess string `help:"gRPC address of customer success." placeholder:"HOST:PORT"`
	Insights        string `help:"gRPC address of insights." placeholder:"HOST:PORT"`
}

// Target is the address of a department; ok is false when it is not set.
func (p Peers) Target(d access.Department) (target string, ok bool) {
	switch d {
	case access.Marketing:
		target = p.Marketing
	case access.InsideSales:
		target = p.InsideSales
	case access.FieldSales:
		target = p.FieldSales
	case access.CustomerSuccess:
		target = p.CustomerSuccess
	case access.Insights:
		target = p.Insights
	}
	return target, target != ""
}
