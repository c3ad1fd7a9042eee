package allinone_test

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/gateway"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/config"
	"github.com/tasuki-project/tasuki/services/internal/platform/lifecycle"
	"github.com/tasuki-project/tasuki/services/internal/platform/rpc"
)

// The limit that the gateway sets is measured with a marketing department that answers every capture with the same lead
// from memory, behind the same server steps (authenticate, authorise, validate, …). It runs as a process of its own: this
// test program, started again with one of these roles.
const (
	envRole   = "TASUKI_BENCH_ROLE"
	envListen = "TASUKI_BENCH_LISTEN"
	envData   = "TASUKI_BENCH_DATA"
	envPeer   = "TASUKI_BENCH_PEER"

	roleEcho     = "echo"     // the department over gRPC
	roleBare     = "bare"     // a bare grpc-gateway before it
	roleTogether = "together" // the department and the real gateway in one process, as in `tasuki up`
)

//go:embed testdata/capture.json
var captureBody []byte

// captureAnswer is what the capture of captureBody is answered with.
//
//go:embed testdata/lead.json
var captureAnswer []byte

func init() {
	role := os.Getenv(envRole)
	if role == "" {
		return
	}
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// play serves until standard input ends or a signal comes.
func play(role string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends, however it does
		cancel()
	}()
	listener, err := net.Listen("tcp", os.Getenv(envListen))
	if err != nil {
		return err
	}
	group := lifecycle.New(lifecycle.Options{Logger: slog.New(slog.DiscardHandler), StopTimeout: 5 * time.Second})
	switch role {
	case roleEcho:
		department, _, err := echoDepartment(ctx, listener)
		if err != nil {
			return err
		}
		group.Add(department)
	case roleTogether:
		network := rpc.InProcess()
		department, verifier, err := echoDepartment(ctx, network.Listener())
		if err != nil {
			return err
		}
		conn, err := network.Dial(rpc.To(access.Marketing))
		if err != nil {
			return err
		}
		gw, err := gateway.New(ctx, gateway.Options{
			Departments: map[access.Department]grpc.ClientConnInterface{access.Marketing: conn}, Verifier: verifier,
		})
		if err != nil {
			return err
		}
		group.Add(department)
		group.Add(gw.Part(listener))
	case roleBare:
		conn, err := grpc.NewClient(os.Getenv(envPeer), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		mux := runtime.NewServeMux()
		if err := marketingv1.RegisterLeadServiceHandler(ctx, mux, conn); err != nil {
			return err
		}
		server := &http.Server{Handler: mux}
		group.Add(lifecycle.Part{
			Name: "bare",
			Run: func(context.Context) error {
				if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
					return err
				}
				return nil
			},
			Stop: server.Shutdown,
		})
	}
	return group.Run(ctx)
}

// echo answers every capture with the same lead.
type echo struct {
	marketingv1.UnimplementedLeadServiceServer
	lead *marketingv1.Lead
}

func (e *echo) CaptureLead(context.Context, *marketingv1.CaptureLeadRequest) (*marketingv1.Lead, error) {
	return e.lead, nil
}

func echoDepartment(ctx context.Context, listener net.Listener) (lifecycle.Part, *access.Verifier, error) {
	lead := &marketingv1.Lead{}
	if err := protojson.Unmarshal(captureAnswer, lead); err != nil {
		return lifecycle.Part{}, nil, err
	}
	identity, err := config.Base{Data: os.Getenv(envData), Auth: config.Auth{Audience: []string{"tasuki"}}}.Identity(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return lifecycle.Part{}, nil, err
	}
	server := rpc.NewServer(rpc.Options{Department: access.Marketing, Verifier: identity.Verifier})
	marketingv1.RegisterLeadServiceServer(server, &echo{lead: lead})
	server.SetServing(true)
	return lifecycle.Part{
		Name: "echo", Run: func(context.Context) error { return server.Serve(listener) }, Stop: server.Stop,
	}, identity.Verifier, nil
}

// again starts this program in a role and waits until it listens.
func again(t testing.TB, role, listen, data string, env ...string) *process {
	t.Helper()
	env = append(env, envRole+"="+role, envListen+"="+listen, envData+"="+data)
	p := launch(t, env, os.Args[0])
	awaitPort(t, listen)
	return p
}

func awaitPort(t testing.TB, address string) {
	t.Helper()
	await(t, address+" is open", 2*time.Millisecond, func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// restPath of a capture at the gateway.
const restPath = "/marketing/v1/leads"

// echoSubject sends the message of a capture through the gateway to a department without a store: in processes of their
// own when the house is split, in one like `tasuki up` otherwise.
func echoSubject(t testing.TB, h *house, split bool) subject {
	t.Helper()
	authorization := h.token(t, "marketing")
	address := freeAddress(t)
	if !split {
		p := again(t, roleTogether, address, h.data)
		return overREST("http://"+address, restPath, authorization, captureBody, cpu(t, p))
	}
	department := freeAddress(t)
	echo := again(t, roleEcho, department, h.data)
	gw := launchGateway(t, address, department, h.data)
	return overREST("http://"+address, restPath, authorization, captureBody, cpu(t, echo, gw))
}

func launchGateway(t testing.TB, listen, department, data string) *process {
	t.Helper()
	p := launch(t, nil, filepath.Join(programs(t), "gateway"), "--listen", listen, "--data", data, "--peer-marketing="+department)
	awaitPort(t, listen)
	return p
}

// overGRPC is the subject that makes the same call without any gateway. Like a gateway's, the calls of all clients share
// one connection.
func overGRPC(t testing.TB, address, authorization string) subject {
	t.Helper()
	conn, err := rpc.Dial(address, rpc.To(access.Marketing))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := marketingv1.NewLeadServiceClient(conn)
	return subject{connect: func() (func() error, func(), error) {
		req := &marketingv1.CaptureLeadRequest{}
		if err := protojson.Unmarshal(captureBody, req); err != nil {
			return nil, nil, err
		}
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+authorization)
		return func() error {
			name := token()
			req.SubmissionId, req.Person.Mail = "form-"+name, name+"@"+name+".example"
			_, err := client.CaptureLead(ctx, req)
			return err
		}, func() {}, nil
	}}
}

// hot is the message of somebody who wants to be called.
func hot() []byte {
	return []byte(strings.Replace(string(captureBody), "whitepaper_download", "demo_request", 1))
}
