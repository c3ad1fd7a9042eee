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
	env     []string
}

func (c *compose) try(args ...string) (string, error) {
	args = append([]string{"compose", "--project-name", c.project, "--env-file", os.DevNull, "--file", "../../deploy/compose/compose.yaml", "--ansi", "never", "--progress", "quiet"}, args...)
	cmd := exec.Command("docker", args...)
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

// TestCompose starts the stack as an operator does, with the command that prints tokens, and plays all scenarios.
func TestCompose(t *testing.T) {
	address := house.LastingAddress(t)
	c := &compose{t: t, project: "tasuki-test-" + uuid.NewString()[:8], env: []string{
		"TASUKI_BIND=" + address, "TASUKI_IMAGE_PREFIX=" + setting("TASUKI_IMAGE_PREFIX", "tasuki/"),
		"TASUKI_IMAGE_TAG=" + setting("TASUKI_IMAGE_TAG", "dev"), "TASUKI_POSTGRES_IMAGE=" + postgresImage(),
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
	c.must("up", "--detach", "--wait", "--wait-timeout", "180", "--pull", "never")

	token := strings.TrimSpace(c.must("run", "--rm", "--quiet-pull", "token", "--role", "marketing"))
	token = token[strings.LastIndexByte(token, '\n')+1:]
	marketing := rest.Client{URL: "http://" + address + "/marketing", Token: token}
	marketing.Must(t, "GET", "/v1/leads", nil, &marketingv1.ListLeadsResponse{})

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
