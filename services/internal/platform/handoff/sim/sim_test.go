package sim

import (
	"os"
	"strconv"
	"testing"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// number reads a number from the environment, where make sim puts it.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func TestSchedules(t *testing.T) {
	seed, only := number(t, "TASUKI_SIM_SEED", 1), os.Getenv("TASUKI_SIM_ENGINE")
	for engine, n := range map[store.Engine]uint64{
		store.SQLite:   number(t, "TASUKI_SIM_SCHEDULES", 200),
		store.Postgres: number(t, "TASUKI_SIM_POSTGRES", 20),
	} {
		if n > 0 && (only == "" || only == string(engine)) {
			t.Run(string(engine), func(t *testing.T) { Report(t, engine, seed, int(n)) })
		}
	}
}
