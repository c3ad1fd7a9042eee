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

// What schedules are made for does happen in them: every fault, every state in both ledgers, every command with both
// answers, every trouble of messages.
func TestSchedulesMeetEverything(t *testing.T) {
	t.Parallel()
	w := NewWorld(t, store.SQLite, Plant{})
	for seed := range uint64(120) {
		if v := w.Play(Generate(seed)); v != nil {
			t.Fatal(seed, v)
		}
	}
	var want []string
	for _, f := range faults {
		want = append(want, "fault: "+string(f))
	}
	for _, s := range []string{offered, accepted, fulfilled, rejected, returned, recalled, expired} {
		want = append(want, in+" "+s, out+" "+s)
	}
	for name := range legal {
		want = append(want, "command: "+name+" true", "command: "+name+" false")
	}
	for _, name := range []string{accept, reject, assign} {
		want = append(want, "command for many: "+name+" true", "command for many: "+name+" false")
	}
	for _, m := range []string{"stray", "cut", "answer lost", "request lost", "twice", "outlives its sender"} {
		want = append(want, "message: "+m)
	}
	want = append(want, "compared", "compared: FINDING_DECISION_NOT_APPLIED", "compared: FINDING_MISSING_AT_RECEIVER")
	for _, what := range want {
		if w.met[what] == 0 {
			t.Errorf("never: %s", what)
		}
	}
	t.Log(w.met)
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
