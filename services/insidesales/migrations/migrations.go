// Package migrations has the tables of inside sales, for both engines.
package migrations

import (
	"embed"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

//go:embed postgres sqlite
var files embed.FS

// Set makes the tables: work_items, work_item_transitions, activities.
var Set = store.Migrations{Name: "insidesales", FS: files}
