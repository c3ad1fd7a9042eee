package config

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/access/accesstest"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

type grammar struct {
	Serve   serve    `cmd:"" help:"Serve."`
	Version struct{} `cmd:"" help:"Version."`
}

type serve struct {
	Service
	Token Secret        `help:"A secret."`
	Every time.Duration `default:"1m" help:"A time."`
}

func parse(t *testing.T, args ...string) (grammar, *kong.Context, error) {
	t.Helper()
	var g grammar
	ctx, err := Parse(&g, args, kong.Vars{"listen": "127.0.0.1:9101"}, kong.Writers(io.Discard, io.Discard),
		kong.Exit(func(int) { t.Error("exits") }))
	return g, ctx, err
}

func yamlFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tasuki.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	g, _, err := parse(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	if s := g.Serve; s.Listen != "127.0.0.1:9101" || s.Database(access.InsideSales) != "sqlite:.data/inside-sales.db" ||
		!slices.Equal(s.Auth.Audience, []string{"tasuki"}) || s.Log.Level != "info" || s.Shutdown.Timeout != 10*time.Second || s.Patience.Database != time.Minute {
		t.Errorf("%+v", s)
	}
	if _, ok := g.Serve.Peers.Target(access.Marketing); ok {
		t.Error("a peer from nowhere")
	}
}

func TestPrecedence(t *testing.T) {
	path := yamlFile(t, `
listen: 127.0.0.1:1
dsn: postgres://file@h/db
every: 5m
production: false
log: {level: debug, format: json}
auth:
  audience: [from-file, too]
  role-map: {sales leads: "field-sales,viewer"}
database: {wait: 7s}
peer:
  inside-sales: file:9
  field_sales: file:8
shutdown-drain: 2s
`)
	t.Setenv("TASUKI_DSN", "postgres://env@h/db")
	t.Setenv("TASUKI_LOG_LEVEL", "warn")
	t.Setenv("TASUKI_PEER_FIELD_SALES", "env:8")
	for _, how := range []string{"flag", "env"} {
		t.Run(how, func(t *testing.T) {
			args := []string{"serve", "--log-level", "error"}
			if how == "env" {
				t.Setenv("TASUKI_CONFIG", path)
			} else {
				args = append(args, "--config", path)
			}
			g, _, err := parse(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			s := g.Serve
			got := strings.TrimSpace(fmt.Sprintln(s.Listen, string(s.DSN), s.Every, s.Log, s.Auth.Audience, s.Auth.RoleMap, s.Peers.InsideSales, s.Peers.FieldSales, s.Shutdown.Drain, s.Patience.Database))
			want := "127.0.0.1:1 postgres://env@h/db 5m0s {error json} [from-file too] map[sales leads:field-sales,viewer] file:9 env:8 2s 7s"
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestMistakesAreAllNamed(t *testing.T) {
	_, _, err := parse(t, "serve", "--listen", "8080", "--dsn", "mysql://x", "--auth-issuer", "keycloak", "--shutdown-timeout", "0s", "--database-wait=-1s", "--production")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"--listen:", "--dsn: write sqlite:PATH", "--auth-issuer \"keycloak\"", "--shutdown-timeout", "--database-wait", "--production needs --auth-key-file"} {
		if strings.Count(err.Error(), want) != 1 {
			t.Errorf("%q once in:\n%v", want, err)
		}
	}
	for name, args := range map[string][]string{
		"unknown flag":    {"serve", "--colour"},
		"unknown level":   {"serve", "--log-level", "loud"},
		"no such file":    {"serve", "--config", "/nowhere.yaml"},
		"no YAML":         {"serve", "--config", yamlFile(t, "a: [")},
		"unknown setting": {"serve", "--config", yamlFile(t, "auth: {isuer: x}")},
		"wrong type":      {"serve", "--config", yamlFile(t, "every: soon")},
		"embedded issuer": {"serve", "--production"},
		"unknown role":    {"serve", "--auth-role-map", "ops=root"},
		"role SERVICE":    {"serve", "--auth-role-map", "ops=service"},
		"no audience":     {"serve", "--auth-audience", ""},
		"no account":      {"serve", "--auth-kubernetes-accounts", "marketing=marketing", "--auth-kubernetes-issuer", "https://k"},
		"no department":   {"serve", "--auth-kubernetes-accounts", "a/b=sales", "--auth-kubernetes-issuer", "https://k"},
		"no cluster":      {"serve", "--auth-kubernetes-accounts", "a/b=marketing"},
		"half a key pair": {"serve", "--tls-cert", "x"},
	} {
		if _, _, err := parse(t, args...); err == nil {
			t.Errorf("%s is accepted", name)
		} else if name == "unknown setting" && !strings.Contains(err.Error(), `unknown setting "auth-isuer"`) {
			t.Errorf("%v", err)
		} else if name == "no such file" && !strings.Contains(err.Error(), "/nowhere.yaml: no such file") {
			t.Errorf("%v", err)
		}
	}
	if _, _, err := parse(t, "version"); err != nil {
		t.Errorf("settings of another command: %v", err)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	g, ctx, err := parse(t, "serve", "--dsn", "postgres://tasuki:hunter2@h/db?password=hunter2", "--token", "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Print(&out, ctx); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(g.Serve)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{out.String(), string(asJSON), fmt.Sprintf("%v %+v %#v", g.Serve, g.Serve, g.Serve)} {
		if strings.Contains(s, "hunter2") || !strings.Contains(s, "tasuki:xxxxx@h") {
			t.Errorf("%s", s)
		}
	}
	if !strings.Contains(out.String(), "TASUKI_DSN") || !strings.Contains(out.String(), "TASUKI_PEER_INSIDE_SALES") {
		t.Errorf("%s", out.String())
	}
	if string(g.Serve.DSN) != "postgres://tasuki:hunter2@h/db?password=hunter2" || string(g.Serve.Token) != "hunter2" {
		t.Error("the program sees the mask")
	}
}

func identity(t *testing.T, b Base) (*Identity, *bytes.Buffer, error) {
	t.Helper()
	var log bytes.Buffer
	id, err := b.Identity(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
	return id, &log, err
}

func TestIdentity(t *testing.T) {
	b := Base{Data: t.TempDir(), Auth: Auth{Audience: []string{"tasuki"}}}
	id, _, err := identity(t, b)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := id.Issuer.Token("sato", "", []access.Role{access.RoleAdmin}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := id.Verifier.Verify(t.Context(), raw); err != nil || !a.Has(access.RoleAdmin) {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := os.Stat(filepath.Join(b.Data, "issuer.key")); err != nil {
		t.Error(err)
	}
}

// TestStartWithoutTheIssuer: an issuer that is away is told of, and does not keep anything from starting.
func TestStartWithoutTheIssuer(t *testing.T) {
	b := Base{Data: t.TempDir(), Auth: Auth{Audience: []string{"tasuki"}, Issuer: "http://127.0.0.1:1/none"}}
	id, log, err := identity(t, b)
	if err != nil || !strings.Contains(log.String(), b.Auth.Issuer) {
		t.Fatalf("%v\n%s", err, log)
	}
	// The embedded issuer is out: what its key signs says which service it is, and no more.
	person, err := access.OpenIssuer(access.EmbeddedIssuer, filepath.Join(b.Data, KeyFileName))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := person.Token("sato", "", []access.Role{access.RoleAdmin}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := id.Verifier.Verify(t.Context(), raw); !problem.Is(err, problem.ReasonTokenInvalid) {
		t.Errorf("an embedded token beside an OpenID Connect issuer: %+v %v", a, err)
	}
	as, err := id.Service(access.Marketing)
	if err != nil {
		t.Fatal(err)
	}
	md, err := as.GetRequestMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a, err := id.Verifier.Verify(t.Context(), strings.TrimPrefix(md["authorization"], "Bearer ")); err != nil || a.ID != "service:marketing" {
		t.Errorf("%+v %v", a, err)
	}
}

// TestKeysInProduction: nothing is made up in production: no key of one's own, and no API keys without theirs.
func TestKeysInProduction(t *testing.T) {
	dir := t.TempDir()
	b := Base{Data: filepath.Join(dir, "none"), Production: true, Auth: Auth{Audience: []string{"tasuki"}, Issuer: "http://127.0.0.1:1"}}
	id, _, err := identity(t, b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(b.Data); err == nil {
		t.Error("a key was made")
	}
	if _, err := id.Service(access.Marketing); err == nil {
		t.Error("an identity from nowhere")
	}
	if _, err := id.Machines(); err == nil {
		t.Error("API keys without a key")
	}
	b.Auth.MachineKeyFile = filepath.Join(dir, "machine.key")
	if _, _, err := identity(t, b); err == nil || !strings.Contains(err.Error(), "--auth-machine-key-file") {
		t.Errorf("a department without the key of machines: %v", err)
	}
	machines, err := access.OpenIssuer(access.MachineIssuer, b.Auth.MachineKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(machines.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	b.Auth.MachineKeyFile = filepath.Join(dir, "machine.pub")
	if err := os.WriteFile(b.Auth.MachineKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, _, err = identity(t, b); err != nil {
		t.Fatal(err)
	}
	raw, err := machines.Machine(access.Actor{
		ID: "api-key:1", Roles: []access.Role{access.RoleViewer, access.RoleService}, ReadOnly: true,
		Departments: []access.Department{access.Marketing},
	}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	a, err := id.Verifier.Verify(t.Context(), raw)
	if err != nil || a.Kind != access.KindService || !a.ReadOnly || len(a.Departments) != 1 || len(a.Roles) != 1 {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := id.Machines(); err == nil {
		t.Error("signs with a public key")
	}
}

// TestServiceAccounts: projected tokens of a cluster, its issuer read from our own.
func TestServiceAccounts(t *testing.T) {
	dir := t.TempDir()
	issuer := accesstest.NewCluster(t)
	own := filepath.Join(dir, "token")
	if err := os.WriteFile(own, []byte(issuer.Token(t, "tasuki", "marketing", "tasuki")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := Base{Production: true, Auth: Auth{Audience: []string{"tasuki"}, Issuer: "http://127.0.0.1:1", ServiceTokenFile: own, Kubernetes: Kubernetes{
		Accounts: map[string]string{"tasuki/marketing": "marketing"}, KeysURL: issuer.URL + "/openid/v1/jwks", TokenFile: own,
	}}}
	id, _, err := identity(t, b)
	if err != nil {
		t.Fatal(err)
	}
	as, err := id.Service(access.Marketing)
	if err != nil {
		t.Fatal(err)
	}
	md, err := as.GetRequestMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a, err := id.Verifier.Verify(t.Context(), strings.TrimPrefix(md["authorization"], "Bearer ")); err != nil || a.ID != "service:marketing" || !a.Has(access.RoleService) {
		t.Errorf("%+v %v", a, err)
	}
}
