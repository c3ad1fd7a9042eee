package containers

import (
	"net/http"
	"testing"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	accessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/access/v1"
	gatewayv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/gateway/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// playKeys makes an API key, calls with it, restarts the gateway under it, and revokes it.
func playKeys(t *testing.T, c *compose, url, admin string) {
	keeper := rest.Client{URL: url + "/gateway", Token: admin}
	var made gatewayv1.CreateApiKeyResponse
	keeper.Must(t, http.MethodPost, "/v1/api-keys", &gatewayv1.CreateApiKeyRequest{
		DisplayName: "nightly report", Roles: []accessv1.Role{accessv1.Role_ROLE_VIEWER}, Departments: []string{"marketing"}, ReadOnly: true,
	}, &made)
	machine := rest.Client{URL: url + "/marketing", Token: made.GetKey()}
	machine.Must(t, http.MethodGet, "/v1/leads", nil, &marketingv1.ListLeadsResponse{})
	elsewhere := rest.Client{URL: url + "/field-sales", Token: made.GetKey()}
	if err := elsewhere.Call(t.Context(), http.MethodGet, "/v1/accounts", nil, &marketingv1.ListLeadsResponse{}); rest.Reason(err) != "KEY_LIMITED" {
		t.Errorf("a key for marketing at field sales: %s", rest.Explain(err))
	}

	c.must("restart", "gateway")
	house.AwaitReady(t, url)
	machine.Must(t, http.MethodGet, "/v1/leads", nil, &marketingv1.ListLeadsResponse{})

	keeper.Must(t, http.MethodPost, "/v1/api-keys/"+made.GetApiKey().GetId()+":revoke", &gatewayv1.RevokeApiKeyRequest{}, &gatewayv1.ApiKey{})
	err := machine.Call(t.Context(), http.MethodGet, "/v1/leads", nil, &marketingv1.ListLeadsResponse{})
	if rest.Reason(err) != "TOKEN_INVALID" {
		t.Errorf("a revoked key: %s", rest.Explain(err))
	}
}
