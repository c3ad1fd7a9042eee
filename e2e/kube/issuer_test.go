package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
)

const (
	issuerPort = "8443"
	appURL     = "https://app.example/callback" // where people would be sent back to
)

// issuerImage is what `make e2e-issuer` builds.
func issuerImage() string {
	return version{tag: setting("TASUKI_IMAGE_TAG", "dev")}.image("e2e-issuer")
}

// issuer is an OpenID Connect issuer in the cluster: the program in ./issuer.
type issuer struct {
	c      *cluster
	url    string
	secret string
	client *http.Client
	roots  *x509.CertPool
}

// newIssuer prepares what the issuer and its readers need; it does not run yet.
func (c *cluster) newIssuer(a *authority) *issuer {
	c.t.Helper()
	host := "issuer." + c.namespace + ".svc"
	i := &issuer{c: c, url: "https://" + host + ":" + issuerPort, secret: uuid.NewString(), roots: x509.NewCertPool()}
	i.roots.AppendCertsFromPEM(a.chain)
	c.bring(issuerImage())
	a.secret("issuer-tls", host)
	c.keep("configmap issuer-authority", map[string][]byte{"ca.crt": a.chain})
	return i
}

// settings are the chart's: groups of the company become roles.
func (i *issuer) settings() []string {
	set := []string{
		"auth.issuer=" + i.url, "auth.caConfigMap=issuer-authority", "networkPolicy.issuer.port=" + issuerPort,
		"auth.rolesClaim={realm.groups}", "auth.nameClaim=preferred_username",
	}
	for _, role := range []string{"marketing", "inside-sales", "field-sales", "customer-success", "viewer"} {
		set = append(set, "auth.roleMap.acme-"+role+"={"+role+"}")
	}
	return set
}

// start brings the issuer up, and a door to it from here.
func (i *issuer) start() {
	i.c.t.Helper()
	i.c.keep("secret generic issuer-secret", map[string][]byte{"secret": []byte(i.secret)})
	manifest := strings.NewReplacer("IMAGE", issuerImage(), "URL", i.url, "APP", appURL, "PORT", issuerPort).Replace(`
apiVersion: v1
kind: Service
metadata: {name: issuer}
spec: {type: NodePort, selector: {app: issuer}, ports: [{port: PORT, targetPort: PORT}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: issuer}
spec:
  selector: {matchLabels: {app: issuer}}
  template:
    metadata: {labels: {app: issuer}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: issuer
          image: IMAGE
          args: [-issuer=URL, -listen=:PORT, -cert=/tls/tls.crt, -key=/tls/tls.key, "-clients=tasuki,elsewhere", -redirect=APP, -secret=$(SECRET)]
          env: [{name: SECRET, valueFrom: {secretKeyRef: {name: issuer-secret, key: secret}}}]
          readinessProbe: {httpGet: {path: /healthz, port: PORT, scheme: HTTPS}, periodSeconds: 1}
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: tls, mountPath: /tls, readOnly: true}]
      volumes: [{name: tls, secret: {secretName: issuer-tls, defaultMode: 0440}}]
`)
	i.c.apply(manifest)
	i.c.kubectl("rollout", "status", "deployment/issuer", "--timeout=2m")
	door := setting("TASUKI_KUBE_HOST", "127.0.0.1") + ":" + i.c.kubectl("get", "service", "issuer", "--output=jsonpath={.spec.ports[0].nodePort}")
	i.client = &http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: i.roots, MinVersion: tls.VersionTLS13},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) { // its name is known in the cluster only
				return (&net.Dialer{}).DialContext(ctx, network, door)
			},
		},
		CheckRedirect: func(req *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(req.URL.String(), appURL) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	house.Await(i.c.t, "the door to the issuer is open", func() error {
		req, err := http.NewRequestWithContext(i.c.t.Context(), http.MethodGet, i.url+"/.well-known/openid-configuration", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := i.client.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	})
}

// login signs somebody in as a browser and an application do, and returns the access token.
func (i *issuer) login(client, person string) string {
	t := i.c.t
	t.Helper()
	app := oauth2.Config{
		ClientID: client, ClientSecret: i.secret, RedirectURL: appURL, Scopes: []string{"openid", "profile"},
		Endpoint: oauth2.Endpoint{AuthURL: i.url + "/auth", TokenURL: i.url + "/oauth/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	browser := *i.client
	var err error
	if browser.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	state, verifier := uuid.NewString(), oauth2.GenerateVerifier()
	page := i.visit(&browser, app.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), nil)
	form := url.Values{"id": {page.Query().Get("authRequestID")}, "username": {person}, "password": {i.secret}}
	back := i.visit(&browser, page.String(), form)
	if got := back.Query(); got.Get("code") == "" || got.Get("state") != state {
		t.Fatalf("%s is not signed in, but sent to %s", person, back)
	}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, i.client)
	token, err := app.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// visit opens a page or sends a form, and says where that led to.
func (i *issuer) visit(browser *http.Client, address string, form url.Values) *url.URL {
	i.c.t.Helper()
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(i.c.t.Context(), method, address, body)
	if err != nil {
		i.c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := browser.Do(req)
	if err != nil {
		i.c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only the way counts
	if resp.StatusCode >= http.StatusBadRequest {
		i.c.t.Fatalf("%s: %s", address, resp.Status)
	}
	if to, err := resp.Location(); err == nil {
		return to
	}
	return resp.Request.URL
}

// rotate makes a new key, and returns its id.
func (i *issuer) rotate() string {
	i.c.t.Helper()
	req, err := http.NewRequestWithContext(i.c.t.Context(), http.MethodPost, i.url+"/rotate", http.NoBody)
	if err != nil {
		i.c.t.Fatal(err)
	}
	resp, err := i.client.Do(req)
	if err != nil {
		i.c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	id, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		i.c.t.Fatalf("rotate: %s %s %v", resp.Status, id, err)
	}
	return string(id)
}

// keyOf is the id of the key that a token was signed with.
func keyOf(token string) string {
	var header struct {
		KeyID string `json:"kid"`
	}
	head, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil || json.Unmarshal(text, &header) != nil {
		return ""
	}
	return header.KeyID
}
