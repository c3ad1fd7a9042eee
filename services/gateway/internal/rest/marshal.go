package rest

import (
	"bytes"
	"fmt"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/httpbody"
)

// eventStream writes server streams as server-sent events, for browsers that ask for text/event-stream.
type eventStream struct{ *runtime.JSONPb }

// ContentType of a stream.
func (eventStream) ContentType(any) string { return "text/event-stream" }

// StreamContentType of a stream.
func (eventStream) StreamContentType(any) string { return "text/event-stream" }

// Marshal writes one event.
func (s eventStream) Marshal(v any) ([]byte, error) {
	b, err := s.JSONPb.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte("data: "), bytes.ReplaceAll(b, []byte("\n"), []byte(" "))...), nil
}

// Delimiter ends one event.
func (eventStream) Delimiter() []byte { return []byte("\n\n") }

// rawBody takes the request body as it is into a google.api.HttpBody, so that a file can be uploaded without wrapping.
// Answers are JSON all the same.
type rawBody struct {
	*runtime.HTTPBodyMarshaler
	contentType string
}

// NewDecoder reads the whole body; the door has limited it.
func (m rawBody) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		switch target := v.(type) {
		case **httpbody.HttpBody:
			*target = &httpbody.HttpBody{ContentType: m.contentType, Data: data}
		case *httpbody.HttpBody:
			target.ContentType, target.Data = m.contentType, data
		default:
			return fmt.Errorf("this path takes JSON, not %s", m.contentType)
		}
		return nil
	})
}

// ContentType of the answer.
func (rawBody) ContentType(any) string { return "application/json" }
