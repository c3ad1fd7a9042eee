// Package docs serves the OpenAPI documents and the page to read and try them: Swagger UI, whose files are in swgui. The page
// around it is our own, because swgui's runs html/template, which makes the linker keep every method of the program.
package docs

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"

	"github.com/tasuki-project/tasuki/proto/gen/openapi"
)

//go:embed index.html
var index []byte

//go:embed start.js
var start []byte

// Register adds /docs and /openapi/{department}.json to the mux, for the departments given.
func Register(mux *http.ServeMux, departments []string) error {
	type link struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	}
	var links []link
	for _, d := range departments {
		document, err := openapi.Document(d)
		if err != nil {
			return err
		}
		path := "/openapi/" + d + ".json"
		links = append(links, link{Name: strings.ReplaceAll(d, "-", " "), URL: path})
		mux.Handle("GET "+path, content("application/json", document))
	}
	urls, err := json.Marshal(links)
	if err != nil {
		return err
	}
	// Marshal escapes what could end the element around it.
	page := bytes.Replace(index, []byte("{{documents}}"), urls, 1)
	mux.Handle("GET /docs/{$}", withPolicy(content("text/html; charset=utf-8", page)))
	mux.Handle("GET /docs/start.js", withPolicy(content("text/javascript; charset=utf-8", start)))
	mux.Handle("GET /docs/", withPolicy(http.StripPrefix("/docs/", statigz.FileServer(static.FS))))
	mux.Handle("GET /docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently))
	mux.Handle("GET /{$}", http.RedirectHandler("/docs/", http.StatusFound))
	return nil
}

func content(kind string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body) // the reader went away; nobody is left to tell
	}
}

// withPolicy lets the page load from this host only. The viewer styles its elements.
func withPolicy(next http.Handler) http.Handler {
	const policy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		next.ServeHTTP(w, r)
	})
}
