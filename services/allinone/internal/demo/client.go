package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tasuki-project/tasuki/services/allinone/internal/answer"
)

// Tokens gives the token of somebody with a role, for instance `INSIDE_SALES`.
type Tokens func(role string) (string, error)

// client speaks REST with the gateway, as a front end would.
type client struct {
	base   string
	http   *http.Client
	tokens Tokens
}

// Somebody of a department: the prefix of its paths and the role of its people.
type staff struct{ prefix, role string }

var (
	marketing       = staff{"/marketing", "MARKETING"}
	insideSales     = staff{"/inside-sales", "INSIDE_SALES"}
	fieldSales      = staff{"/field-sales", "FIELD_SALES"}
	customerSuccess = staff{"/customer-success", "CUSTOMER_SUCCESS"}
)

// patience bounds how long a call is repeated while the gateway or a department is away.
const patience = 60 * time.Second

// get reads path into out.
func (c *client) get(ctx context.Context, s staff, path string, query url.Values, out proto.Message) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, s, http.MethodGet, path, "", nil, "", out)
}

// post sends a command as JSON. The key makes it safe to repeat.
func (c *client) post(ctx context.Context, s staff, path, key string, in, out proto.Message) error {
	return c.send(ctx, s, http.MethodPost, path, key, in, out)
}

func (c *client) send(ctx context.Context, s staff, method, path, key string, in, out proto.Message) error {
	body, err := protojson.Marshal(in)
	if err != nil {
		return err
	}
	return c.call(ctx, s, method, path, key, body, "application/json", out)
}

// call makes one request, and repeats it while nobody is there to answer: a program that was killed comes back.
func (c *client) call(ctx context.Context, s staff, method, path, key string, body []byte, contentType string, out proto.Message) error {
	token, err := c.tokens(s.role)
	if err != nil {
		return err
	}
	try := func() (struct{}, error) {
		err := c.once(ctx, s, method, path, key, body, contentType, token, out)
		if err == nil || away(err) {
			return struct{}{}, err
		}
		return struct{}{}, backoff.Permanent(err)
	}
	_, err = backoff.Retry(ctx, try, backoff.WithMaxElapsedTime(patience))
	return err
}

func away(err error) bool {
	var refused *url.Error
	return errors.As(err, &refused) || status.Code(err) == codes.Unavailable
}

func (c *client) once(ctx context.Context, s staff, method, path, key string, body []byte, contentType, token string, out proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+s.prefix+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return &url.Error{Op: method, URL: path, Err: err}
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return answer.Error(method+" "+s.prefix+path, resp.StatusCode, text)
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, out)
}

// settled tells errors that mean "somebody was faster, or it was done before": in a relay that is no failure.
func settled(err error) bool {
	switch status.Code(err) {
	case codes.FailedPrecondition, codes.Aborted, codes.AlreadyExists:
		return true
	}
	return false
}

// pages reads every page of a list. next asks for one page and returns the token of the one after.
func pages(next func(token string) (string, error)) error {
	for token := ""; ; {
		t, err := next(token)
		if err != nil || t == "" {
			return err
		}
		token = t
	}
}
