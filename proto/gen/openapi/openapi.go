// Package openapi holds one OpenAPI 3.1 document per department, made by `make generate`.
package openapi

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.json
var documents embed.FS

// Departments lists the gateway prefixes that have a document, for instance `inside-sales`, in alphabetical order.
func Departments() []string {
	entries, err := documents.ReadDir(".")
	if err != nil {
		panic(err) // The root of an embedded folder can always be read.
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".json"))
	}
	return names
}

// Document returns the document of a department by its gateway prefix, as JSON. It fails for an unknown department.
func Document(department string) ([]byte, error) {
	text, err := documents.ReadFile(department + ".json")
	if err != nil {
		return nil, fmt.Errorf("no OpenAPI document for department %q", department)
	}
	return text, nil
}
