package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry/telemetrytest"
)

func TestMeasures(t *testing.T) {
	telemetrytest.On()
	each(t, func(t *testing.T, db *store.DB) {
		at := string(db.Engine())
		j := jobs.New(db, jobs.Config{Logger: quiet(), Department: at})
		release := make(chan struct{})
		jobs.Register(j, func(ctx context.Context, job *jobs.Job[ping]) error {
			switch job.Args.N {
			case 0:
				return nil
			case 1:
				return jobs.Dead(errors.New("no use"))
			}
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil
		})
		t.Cleanup(j.Measure(t.Context()))
		says := func(format string, want int64) {
			t.Helper()
			key := fmt.Sprintf(format, at)
			for deadline := time.Now().Add(20 * time.Second); ; {
				v, ok := telemetrytest.Values(t)[key]
				if ok && v == want {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s is %d (%v), not %d", key, v, ok, want)
				}
				<-time.After(5 * time.Millisecond)
			}
		}
		says("tasuki.jobs.depth{department=%s,kind=test.ping,state=scheduled}", 0)
		says("tasuki.jobs.dead{department=%s,kind=test.ping}", 0)
		insert(t, db, j, 0, jobs.Opts{RunAt: time.Now().Add(-time.Hour)}) // nobody works yet
		says("tasuki.jobs.waiting{department=%s,kind=test.ping}", 3600)
		says("tasuki.jobs.depth{department=%s,kind=test.ping,state=available}", 1)
		start(t, j)
		defer close(release)
		insert(t, db, j, 1, jobs.Opts{})
		insert(t, db, j, 2, jobs.Opts{})
		insert(t, db, j, 3, jobs.Opts{RunAt: time.Now().Add(time.Hour)})
		says("tasuki.jobs.dead{department=%s,kind=test.ping}", 1)
		says("tasuki.jobs.failures{department=%s,kind=test.ping}", 1)
		says("tasuki.jobs.delay{department=%s,kind=test.ping}", 3)
		says("tasuki.jobs.depth{department=%s,kind=test.ping,state=running}", 1)
		says("tasuki.jobs.depth{department=%s,kind=test.ping,state=scheduled}", 1)
		says("tasuki.jobs.depth{department=%s,kind=test.ping,state=available}", 0)
		says("tasuki.jobs.waiting{department=%s,kind=test.ping}", 0)
	})
}
