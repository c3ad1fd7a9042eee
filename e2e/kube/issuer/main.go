// Command issuer is an OpenID Connect issuer for tests on a cluster: the example provider of github.com/zitadel/oidc, with its login
// page and the authorization code flow, where everybody may sign in who knows the one password. Besides, access tokens are signed ones
// that say the groups of a person, and POST /rotate makes a new key: the ones before stay published, as issuers do for a while.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// idPrefix makes the id of a person, which is the subject of tokens, another text than the name.
const idPrefix = "person-"

func main() {
	issuer := flag.String("issuer", "", "URL of the issuer")
	listen := flag.String("listen", ":8443", "address to listen on")
	cert := flag.String("cert", "", "certificate file")
	key := flag.String("key", "", "key file of the certificate")
	secret := flag.String("secret", "", "everybody's password, and every client's secret")
	redirect := flag.String("redirect", "", "where clients have people sent back to")
	clients := flag.String("clients", "", "ids of the clients, by comma: each is the audience of its tokens")
	flag.Parse()

	for id := range strings.SplitSeq(*clients, ",") {
		storage.RegisterClients(storage.WebClient(id, *secret, *redirect))
	}
	p := &provider{Storage: storage.NewStorage(people{*secret})}
	if _, err := p.rotate(); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, _ *http.Request) {
		id, err := p.rotate()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprint(w, id) // who asked has gone
	})
	mux.Handle("/", exampleop.SetupServer(*issuer, p, slog.Default(), false))
	server := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServeTLS(*cert, *key))
}

// people are everybody: a name is all that it takes.
type people struct{ password string }

func (p people) GetUserByUsername(name string) *storage.User {
	return &storage.User{ID: idPrefix + name, Username: name, Password: p.password, FirstName: name}
}

func (p people) GetUserByID(id string) *storage.User {
	return p.GetUserByUsername(strings.TrimPrefix(id, idPrefix))
}

func (people) ExampleClientID() string { return "" }

// provider has keys of its own, newest first.
type provider struct {
	*storage.Storage

	mu   sync.Mutex
	keys []signingKey
}

func (p *provider) rotate() (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = slices.Insert(p.keys, 0, signingKey{uuid.NewString(), key})
	return p.keys[0].id, nil
}

func (p *provider) SigningKey(context.Context) (op.SigningKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[0], nil
}

func (p *provider) KeySet(context.Context) ([]op.Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []op.Key
	for _, k := range p.keys {
		all = append(all, publicKey{k})
	}
	return all, nil
}

// GetPrivateClaimsFromScopes puts the groups of a person into access tokens: one, of the person's name.
func (p *provider) GetPrivateClaimsFromScopes(_ context.Context, user, _ string, _ []string) (map[string]any, error) {
	return map[string]any{"realm": map[string]any{"groups": []string{"everybody", "acme-" + strings.TrimPrefix(user, idPrefix)}}}, nil
}

func (p *provider) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := p.Storage.GetClientByClientID(ctx, id)
	return signedTokens{client}, err
}

// signedTokens are a client's access tokens.
type signedTokens struct{ op.Client }

func (signedTokens) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

type signingKey struct {
	id  string
	key *rsa.PrivateKey
}

func (k signingKey) ID() string                                  { return k.id }
func (k signingKey) Key() any                                    { return k.key }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

type publicKey struct{ signingKey }

func (k publicKey) Key() any                           { return &k.key.PublicKey }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return "sig" }
