package containers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	"github.com/tasuki-project/tasuki/e2e/scenario"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// compose calls `docker compose` for a project of the test's own, beside one that may be running.
type compose struct {
	t       *testing.T
	project string
	files   []string // of deploy/compose
	env     []string
}

func (c *compose) try(args ...string) (string, error) {
	all := []string{"compose", "--project-name", c.project, "--env-file", os.DevNull, "--ansi", "never", "--progress", "quiet"}
	for _, f := range c.files {
		all = append(all, "--file", "../../deploy/compose/"+f)
	}
	cmd := exec.Command("docker", append(all, args...)...)
	cmd.Env = append(os.Environ(), c.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *compose) must(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("docker compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// newCompose is a project that is taken away with the test. Its gateway will be at the address.
func newCompose(t *testing.T, address string, files ...string) *compose {
	c := &compose{t: t, project: "tasuki-test-" + uuid.NewString()[:8], files: files, env: []string{
		"TASUKI_BIND=" + address, "TASUKI_IMAGE_PREFIX=" + setting("TASUKI_IMAGE_PREFIX", "tasuki/"),
		"TASUKI_IMAGE_TAG=" + setting("TASUKI_IMAGE_TAG", "dev"), "TASUKI_POSTGRES_IMAGE=" + postgresImage(),
		"TASUKI_API_KEYS_DSN=sqlite:/data/gateway.db", // as in .env.example
	}}
	for _, user := range []string{"POSTGRES", "MARKETING", "INSIDESALES", "FIELDSALES", "CUSTOMERSUCCESS"} {
		c.env = append(c.env, "TASUKI_"+user+"_PASSWORD="+password)
	}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := c.try("logs", "--tail", "40") // without a stack there are none
			t.Log(logs)
		}
		if out, err := c.try("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20"); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
	return c
}

// token asks the stack for one, as people do.
func (c *compose) token(role string) string {
	c.t.Helper()
	out := strings.TrimSpace(c.must("run", "--rm", "--quiet-pull", "token", "--role", role))
	return out[strings.LastIndexByte(out, '\n')+1:]
}

// TestCompose starts the stack as an operator does, with the command that prints tokens, and plays all scenarios.
func TestCompose(t *testing.T) {
	address := house.LastingAddress(t)
	c := newCompose(t, address, "compose.yaml")
	c.must("up", "--detach", "--wait", "--wait-timeout", "180", "--pull", "never")

	marketing := rest.Client{URL: "http://" + address + "/marketing", Token: c.token("marketing")}
	marketing.Must(t, "GET", "/v1/leads", nil, &marketingv1.ListLeadsResponse{})

	playKeys(t, c, "http://"+address, c.token("admin"))

	data := t.TempDir()
	c.must("cp", "gateway:/data/issuer.key", filepath.Join(data, "issuer.key"))
	scenario.Run(t, house.Running(t, "http://"+address, data))

	// Each user has one database.
	for _, d := range departments {
		for _, database := range departments {
			out, err := c.try("exec", "-T", "postgres", "psql", "-U", d.program, "-d", database.program, "-tAc", "SELECT 'in'")
			if own := d.program == database.program; own != (err == nil) || own != (strings.TrimSpace(out) == "in") {
				t.Errorf("%s in the database of %s: %v %s", d.program, database.program, err, out)
			}
		}
	}
}
