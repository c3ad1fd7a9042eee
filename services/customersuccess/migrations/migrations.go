// Package migrations has the tables of customer success, for both engines.
package migrations

import (
	"embed"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// Set makes the tables of customer success and fills in the onboarding template.
var Set = store.Migrations{Name: "customersuccess", FS: files}
