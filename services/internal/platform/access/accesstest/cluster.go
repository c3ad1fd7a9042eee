// Package accesstest plays the issuers that programs trust, for tests.
package accesstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Cluster signs service-account tokens and shows its keys to holders of one, as a Kubernetes API server does.
type Cluster struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

// ClusterIssuer is the `iss` of the tokens: a name that is no address here, as in most clusters.
const ClusterIssuer = "https://kubernetes.default.svc.cluster.local"

// NewCluster starts a cluster; it ends with the test.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{key: key}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openid/v1/jwks" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "c1", Algorithm: "ES256", Use: "sig"}}})
	}))
	t.Cleanup(c.Close)
	return c
}

// Token is a projected token of a service account for an audience, good for ten minutes.
func (c *Cluster) Token(t testing.TB, namespace, account, audience string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: c.key, KeyID: "c1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": ClusterIssuer, "sub": "system:serviceaccount:" + namespace + ":" + account, "aud": []string{audience},
		"exp": time.Now().Add(10 * time.Minute).Unix(), "nbf": time.Now().Add(-time.Second).Unix(),
		"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]string{"name": account}},
		// A cluster does not write roles; if one did, they would count for nothing.
		"roles": []string{"ADMIN"},
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
