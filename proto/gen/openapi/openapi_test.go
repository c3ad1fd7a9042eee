package openapi_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tasuki-project/tasuki/proto/gen/openapi"
)

type document struct {
	OpenAPI string `json:"openapi"`
	Servers []struct {
		URL string `json:"url"`
	} `json:"servers"`
	Paths map[string]map[string]operation `json:"paths"`
}

type operation struct {
	OperationID string            `json:"operationId"`
	Summary     string            `json:"summary"`
	Parameters  []json.RawMessage `json:"parameters"`
	RequestBody *struct {
		Content map[string]struct {
			Example json.RawMessage `json:"example"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]json.RawMessage `json:"responses"`
}

// What readers and client generators rely on: the generator is young, so its output is looked at.
func TestDocuments(t *testing.T) {
	for _, department := range openapi.Departments() {
		t.Run(department, func(t *testing.T) {
			text, err := openapi.Document(department)
			if err != nil {
				t.Fatal(err)
			}
			var d document
			var tree any
			if err := json.Unmarshal(text, &d); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &tree); err != nil {
				t.Fatal(err)
			}
			if d.OpenAPI != "3.1.0" {
				t.Errorf("openapi is %q", d.OpenAPI)
			}
			if len(d.Servers) != 1 || d.Servers[0].URL != "/"+department {
				t.Errorf("servers are %v, want /%s", d.Servers, department)
			}
			seen := map[string]bool{}
			for path, item := range d.Paths {
				for verb, operation := range item {
					check(t, verb+" "+path, verb != "get", operation)
					if seen[operation.OperationID] {
						t.Errorf("operation id %q twice", operation.OperationID)
					}
					seen[operation.OperationID] = true
				}
			}
			if len(seen) == 0 {
				t.Error("no operation")
			}
			references(t, tree, tree)
		})
	}
}

func check(t *testing.T, name string, isCommand bool, o operation) {
	t.Helper()
	if o.Summary == "" {
		t.Errorf("%s has no summary", name)
	}
	if got := string(o.Responses["default"]); !strings.Contains(got, "#/components/responses/error") {
		t.Errorf("%s does not show the error shape: %s", name, got)
	}
	hasKey := false
	for _, parameter := range o.Parameters {
		hasKey = hasKey || strings.Contains(string(parameter), "#/components/parameters/idempotencyKey")
	}
	if hasKey != isCommand {
		t.Errorf("%s: Idempotency-Key belongs to commands, and to them only", name)
	}
	if o.RequestBody == nil {
		return
	}
	for media, content := range o.RequestBody.Content {
		if len(content.Example) == 0 {
			t.Errorf("%s has no example of a body in %s", name, media)
		}
	}
}

// references looks up every $ref of the node.
func references(t *testing.T, root, node any) {
	t.Helper()
	switch node := node.(type) {
	case map[string]any:
		if ref, ok := node["$ref"].(string); ok {
			at := root
			for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
				object, _ := at.(map[string]any)
				at = object[step]
			}
			if at == nil {
				t.Errorf("$ref %s leads nowhere", ref)
			}
		}
		for _, child := range node {
			references(t, root, child)
		}
	case []any:
		for _, child := range node {
			references(t, root, child)
		}
	}
}

func TestUnknownDepartment(t *testing.T) {
	if _, err := openapi.Document("sales"); err == nil {
		t.Error("a document of a department that does not exist")
	}
}
