package kube

import (
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// people of a company work with tokens of its issuer, which starts only now. What they may do comes from their groups.
func (c *cluster) people(i *issuer) {
	embedded := c.house.Token("marketing")
	i.start()
	everybody := []string{"marketing", "inside-sales", "field-sales", "customer-success", "viewer"}
	old := map[string]string{}
	for _, role := range everybody {
		old[role] = i.login("tasuki", role)
		c.house.Know(role, old[role])
	}
	r := scenario.NewRelay(c.t, c.house)
	c.accepted(r)
	c.relay()

	capture := func(token string) (*marketingv1.Lead, error) {
		var lead marketingv1.Lead
		as := rest.Client{URL: r.Marketing.URL, Token: token}
		err := as.Call(c.t.Context(), http.MethodPost, "/v1/leads", r.CaptureRequest("tokens", "demo_request"), &lead)
		return &lead, err
	}
	for who, denied := range map[string]struct {
		token string
		code  codes.Code
	}{
		"a token for another application":   {i.login("elsewhere", "marketing"), codes.Unauthenticated},
		"a token of the embedded issuer":    {embedded, codes.Unauthenticated},
		"somebody of a group without roles": {i.login("tasuki", "canteen"), codes.PermissionDenied},
		"somebody who may only look":        {old["viewer"], codes.PermissionDenied},
		"somebody of another department":    {old["inside-sales"], codes.PermissionDenied},
	} {
		if _, err := capture(denied.token); status.Code(err) != denied.code {
			c.t.Errorf("%s: %s, want %s", who, rest.Explain(err), denied.code)
		}
	}
	lead, err := capture(old["marketing"])
	if err != nil {
		c.t.Fatal(rest.Explain(err))
	}
	var history marketingv1.ListLeadTransitionsResponse
	r.Marketing.Must(c.t, http.MethodGet, "/v1/leads/"+lead.GetId()+"/transitions", nil, &history)
	if got := history.GetTransitions()[0].GetActor(); got.GetId() != "person-marketing" {
		c.t.Errorf("the lead was captured by %v, want person-marketing", got)
	}

	// Tokens of the old key are good until they end. A new key is found with its first token, unless keys were fetched in the last five
	// seconds.
	l := scenario.StartLoad(c.t, c.house, false)
	l.More()
	key := i.rotate()
	for _, role := range everybody {
		token := i.login("tasuki", role)
		if keyOf(token) != key || keyOf(old[role]) == key {
			c.t.Fatalf("the key of %s is %s, and was %s; the new one is %s", role, keyOf(token), keyOf(old[role]), key)
		}
		c.house.Know(role, token)
	}
	began := time.Now()
	c.accepted(scenario.NewRelay(c.t, c.house))
	c.t.Logf("the new key is known everywhere after %v", time.Since(began).Round(time.Millisecond))
	c.play("rotated")
	l.More()
	l.End("rotation of the issuer's keys")
}

// accepted waits until the gateway and every department take the tokens of the people of a relay.
func (c *cluster) accepted(r *scenario.Relay) {
	c.t.Helper()
	house.Await(c.t, "gateway and departments know the issuer's key", func() error {
		for _, desk := range []rest.Client{r.Marketing, r.Inside, r.Field, r.Success} {
			if err := desk.Call(c.t.Context(), http.MethodGet, "/v1/handoffs?pageSize=1", nil, &handoffv1.ListHandoffsResponse{}); err != nil {
				return fmt.Errorf("%s: %s", desk.URL, rest.Explain(err))
			}
		}
		return nil
	})
}
