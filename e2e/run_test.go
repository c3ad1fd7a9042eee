package e2e

import (
	"testing"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/scenario"
)

func TestAllInOneOnSQLite(t *testing.T) { scenario.Run(t, house.AllInOne(t)) }

func TestProcessesOnPostgreSQL(t *testing.T) { scenario.Run(t, house.Split(t)) }
