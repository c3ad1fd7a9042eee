// Package door is what every HTTP request passes first: limits, request id, security headers, CORS, compression, and the
// one shape of errors.
package door

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"connectrpc.com/cors"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzhttp"
	rscors "github.com/rs/cors"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// Limits bound what a caller may send.
type Limits struct {
	// BodyBytes is the largest body of an ordinary request.
	BodyBytes int64
	// UploadBytes is the largest body of a file upload (text/csv or application/octet-stream).
	UploadBytes int64
	// BodyTime is how long an ordinary body may take to come; an upload may take ten times as long. 0 means for ever.
	BodyTime time.Duration
}

// Options of the door.
type Options struct {
	Limits Limits
	// AllowedOrigins for browsers on other hosts; empty allows none, `*` all.
	AllowedOrigins []string
}

// New wraps the handler with everything a request passes first.
func New(next http.Handler, o Options) (http.Handler, error) {
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypeFilter(compressible))
	if err != nil {
		return nil, err
	}
	h := secure(identify(sane(limit(compress(next), o.Limits))))
	return rscors.New(rscors.Options{
		AllowedOrigins: slices.Clone(o.AllowedOrigins),
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete},
		AllowedHeaders: append(cors.AllowedHeaders(), "Authorization", "Idempotency-Key", "If-Match", "X-Request-Id", "Accept"),
		ExposedHeaders: append(cors.ExposedHeaders(), "ETag", "X-Request-Id"),
		MaxAge:         7200,
	}).Handler(h), nil
}

// compressible leaves streams alone: they must reach the browser message by message.
func compressible(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	switch t = strings.TrimSpace(t); t {
	case "text/event-stream":
		return false
	case "application/json", "application/javascript":
		return true
	}
	return strings.HasPrefix(t, "text/") || t == "image/svg+xml"
}

func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

const requestIDHeader = "X-Request-Id"

// identify gives each request an id, or keeps a sensible one that the caller sent; the answer names it.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if id == "" || len(id) > 100 || strings.ContainsFunc(id, func(c rune) bool { return c < '!' || c > '~' }) {
			id = uuid.NewString()
			r.Header.Set(requestIDHeader, id)
		}
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(problem.WithCall(r.Context(), id, "gateway")))
	})
}

// sane turns away what no client of good will sends, before anything looks at it.
func sane(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var what string
		code := http.StatusBadRequest
		query, err := url.QueryUnescape(r.URL.RawQuery)
		switch coding := r.Header.Get("Content-Encoding"); {
		case !isText(r.URL.Path) || err != nil || !isText(query):
			what = "the path and the query must be UTF-8 without control characters"
		case r.URL.Path != "*" && path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") && r.URL.Path != "/":
			what = "the path must not have //, . or .. in it"
		case coding != "" && coding != "identity" && !strings.Contains(r.URL.Path, "/tasuki."):
			// Connect and gRPC-Web bound what they unpack themselves.
			code, what = http.StatusUnsupportedMediaType, "bodies are taken uncompressed"
		default:
			next.ServeHTTP(w, r)
			return
		}
		WriteStatus(w, code, problem.Malformed(what).GRPCStatus())
	})
}

func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}

type bodyKey struct{}

// limitedBody remembers that it overflowed or came too slowly, because decoders wrap or drop the error.
type limitedBody struct {
	io.ReadCloser
	limit int64
	over  bool
	slow  bool
	whole func() // called once at the end; nil afterwards
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return n, nil
	case errors.As(err, &tooLarge):
		b.over = true
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.slow = true
	case errors.Is(err, io.EOF) && b.whole != nil:
		b.whole()
		b.whole = nil
	}
	return n, err
}

func limit(next http.Handler, limits Limits) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := limits.BodyBytes
		if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); t == "text/csv" || t == "application/octet-stream" {
			most = limits.UploadBytes
		}
		if r.ContentLength > most {
			WriteStatus(w, http.StatusRequestEntityTooLarge, problem.TooLarge(most).GRPCStatus())
			return
		}
		body := &limitedBody{ReadCloser: http.MaxBytesReader(w, r.Body, most), limit: most}
		if limits.BodyTime > 0 && r.Body != http.NoBody && !isGRPC(r) {
			long := limits.BodyTime
			if most == limits.UploadBytes {
				long *= 10
			}
			// The deadline is the connection's: once the body is here it must not end the stream that answers.
			control := http.NewResponseController(w)
			if control.SetReadDeadline(time.Now().Add(long)) == nil {
				body.whole = func() { _ = control.SetReadDeadline(time.Time{}) } // the connection has gone, or it works
			}
		}
		r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, body))
		r.Body = body
		next.ServeHTTP(w, r)
	})
}

// isGRPC tells requests whose body is a stream of messages, which its own side bounds.
func isGRPC(r *http.Request) bool {
	t := r.Header.Get("Content-Type")
	return strings.HasPrefix(t, "application/grpc") || strings.HasPrefix(t, "application/connect+")
}

// TooSlow tells whether the body of the request did not come in time.
func TooSlow(r *http.Request) bool {
	b, ok := r.Context().Value(bodyKey{}).(*limitedBody)
	return ok && b.slow
}

// TooLarge tells whether the body of the request ran over its limit while it was read.
func TooLarge(r *http.Request) (limit int64, over bool) {
	b, ok := r.Context().Value(bodyKey{}).(*limitedBody)
	if !ok {
		return 0, false
	}
	return b.limit, b.over
}

// WriteStatus writes google.rpc.Status as JSON: the one error shape of the REST door.
func WriteStatus(w http.ResponseWriter, code int, st *status.Status) {
	body, err := protojson.Marshal(st.Proto())
	if err != nil { // a detail whose type is not linked in
		body = []byte(`{"code":13,"message":"internal error"}`)
		code = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body) // the caller went away; nobody is left to tell
}
