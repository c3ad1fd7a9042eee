package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/proto/gen"
	accessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/access/v1"
	_ "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	_ "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	_ "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	_ "github.com/tasuki-project/tasuki/proto/gen/tasuki/gateway/v1"
	_ "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	_ "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	_ "github.com/tasuki-project/tasuki/proto/gen/tasuki/jobs/v1"
	_ "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// servers are what serves RPCs: departments by name, package and role, and the gateway with its own service.
var servers = []struct {
	name, program, pkg string
	role               accessv1.Role
}{
	{"marketing", "marketing", "tasuki.marketing.v1", accessv1.Role_ROLE_MARKETING},
	{"inside-sales", "insidesales", "tasuki.insidesales.v1", accessv1.Role_ROLE_INSIDE_SALES},
	{"field-sales", "fieldsales", "tasuki.fieldsales.v1", accessv1.Role_ROLE_FIELD_SALES},
	{"customer-success", "customersuccess", "tasuki.customersuccess.v1", accessv1.Role_ROLE_CUSTOMER_SUCCESS},
	{"gateway", "gateway", "tasuki.gateway.v1", accessv1.Role_ROLE_UNSPECIFIED},
}

// apart are the programs on SQLite: every department and the gateway with API keys.
type apart struct {
	data, url string
	grpc      map[string]string
}

func runApart(t *testing.T, gatewayFlags ...string) *apart {
	t.Helper()
	bin := house.BinDir(t)
	a := &apart{data: t.TempDir(), grpc: map[string]string{}}
	var peers []string
	for _, s := range servers[:4] {
		a.grpc[s.name] = house.FreeAddress(t)
		peers = append(peers, "--peer-"+s.name+"="+a.grpc[s.name])
	}
	for _, s := range servers[:4] {
		house.Start(t, filepath.Join(bin, s.program), "--data", a.data, "--listen", a.grpc[s.name])
	}
	address := house.FreeAddress(t)
	a.url = "http://" + address
	flags := append([]string{"--data", a.data, "--listen", address, "--api-keys-dsn", "sqlite:" + filepath.Join(a.data, "gateway.db")}, peers...)
	house.Start(t, filepath.Join(bin, "gateway"), append(flags, gatewayFlags...)...)
	house.AwaitReady(t, a.url)
	return a
}

// caller is somebody with a token, and what the contract must answer whatever the method is (unless it is public).
type caller struct {
	name, token string
	role        accessv1.Role
	refused     string
}

func callers(t *testing.T, data string) []caller {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "issuer.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := parsed.(ed25519.PrivateKey)
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	all := []caller{{name: "nobody", refused: "TOKEN_MISSING"}}
	for n, name := range accessv1.Role_name {
		if n == 0 {
			continue
		}
		role := strings.TrimPrefix(name, "ROLE_")
		subject := "somebody"
		if role == "SERVICE" {
			subject = "service:insights"
		}
		all = append(all, caller{name: role, role: accessv1.Role(n), token: jwt(t, key, map[string]any{"sub": subject, "roles": []string{role}})})
	}
	admin := map[string]any{"roles": []string{"ADMIN", "SERVICE"}}
	with := func(name string, value any) map[string]any {
		return map[string]any{"roles": admin["roles"], name: value}
	}
	good := jwt(t, key, admin)
	payload := strings.Split(good, ".")[1]
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + "."
	return append(all,
		caller{name: "no role", token: jwt(t, key, map[string]any{"roles": []string{}}), refused: "ROLE_MISSING"},
		caller{name: "expired", token: jwt(t, key, with("exp", time.Now().Add(-time.Hour).Unix())), refused: "TOKEN_EXPIRED"},
		caller{name: "foreign audience", token: jwt(t, key, with("aud", "elsewhere")), refused: "TOKEN_INVALID"},
		caller{name: "foreign issuer", token: jwt(t, key, with("iss", "https://elsewhere")), refused: "TOKEN_INVALID"},
		caller{name: "wrong key", token: jwt(t, foreign, admin), refused: "TOKEN_INVALID"},
		caller{name: "none", token: none, refused: "TOKEN_INVALID"},
		caller{name: "not a token", token: "hello", refused: "TOKEN_INVALID"},
		caller{name: "no such API key", token: "tsk_0123456789abcdef_" + strings.Repeat("a", 52), refused: "TOKEN_INVALID"},
	)
}

// jwt signs a token of the embedded issuer, changed as told.
func jwt(t *testing.T, key ed25519.PrivateKey, change map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": "tasuki-embedded", "aud": "tasuki", "sub": "somebody", "exp": time.Now().Add(time.Hour).Unix()}
	for k, v := range change {
		claims[k] = v
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
}

// rpcCall is one RPC at one server.
type rpcCall struct {
	server string
	role   accessv1.Role // of the server's department
	method protoreflect.MethodDescriptor
	rule   *accessv1.Rule
}

func (c rpcCall) path() string {
	return "/" + string(c.method.Parent().FullName()) + "/" + string(c.method.Name())
}

// calls walks the descriptors: every method at every server that has it. What belongs to no server is shared by all
// departments.
func calls(t *testing.T) []rpcCall {
	t.Helper()
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(gen.Descriptors, &set); err != nil {
		t.Fatal(err)
	}
	var out []rpcCall
	for _, file := range set.GetFile() {
		own := slices.IndexFunc(servers, func(s struct {
			name, program, pkg string
			role               accessv1.Role
		},
		) bool {
			return s.pkg == file.GetPackage()
		})
		at := servers[:4]
		if own >= 0 {
			at = servers[own : own+1]
		}
		for _, service := range file.GetService() {
			name := protoreflect.FullName(file.GetPackage() + "." + service.GetName())
			d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
			if err != nil {
				t.Fatalf("%s is in the contract, but this test does not link it: %v", name, err)
			}
			methods := d.(protoreflect.ServiceDescriptor).Methods()
			if methods.Len() != len(service.GetMethod()) {
				t.Fatalf("%s: %d methods linked, %d in the contract", name, methods.Len(), len(service.GetMethod()))
			}
			for i := range methods.Len() {
				rule, _ := proto.GetExtension(methods.Get(i).Options(), accessv1.E_Rule).(*accessv1.Rule)
				for _, s := range at {
					out = append(out, rpcCall{server: s.name, role: s.role, method: methods.Get(i), rule: rule})
				}
			}
		}
	}
	return out
}

// want is the reason with which the contract refuses the caller; empty admits.
func (c rpcCall) want(by caller) string {
	if c.rule.GetAudience() == accessv1.Audience_AUDIENCE_PUBLIC {
		return ""
	}
	if by.refused != "" {
		return by.refused
	}
	admits := false
	switch c.rule.GetAudience() {
	case accessv1.Audience_AUDIENCE_STAFF:
		admits = by.role != accessv1.Role_ROLE_SERVICE
	case accessv1.Audience_AUDIENCE_ROLES:
		admits = by.role == accessv1.Role_ROLE_ADMIN || slices.Contains(c.rule.GetRoles(), by.role)
	case accessv1.Audience_AUDIENCE_DEPARTMENT:
		admits = by.role == accessv1.Role_ROLE_ADMIN || by.role == c.role
	case accessv1.Audience_AUDIENCE_SERVICE:
		admits = by.role == accessv1.Role_ROLE_SERVICE
	}
	if admits {
		return ""
	}
	return "ROLE_MISSING"
}

// isRefusal tells refusals of the caller from everything else that an admitted call may answer.
func isRefusal(reason string) bool {
	return strings.HasPrefix(reason, "TOKEN_") || reason == "ROLE_MISSING" || reason == "KEY_LIMITED"
}

// judge compares an answer with the contract.
func (c rpcCall) judge(t *testing.T, door string, by caller, err error) {
	t.Helper()
	reason, want := rest.Reason(err), c.want(by)
	code := status.Code(err)
	switch {
	case want == "" && (isRefusal(reason) || code == codes.Unauthenticated || code == codes.PermissionDenied):
		t.Errorf("%s %s at %s as %s: refused with %s (%v)", door, c.path(), c.server, by.name, reason, code)
	case want == "" && (code == codes.Internal || code == codes.Unknown):
		t.Errorf("%s %s at %s as %s: %v", door, c.path(), c.server, by.name, err)
	case want == "" && code == codes.Unimplemented && reason == "":
		t.Errorf("%s %s at %s: not served", door, c.path(), c.server)
	case want != "" && reason != want:
		t.Errorf("%s %s at %s as %s: %q (%v), the contract says %s", door, c.path(), c.server, by.name, reason, err, want)
	}
}

// TestAccessMatrix calls every RPC of the contract as every role, as a service, and with every kind of bad token: at each
// department itself, and through the gateway over gRPC and REST. The answers are derived from the contract alone.
func TestAccessMatrix(t *testing.T) {
	a := runApart(t)
	people := callers(t, a.data)
	all := calls(t)
	doors := map[string]*grpc.ClientConn{}
	dial := func(name, target string) {
		conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		doors[name] = conn
	}
	for name, address := range a.grpc {
		dial(name, address)
	}
	dial("gateway", strings.TrimPrefix(a.url, "http://"))

	var (
		wg              sync.WaitGroup
		slots           = make(chan struct{}, 16)
		direct, through int
		restCalls       int
	)
	try := func(f func()) {
		slots <- struct{}{}
		wg.Go(func() { f(); <-slots })
	}
	for _, c := range all {
		for _, by := range people {
			if conn := doors[c.server]; c.server != "gateway" {
				direct++
				try(func() { c.judge(t, "gRPC", by, invoke(conn, c.path(), c.method, by.token)) })
			}
			through++
			try(func() {
				c.judge(t, "gRPC at the gateway", by, invoke(doors["gateway"], "/"+c.server+c.path(), c.method, by.token))
			})
			for _, b := range bindings(c.method) {
				restCalls++
				try(func() { c.judge(t, "REST "+b.verb+" "+b.path, by, b.call(a.url+"/"+c.server, by.token)) })
			}
		}
	}
	wg.Wait()
	t.Logf("%d RPCs at their servers, %d callers: %d calls to departments, %d over gRPC and %d over REST at the gateway",
		len(all), len(people), direct, through, restCalls)
	if direct < 500 || through < 500 || restCalls < 500 {
		t.Error("the descriptors were not walked")
	}
}

// streamWait is how long a stream that says nothing is watched: whoever is refused hears of it before.
const streamWait = 3 * time.Second

// invoke sends an empty request. A stream that stays open is a good answer.
func invoke(conn *grpc.ClientConn, path string, m protoreflect.MethodDescriptor, token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	if m.IsStreamingServer() {
		ctx, cancel = context.WithTimeout(context.Background(), streamWait)
	}
	defer cancel()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	if !m.IsStreamingServer() {
		return conn.Invoke(ctx, path, &emptypb.Empty{}, &emptypb.Empty{})
	}
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return err
	}
	if err := errors.Join(s.SendMsg(&emptypb.Empty{}), s.CloseSend()); err != nil {
		return err
	}
	err = s.RecvMsg(&emptypb.Empty{})
	if errors.Is(err, io.EOF) || status.Code(err) == codes.DeadlineExceeded {
		return nil
	}
	return err
}

// binding is a REST path of a method, with ids filled in.
type binding struct {
	verb, path, body string
	isStream         bool
}

var variable = regexp.MustCompile(`\{([^}=]+)(=[^}]*)?\}`)

func bindings(m protoreflect.MethodDescriptor) []binding {
	first, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if first == nil {
		return nil
	}
	var out []binding
	for _, rule := range append([]*annotations.HttpRule{first}, first.GetAdditionalBindings()...) {
		b := binding{isStream: m.IsStreamingServer()}
		for verb, path := range map[string]string{
			"GET": rule.GetGet(), "POST": rule.GetPost(), "PUT": rule.GetPut(), "PATCH": rule.GetPatch(), "DELETE": rule.GetDelete(),
		} {
			if path != "" {
				b.verb, b.path = verb, path
			}
		}
		b.path = variable.ReplaceAllStringFunc(b.path, func(v string) string { return sampleOf(m.Input(), variable.FindStringSubmatch(v)[1]) })
		if rule.GetBody() != "" {
			b.body = "{}"
		}
		out = append(out, b)
	}
	return out
}

// sampleOf is a value that the field of a path takes.
func sampleOf(m protoreflect.MessageDescriptor, path string) string {
	name, rest, nested := strings.Cut(path, ".")
	field := m.Fields().ByName(protoreflect.Name(name))
	switch {
	case nested:
		return sampleOf(field.Message(), rest)
	case field.Kind() == protoreflect.EnumKind:
		return string(field.Enum().Values().Get(1).Name())
	case field.Kind() == protoreflect.StringKind:
		return "01980f5e-7c1a-7b44-9e0a-3f1c2d4b5a69"
	}
	return "1"
}

func (b binding) call(base, token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	if b.isStream {
		ctx, cancel = context.WithTimeout(context.Background(), streamWait)
	}
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, b.verb, base+b.path, strings.NewReader(b.body))
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if b.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if b.isStream && errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	err = rest.StatusOf(resp.StatusCode, text)
	if _, ok := status.FromError(err); !ok {
		return err
	}
	// The code of HTTP says the same.
	wants := map[codes.Code]int{codes.Unauthenticated: http.StatusUnauthorized, codes.PermissionDenied: http.StatusForbidden}
	if want := wants[status.Code(err)]; want != 0 && want != resp.StatusCode {
		return fmt.Errorf("HTTP %d for %w", resp.StatusCode, err)
	}
	return err
}
