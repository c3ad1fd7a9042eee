package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
)

// repository is a checkout with nothing but tools/previous.sh and migrations.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) repository {
	t.Helper()
	script, err := house.PreviousScript()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	r := repository{t, t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	r.write("tools/previous.sh", string(text))
	if err := os.Chmod(filepath.Join(r.dir, "tools/previous.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r repository) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		r.t.Fatal(err)
	}
}

func (r repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", append([]string{"-C", r.dir, "-c", "user.name=test", "-c", "user.email=test@localhost"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files, commits them, and returns the commit.
func (r repository) commit(names ...string) string {
	r.t.Helper()
	for _, name := range names {
		r.write(name, name)
	}
	r.git("add", ".")
	r.git("commit", "--quiet", "--allow-empty", "--message=more")
	return r.git("rev-parse", "HEAD")
}

// previous is what the script says, and how it ends.
func (r repository) previous(env ...string) (string, int) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), filepath.Join(r.dir, "tools/previous.sh"), "revision")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(out)), cmd.ProcessState.ExitCode()
}

func (r repository) want(when, commit string, env ...string) {
	r.t.Helper()
	if got, code := r.previous(env...); got != commit || code != 0 {
		r.t.Errorf("%s: %q (exit %d), want %s", when, got, code, commit)
	}
}

func (r repository) refuses(when string, env ...string) {
	r.t.Helper()
	if got, code := r.previous(env...); got != "" || code != 3 {
		r.t.Errorf("%s: %q (exit %d), want exit 3", when, got, code)
	}
}

func TestPreviousVersion(t *testing.T) {
	t.Setenv("PREVIOUS", "")
	r := newRepository(t)
	r.refuses("no commit")
	r.commit("services/a/migrations/postgres/0001_a.sql")
	r.refuses("one schema only")
	before := r.commit("services/a/a.go")
	r.commit("services/a/migrations/postgres/0002_b.sql")
	first := r.commit("services/a/b.go")
	r.want("no release yet", before)
	r.commit("services/b/migrations/postgres/0001_a.sql", "services/a/testdata/postgres/0001_a.sql")
	r.commit("services/a/testdata/postgres/0002_b.sql")
	r.want("a set that is new has no version before", before)
	r.want("another was named", first, "PREVIOUS="+first)
	r.refuses("nonsense was named", "PREVIOUS=nonsense")

	r.git("tag", "v1.0.0", first)
	r.want("released", first)
	r.git("tag", "v1.1.0-rc.1")
	second := r.commit("services/a/c.go")
	r.want("only a candidate since", first)
	r.git("tag", "v1.1.0")
	r.want("this is the next release", first)
	r.commit("services/a/d.go")
	r.want("after the next release", second)

	shallow := repository{t, filepath.Join(t.TempDir(), "clone")}
	r.git("clone", "--quiet", "--depth=1", "--no-tags", "file://"+r.dir, shallow.dir)
	shallow.refuses("a shallow clone")
	bare := newRepository(t)
	if err := os.RemoveAll(filepath.Join(bare.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	bare.refuses("no repository")
}
