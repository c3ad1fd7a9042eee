package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
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

// Base are the settings of every program.
type Base struct {
	Config     File     `help:"Read settings from this YAML file." placeholder:"FILE"`
	Data       string   `help:"Folder for embedded databases and keys." default:".data" placeholder:"DIR"`
	Production bool     `help:"Refuse what is only good for trying out, such as the embedded issuer."`
	Log        Log      `embed:"" prefix:"log-" group:"log"`
	Auth       Auth     `embed:"" prefix:"auth-" group:"auth"`
	Shutdown   Shutdown `embed:"" prefix:"shutdown-" group:"shutdown"`
}

// Check looks at the settings that depend on one another.
func (b Base) Check() error {
	if b.Production && b.Auth.Issuer == "" {
		return errors.New("--production needs --auth-issuer: the embedded issuer is for trying out only")
	}
	if b.Production && b.Auth.KeyFile == "" {
		return errors.New("--production needs --auth-key-file: the key that all services share for their own identity")
	}
	return nil
}

// Log says how to log.
type Log struct {
	Level  string `help:"Least level to log: ${enum}." enum:"debug,info,warn,error" default:"info"`
	Format string `help:"Form of the log: ${enum}; auto is text on a terminal." enum:"auto,text,json" default:"auto"`
}

// Auth says whose tokens to accept.
type Auth struct {
	Issuer   string `help:"URL of the OpenID Connect issuer of people's tokens; empty is the embedded issuer." placeholder:"URL"`
	Audience string `help:"Audience that tokens must name." default:"tasuki"`
	KeyFile  string `help:"Ed25519 key with which services sign their identity; empty is issuer.key in the data folder." placeholder:"FILE"`
}

// Check looks at the form.
func (a Auth) Check() error {
	if a.Audience == "" {
		return errors.New("--auth-audience is empty")
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
