// Package rest calls the gateway as a front end does.
package rest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Client of one gateway with the token of one person.
type Client struct {
	URL, Token string
}

// Header is one request header.
type Header struct{ Name, Value string }

// Do makes a call and returns the raw answer.
func (c Client) Do(ctx context.Context, method, path string, body []byte, headers ...Header) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		req.Header.Set(h.Name, h.Value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	text, err := io.ReadAll(resp.Body)
	return resp, text, err
}

// Call sends in as JSON (nil sends none) and reads the answer into out. The error is a gRPC status with the details that
// the gateway sent.
func (c Client) Call(ctx context.Context, method, path string, in, out proto.Message, headers ...Header) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = protojson.Marshal(in); err != nil {
			return err
		}
	}
	resp, text, err := c.Do(ctx, method, path, body, headers...) //nolint:bodyclose // Do reads and closes it
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return StatusOf(resp.StatusCode, text)
	}
	return protojson.Unmarshal(text, out)
}

// StatusOf reads the gateway's one error shape.
func StatusOf(code int, text []byte) error {
	var st spb.Status
	if err := protojson.Unmarshal(text, &st); err != nil {
		return fmt.Errorf("HTTP %d is not of the error shape: %s", code, text)
	}
	return status.ErrorProto(&st)
}

// Must is Call for what has to work.
func (c Client) Must(t testing.TB, method, path string, in, out proto.Message, headers ...Header) {
	t.Helper()
	if err := c.Call(t.Context(), method, path, in, out, headers...); err != nil {
		t.Fatalf("%s %s: %v", method, path, Explain(err))
	}
}

// Pages reads every page of a list.
func Pages[P interface {
	proto.Message
	GetNextPageToken() string
	*M
}, M any](ctx context.Context, c Client, path string, take func(P),
) error {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for token := ""; ; {
		page := P(new(M))
		if err := c.Call(ctx, http.MethodGet, path+separator+"pageSize=500&pageToken="+url.QueryEscape(token), nil, page); err != nil {
			return err
		}
		take(page)
		if token = page.GetNextPageToken(); token == "" {
			return nil
		}
	}
}

// Reason is the ErrorInfo reason of an error; empty without one.
func Reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// Explain shows an error with its details.
func Explain(err error) string {
	st := status.Convert(err)
	if st.Code() == codes.OK {
		return "no error"
	}
	return fmt.Sprintf("%s: %s %v", st.Code(), st.Message(), st.Details())
}
