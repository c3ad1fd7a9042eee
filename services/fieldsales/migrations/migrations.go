// Package migrations has the tables of field sales, for both engines.
package migrations

import (
	"embed"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

//go:embed postgres sqlite
var files embed.FS

// Set makes the tables: accounts, account_aliases, stages, close_reasons, opportunities, opportunity_transitions,
// contracts, contract_lines. It fills stages and close_reasons.
var Set = store.Migrations{Name: "fieldsales", FS: files}
