package migrations_test

import (
	"testing"

	"github.com/tasuki-project/tasuki/services/customersuccess/migrations"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestBothEnginesHaveTheSameTables(t *testing.T) { testkit.SchemasMatch(t, migrations.Set) }
