package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
)

// deliver says a mail to a host, as a mail server would; the host and the mail are its arguments.
const deliver = `set -eu
echo calling
exec 3<>"/dev/tcp/$0/1025"
echo connected
hear() {
  read -r -t 10 answer <&3
  case $answer in "$1"*) ;; *) echo "answers ${answer@Q}, not $1"; exit 1 ;; esac
}
say() { printf '%s\r\n' "$2" >&3; hear "$1"; }
hear 220
say 250 'HELO marketing'
say 250 'MAIL FROM:<desk@tasuki.example>'
say 250 'RCPT TO:<hanako@aoba.example>'
say 354 DATA
say 250 "$1"$'\r\n.'
say 221 QUIT`

// knock says to which of the host:port that are its arguments a connection can be made.
const knock = `for at; do
  (if timeout 5 bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0##*:}"' "$at" 2>/dev/null; then echo "$at open"; else echo "$at closed"; fi) &
done
wait`

// TestMail starts the catcher of mail beside the stack: what is said to it by SMTP from where the departments are is shown over
// HTTP on the machine itself, and nobody else comes near it.
func TestMail(t *testing.T) {
	if os.Getenv("TASUKI_MAIL_IMAGE") == "" {
		const why = "TASUKI_MAIL_IMAGE names no image; make stand-ins builds one"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	c := newCompose(t, house.LastingAddress(t), "compose.yaml", "../../e2e/containers/testdata/mail.yaml")
	bind := house.LastingAddress(t)
	c.env = append(c.env, "TASUKI_MAIL_BIND="+bind)
	c.must("--profile", "mail", "up", "--detach", "--wait", "--wait-timeout", "60", "--pull", "never", "mail")

	subject := "商談のご案内 " + uuid.NewString()
	mail := strings.Join([]string{
		"From: desk@tasuki.example", "To: hanako@aoba.example", "Subject: " + mime.BEncoding.Encode("UTF-8", subject),
		"MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", "佐藤様",
	}, "\r\n")
	c.must("run", "--rm", "--no-deps", "mesh-caller", deliver, "mail", mail)

	house.Await(t, "the mail is shown", func() error {
		var caught []struct {
			Subject, Text string
			To            []struct{ Address string }
		}
		if err := read(t.Context(), "http://"+bind+"/api/email", &caught); err != nil {
			return err
		}
		if len(caught) != 1 || caught[0].Subject != subject || strings.TrimSpace(caught[0].Text) != "佐藤様" ||
			len(caught[0].To) != 1 || caught[0].To[0].Address != "hanako@aoba.example" {
			return fmt.Errorf("there is %+v", caught)
		}
		return nil
	})
	var config struct{ IsOutgoingEnabled *bool }
	if err := read(t.Context(), "http://"+bind+"/api/config", &config); err != nil || config.IsOutgoingEnabled == nil || *config.IsOutgoingEnabled {
		t.Errorf("the catcher may send mail on: %+v, %v", config, err)
	}

	at := containerOf(t, c, "mail")
	if p := at.Ports["1025/tcp"]; len(p) != 0 {
		t.Errorf("SMTP is published as %v", p)
	}
	if p := at.Ports["1080/tcp"]; len(p) != 1 || net.JoinHostPort(p[0].HostIP, p[0].HostPort) != bind {
		t.Errorf("HTTP is published as %v, want %s", p, bind)
	}
	loopbackOnly(t, bind)
	if len(at.Networks) != 1 {
		t.Errorf("it is in the networks %v", at.Networks)
	}
	doors := []string{"mail:1025", "mail:1080"} // its name is known where it is only
	for _, n := range at.Networks {
		doors = append(doors, n.IPAddress+":1025", n.IPAddress+":1080")
	}
	for caller, want := range map[string]string{"mesh-caller": " open", "front-caller": " closed", "data-caller": " closed"} {
		out := c.must(append([]string{"run", "--rm", "--no-deps", caller, knock, "knock"}, doors...)...)
		for _, door := range doors {
			if !strings.Contains(out, door+want+"\n") {
				t.Errorf("%s is not%s for the %s:\n%s", door, want, caller, out)
			}
		}
	}
}

// loopbackOnly knocks at a port of the machine from its other addresses, where nobody may answer.
func loopbackOnly(t *testing.T, address string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		prefix, ok := a.(*net.IPNet)
		if !ok || !prefix.IP.IsGlobalUnicast() {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(prefix.IP.String(), port))
		cancel()
		if err == nil {
			_ = conn.Close() // it should not be there
			t.Errorf("%s answers at port %s", prefix.IP, port)
		}
	}
}

// settings are what the engine says of where a container is reached.
type settings struct {
	Ports map[string][]struct {
		HostIP   string `json:"HostIp"`
		HostPort string
	}
	Networks map[string]struct{ IPAddress string }
}

func containerOf(t *testing.T, c *compose, service string) settings {
	t.Helper()
	id := strings.TrimSpace(c.must("ps", "--quiet", service))
	out, err := exec.CommandContext(t.Context(), "docker", "inspect", "--format", "{{json .NetworkSettings}}", id).Output()
	var found settings
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		t.Fatalf("inspect %s: %v\n%s", service, err, out)
	}
	return found
}

// read gets a JSON document.
func read(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
