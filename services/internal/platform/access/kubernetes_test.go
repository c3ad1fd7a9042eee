package access_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/access/accesstest"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	// As the kubelet does: a new file takes the place of the old one.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestServiceAccounts(t *testing.T) {
	cluster, foreign := accesstest.NewCluster(t), accesstest.NewCluster(t)
	own := filepath.Join(t.TempDir(), "token")
	write(t, own, cluster.Token(t, "tasuki", "marketing", "api"))
	v, err := access.NewVerifier(access.TrustKubernetes(access.Kubernetes{
		Issuer: accesstest.ClusterIssuer, KeysURL: cluster.URL + "/openid/v1/jwks",
		Accounts: map[string]access.Department{"tasuki/marketing": access.Marketing, "tasuki/fs": access.FieldSales},
		Client:   access.WithTokenFile(access.NewHTTPClient(nil), own),
	}))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw  string
		want string // of the actor; empty is refused
	}{
		"marketing":        {cluster.Token(t, "tasuki", "marketing", "tasuki"), "service:marketing"},
		"field sales":      {cluster.Token(t, "tasuki", "fs", "tasuki"), "service:field-sales"},
		"foreign audience": {cluster.Token(t, "tasuki", "marketing", "api"), ""},
		"other namespace":  {cluster.Token(t, "default", "marketing", "tasuki"), ""},
		"other account":    {cluster.Token(t, "tasuki", "default", "tasuki"), ""},
		"foreign cluster":  {foreign.Token(t, "tasuki", "marketing", "tasuki"), ""},
	} {
		a, err := v.Verify(t.Context(), c.raw)
		if c.want == "" {
			if !problem.Is(err, problem.ReasonTokenInvalid) {
				t.Errorf("%s: %+v %v", name, a, err)
			}
			continue
		}
		if err != nil || a.ID != c.want || a.Kind != access.KindService || !slices.Equal(a.Roles, []access.Role{access.RoleService}) {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
}

func TestTokenFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	clock := testkit.NewClock(time.Now())
	f := access.NewTokenFile(path, clock.Now)
	get := func() string {
		t.Helper()
		md, err := f.GetRequestMetadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return md["authorization"]
	}
	if _, err := f.GetRequestMetadata(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("without a file: %v", err)
	}
	write(t, path, "first\n")
	if get() != "Bearer first" {
		t.Errorf("%q", get())
	}
	write(t, path, "second\n")
	clock.Advance(10 * time.Second)
	if get() != "Bearer second" {
		t.Errorf("after the rotation: %q", get())
	}
	write(t, path, "\n")
	clock.Advance(10 * time.Second)
	if _, err := f.GetRequestMetadata(t.Context()); err == nil {
		t.Error("an empty token")
	}
}
