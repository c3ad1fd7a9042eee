// Package docs serves the OpenAPI documents and the page to read and try them.
package docs

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"

	"github.com/tasuki-project/tasuki/proto/gen/openapi"
)

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
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(document) // the reader went away; nobody is left to tell
		})
	}
	urls, err := json.Marshal(links)
	if err != nil {
		return err
	}
	page := v5emb.NewWithConfig(swgui.Config{
		Title:      "Tasuki",
		ShowTopBar: true,
		SettingsUI: map[string]string{
			"urls":                     string(urls),
			"docExpansion":             `"list"`,
			"persistAuthorization":     "true",
			"displayRequestDuration":   "true",
			"tryItOutEnabled":          "true",
			"defaultModelsExpandDepth": "0",
		},
	})("Tasuki", links[0].URL, "/docs/")
	mux.Handle("GET /docs/", withPolicy(page))
	mux.Handle("GET /docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently))
	mux.Handle("GET /{$}", http.RedirectHandler("/docs/", http.StatusFound))
	return nil
}

// withPolicy lets the page load from this host only. The viewer starts itself by an inline script and styles elements.
func withPolicy(next http.Handler) http.Handler {
	const policy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		next.ServeHTTP(w, r)
	})
}
