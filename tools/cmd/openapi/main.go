// Command openapi makes one OpenAPI document per department of the per-file documents that protoc-gen-openapiv3 wrote:
// the department's own services and those that all departments share, under the department's prefix at the gateway.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// departments maps a folder of proto/tasuki to the prefix at the gateway, which also names the document.
var departments = map[string]struct{ prefix, title string }{
	"marketing":       {"marketing", "Tasuki marketing"},
	"insidesales":     {"inside-sales", "Tasuki inside sales"},
	"fieldsales":      {"field-sales", "Tasuki field sales"},
	"customersuccess": {"customer-success", "Tasuki customer success"},
	"insights":        {"insights", "Tasuki insights"},
}

// shared are the folders of proto/tasuki whose services every department serves, and those that have none.
var shared = []string{"access", "errors", "feed", "handoff", "jobs", "type"}

func main() {
	in := flag.String("in", "", "folder with the documents per file")
	protos := flag.String("protos", "", "folder proto/tasuki")
	out := flag.String("out", "", "folder to write the documents per department into")
	merge := flag.String("merge", "", "the openapiv3-merge program")
	flag.Parse()
	if err := run(*in, *protos, *out, *merge); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(in, protos, out, merge string) error {
	folders, err := os.ReadDir(protos)
	if err != nil {
		return err
	}
	var common []string
	for _, name := range shared {
		files, err := filepath.Glob(filepath.Join(in, "tasuki", name, "v1", "*.openapi.json"))
		if err != nil {
			return err
		}
		common = append(common, files...)
	}
	for _, folder := range folders {
		name := folder.Name()
		if !folder.IsDir() || slices.Contains(shared, name) {
			continue
		}
		if sources, _ := filepath.Glob(filepath.Join(protos, name, "v1", "*.proto")); len(sources) == 0 {
			continue
		}
		department, known := departments[name]
		if !known {
			return fmt.Errorf("proto/tasuki/%s is neither a department nor shared: name it in tools/cmd/openapi", name)
		}
		own, err := filepath.Glob(filepath.Join(in, "tasuki", name, "v1", "*.openapi.json"))
		if err != nil {
			return err
		}
		if len(own) == 0 {
			return fmt.Errorf("proto/tasuki/%s has no service with an HTTP binding", name)
		}
		head := filepath.Join(in, department.prefix+".head.json")
		if err := writeHead(head, department.title, department.prefix); err != nil {
			return err
		}
		document, err := exec.Command(merge, slices.Concat([]string{head}, own, common)...).Output()
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				err = errors.New(string(exit.Stderr))
			}
			return fmt.Errorf("merge %s: %w", department.prefix, err)
		}
		if err := os.WriteFile(filepath.Join(out, department.prefix+".json"), document, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeHead writes the document that is merged first, and so gives the result its title, server and security.
func writeHead(path, title, prefix string) error {
	head := map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title":   title,
			"version": "v1",
			"license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []any{map[string]any{"url": "/" + prefix}},
		"paths":    map[string]any{},
		"security": []any{map[string]any{"bearer": []any{}}},
		"components": map[string]any{
			"securitySchemes": map[string]any{
				"bearer": map[string]any{
					"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
					"description": "A token of the OpenID Connect issuer, or in embedded mode one printed by `tasuki token`.",
				},
			},
		},
	}
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
