package containers

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
)

// setting is an environment variable with a default.
func setting(name, without string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return without
}

// image is the image of a program.
func image(program string) string {
	return setting("TASUKI_IMAGE_PREFIX", "tasuki/") + program + ":" + setting("TASUKI_IMAGE_TAG", "dev")
}

func postgresImage() string { return setting("TASUKI_POSTGRES_IMAGE", "postgres:17") }

// departments as programs with their ports, in the order of the relay; peer is their name for others.
var departments = []struct{ program, peer, port string }{
	{"marketing", "MARKETING", "9001"},
	{"insidesales", "INSIDE_SALES", "9002"},
	{"fieldsales", "FIELD_SALES", "9003"},
	{"customersuccess", "CUSTOMER_SUCCESS", "9004"},
}

// stack is a container per program and one with PostgreSQL, where every department has a database and a user.
type stack struct {
	t          *testing.T
	house      *house.House
	containers map[string]*testcontainers.DockerContainer
	engine     *testcontainers.DockerClient
}

const password = "tried0out"

func start(t *testing.T) *stack {
	t.Helper()
	ctx := t.Context()
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() }) // the test is over
	s := &stack{t: t, containers: map[string]*testcontainers.DockerContainer{}, engine: engine}
	nw, err := tcnetwork.New(ctx)
	if err != nil {
		t.Fatalf("no Docker network: %v", err)
	}
	testcontainers.CleanupNetwork(t, nw)

	gateway := house.LastingAddress(t)
	data := t.TempDir()
	s.house = house.Running(t, "http://"+gateway, data)
	s.house.Token("admin") // makes the issuer's key
	key := filepath.Join(data, "issuer.key")
	if err := os.Chmod(key, 0o644); err != nil { // the containers have another user
		t.Fatal(err)
	}

	s.run("postgres", postgresImage(), nw,
		testcontainers.WithEnv(postgresSettings()),
		testcontainers.WithFiles(testcontainers.ContainerFile{
			HostFilePath: "../../deploy/compose/postgres/10-departments.sh", ContainerFilePath: "/docker-entrypoint-initdb.d/10-departments.sh", FileMode: 0o755,
		}),
		// The first start is one to run the scripts.
		testcontainers.WithWaitStrategyAndDeadline(time.Minute, wait.ForLog("database system is ready to accept connections").WithOccurrence(2)))
	peers := map[string]string{"TASUKI_AUTH_KEY_FILE": "/key", "TASUKI_LOG_FORMAT": "json"}
	for _, d := range departments {
		peers["TASUKI_PEER_"+d.peer] = d.program + ":" + d.port
	}
	hardened := testcontainers.WithHostConfigModifier(func(hc *container.HostConfig) {
		hc.Binds = []string{key + ":/key:ro"}
		hc.ReadonlyRootfs = true
		hc.CapDrop = []string{"ALL"}
		hc.SecurityOpt = []string{"no-new-privileges:true"}
	})
	for _, d := range departments {
		dsn := testcontainers.WithEnv(map[string]string{"TASUKI_DSN": "postgres://" + d.program + ":" + password + "@postgres:5432/" + d.program + "?sslmode=disable"})
		s.run(d.program+" migrate", image(d.program), nw, dsn, testcontainers.WithCmd("migrate"),
			testcontainers.WithWaitStrategyAndDeadline(time.Minute, wait.ForExit()))
		s.succeeded(d.program + " migrate")
		s.run(d.program, image(d.program), nw, hardened, dsn, testcontainers.WithEnv(peers))
	}
	s.run("gateway", image("gateway"), nw, hardened, testcontainers.WithEnv(peers),
		testcontainers.WithExposedPorts("8080/tcp"), testcontainers.WithHostConfigModifier(func(hc *container.HostConfig) {
			at := netip.MustParseAddrPort(gateway)
			hc.PortBindings = network.PortMap{network.MustParsePort("8080/tcp"): {{HostIP: at.Addr(), HostPort: strings.TrimPrefix(gateway, at.Addr().String()+":")}}}
		}))
	house.AwaitReady(t, s.house.URL)
	return s
}

func postgresSettings() map[string]string {
	env := map[string]string{"POSTGRES_PASSWORD": password}
	for _, d := range departments {
		env[strings.ToUpper(d.program)+"_PASSWORD"] = password
	}
	return env
}

// healthy waits until the health checks of the images say so.
func (s *stack) healthy() {
	s.t.Helper()
	for _, program := range []string{"marketing", "insidesales", "fieldsales", "customersuccess", "gateway"} {
		house.Await(s.t, program+" is healthy", func() error {
			state, err := s.containers[program].State(s.t.Context())
			if err == nil && state.Health.Status != container.Healthy {
				err = fmt.Errorf("it is %s", state.Health.Status)
			}
			return err
		})
	}
}

// run starts a container that the others reach by its name.
func (s *stack) run(name, image string, nw *testcontainers.DockerNetwork, opts ...testcontainers.ContainerCustomizer) {
	s.t.Helper()
	if !strings.Contains(name, " ") {
		opts = append(opts, tcnetwork.WithNetwork([]string{name}, nw))
	} else {
		opts = append(opts, tcnetwork.WithNetwork(nil, nw))
	}
	c, err := testcontainers.Run(s.t.Context(), image, opts...)
	testcontainers.CleanupContainer(s.t, c)
	if c != nil {
		s.t.Cleanup(func() {
			if s.t.Failed() {
				s.t.Logf("%s printed:\n%s", name, s.printed(c))
			}
		})
	}
	if err != nil {
		s.t.Fatalf("%s (%s): %v", name, image, err)
	}
	s.containers[name] = c
}

func (s *stack) printed(c *testcontainers.DockerContainer) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	logs, err := c.Logs(ctx)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = logs.Close() }() // it was read to its end
	text, err := io.ReadAll(logs)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-6000):])
}

func (s *stack) succeeded(name string) {
	s.t.Helper()
	state, err := s.containers[name].State(s.t.Context())
	if err != nil || state.ExitCode != 0 {
		s.t.Fatalf("%s ended with %+v: %v", name, state, err)
	}
}

// kill ends a container as a power cut would: nothing in it hears of it.
func (s *stack) kill(name string) {
	s.t.Helper()
	ctx := s.t.Context()
	if _, err := s.engine.ContainerKill(ctx, s.containers[name].GetContainerID(), client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		s.t.Fatalf("kill %s: %v", name, err)
	}
	house.Await(s.t, name+" is gone", func() error {
		state, err := s.containers[name].State(ctx)
		if err == nil && state.Running {
			err = io.ErrNoProgress
		}
		return err
	})
}

// restart starts killed containers and waits until all of them serve.
func (s *stack) restart(names ...string) {
	s.t.Helper()
	for _, name := range names {
		if _, err := s.engine.ContainerStart(s.t.Context(), s.containers[name].GetContainerID(), client.ContainerStartOptions{}); err != nil {
			s.t.Fatalf("start %s: %v", name, err)
		}
	}
	house.AwaitReady(s.t, s.house.URL)
}
