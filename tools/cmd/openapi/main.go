// Command openapi makes one OpenAPI document per department of the per-file documents that protoc-gen-openapiv3 wrote:
// the department's own services and those that all departments share, under the department's prefix at the gateway.
package main

import (
	"bytes"
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
	gateway:           {"gateway", "Tasuki gateway"},
}

// gateway is no department: what they share it does not serve.
const gateway = "gateway"

// shared are the folders of proto/tasuki whose services every department serves, and those that have none.
var shared = []string{"access", "errors", "feed", "handoff", "jobs", "party", "type"}

func main() {
	in := flag.String("in", "", "folder with the documents per file")
	protos := flag.String("protos", "", "folder proto/tasuki")
	out := flag.String("out", "", "folder to write the documents per department into")
	merge := flag.String("merge", "", "the openapiv3-merge program")
	image := flag.String("image", "", "descriptors of the contracts with all their imports")
	flag.Parse()
	if err := run(*in, *protos, *out, *merge, *image); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(in, protos, out, merge, image string) error {
	contracts, err := loadContract(image)
	if err != nil {
		return err
	}
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
		parts := slices.Concat([]string{head}, own)
		if name != gateway {
			parts = append(parts, common...)
		}
		merged, err := exec.Command(merge, parts...).Output()
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				err = errors.New(string(exit.Stderr))
			}
			return fmt.Errorf("merge %s: %w", department.prefix, err)
		}
		text, err := finish(merged, contracts, name)
		if err != nil {
			return fmt.Errorf("%s: %w", department.prefix, err)
		}
		if err := os.WriteFile(filepath.Join(out, department.prefix+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// finish enriches a merged document and lays it out for people.
func finish(merged []byte, contracts *contract, department string) ([]byte, error) {
	document, err := parseDocument(merged)
	if err != nil {
		return nil, err
	}
	if err := contracts.enrich(document, department); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// writeHead writes the document that is merged first, and so gives the result its title, server and security.
func writeHead(path, title, prefix string) error {
	head := object{
		"openapi": "3.1.0",
		"info": object{
			"title":   title,
			"version": "v1",
			"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []any{object{"url": "/" + prefix}},
		"paths":    object{},
		"security": []any{object{"bearer": []any{}}},
		"components": object{
			"parameters": commandHeaders,
			"responses":  object{"error": errorResponse},
			"securitySchemes": object{
				"bearer": object{
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

// commandHeaders are headers that the gateway understands on every call that changes something.
var commandHeaders = object{
	"idempotencyKey": object{
		"name": "Idempotency-Key", "in": "header",
		"description": "A key of your own for this command. The same key with the same body gives the first answer again, " +
			"and nothing happens twice.",
		"schema": object{"type": "string", "maxLength": 200, "examples": []any{sampleID}},
	},
	"ifMatch": object{
		"name": "If-Match", "in": "header",
		"description": "The etag that was read, instead of `etag` in the body. The command is refused with 409 when the " +
			"resource has changed since.",
		"schema": object{"type": "string", "maxLength": 50, "examples": []any{"3"}},
	},
}

// errorResponse is what every operation answers when it fails.
var errorResponse = object{
	"description": "An error. `details` holds a `google.rpc.ErrorInfo` whose `reason` programs can rely on, and with " +
		"`INVALID_FIELDS` a `google.rpc.BadRequest` with one violation per field.",
	"content": object{"application/json": object{
		"schema": object{"$ref": "#/components/schemas/google.rpc.Status"},
		"examples": object{
			"illegalTransition": object{"summary": "The command is not allowed in the present state", "value": object{
				"code": 9, "message": "a lead that is CAPTURED cannot be qualified; legal now: screen",
				"details": []any{object{
					"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ILLEGAL_TRANSITION", "domain": "tasuki",
					"metadata": object{"resource": "lead", "state": "CAPTURED", "command": "qualify", "legal": "screen"},
				}},
			}},
			"invalidFields": object{"summary": "A field is invalid", "value": object{
				"code": 3, "message": "person.mail: must be a valid email address",
				"details": []any{
					object{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INVALID_FIELDS", "domain": "tasuki", "metadata": object{}},
					object{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": []any{
						object{"field": "person.mail", "description": "must be a valid email address"},
					}},
				},
			}},
		},
	}},
}
