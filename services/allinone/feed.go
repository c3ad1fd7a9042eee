package allinone

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/allinone/internal/answer"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/config"
)

type feedCmd struct {
	Department string   `arg:"" help:"Whose feed: ${enum}." enum:"marketing,inside-sales,field-sales,customer-success"`
	Gateway    string   `help:"URL of the gateway." default:"http://127.0.0.1:8080" placeholder:"URL"`
	After      string   `help:"Cursor to go on from; now begins with the next event, empty with the oldest." default:"now" placeholder:"CURSOR"`
	Type       []string `help:"Only this type of event, for instance tasuki.handoff.v1.HandoffAccepted; repeat for several." placeholder:"TYPE"`
	Subject    string   `help:"Only this subject, for instance lead/0198…" placeholder:"SUBJECT"`
	JSON       bool     `name:"json" help:"Print each event whole, as a line of JSON."`
	Data       string   `help:"Folder with the key that signs the token." default:".data" placeholder:"DIR"`
	Token      string   `help:"Token to use instead of signing one." placeholder:"TOKEN"`
}

// feedRetry is how long a lost connection waits before the next try.
const feedRetry = time.Second

// Run follows the feed until a signal comes. A lost connection goes on from the last cursor.
func (c *feedCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	token := c.Token
	if token == "" {
		issuer, err := access.OpenIssuer(access.EmbeddedIssuer, filepath.Join(c.Data, config.KeyFileName))
		if err != nil {
			return err
		}
		if token, err = issuer.Token("feed", "feed", []access.Role{access.RoleViewer}, 24*time.Hour); err != nil {
			return err
		}
	}
	cursor := c.After
	for {
		err := c.follow(ctx, token, &cursor, os.Stdout)
		var refused *refusedError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused):
			return err
		}
		fmt.Fprintf(os.Stderr, "the connection was lost, trying again: %v\n", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(feedRetry):
		}
	}
}

// refusedError is an answer that another try would get again.
type refusedError struct{ error }

// follow reads one connection to its end, and keeps the cursor of what was printed.
func (c *feedCmd) follow(ctx context.Context, token string, cursor *string, out io.Writer) error {
	query := url.Values{"after": {*cursor}, "types": c.Type}
	if c.Subject != "" {
		query.Set("subject", c.Subject)
	}
	address := strings.TrimRight(c.Gateway, "/") + "/" + c.Department + "/v1/events:stream?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return &refusedError{err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	if resp.StatusCode >= http.StatusBadRequest {
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		err = answer.Error("the feed", resp.StatusCode, text)
		if resp.StatusCode < http.StatusInternalServerError {
			return &refusedError{err}
		}
		return err
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line struct{ Result, Error json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		if line.Error != nil {
			return answer.Error("the feed", resp.StatusCode, line.Error)
		}
		var batch feedv1.StreamEventsResponse
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line.Result, &batch); err != nil {
			return err
		}
		for _, e := range batch.GetEvents() {
			if err := c.print(out, e); err != nil {
				return err
			}
		}
		*cursor = batch.GetCursor()
	}
	return errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}

func (c *feedCmd) print(out io.Writer, e *feedv1.Event) error {
	if c.JSON {
		text, err := protojson.Marshal(e)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", text)
		return err
	}
	who := e.GetActor().GetDisplayName()
	if who == "" {
		who = e.GetActor().GetId()
	}
	name := e.GetType()[strings.LastIndexByte(e.GetType(), '.')+1:]
	_, err := fmt.Fprintf(out, "%s  %-26s %-52s v%-3d %s\n", e.GetAt().AsTime().Local().Format("15:04:05.000"), name, e.GetSubject(), e.GetSubjectVersion(), who)
	return err
}
