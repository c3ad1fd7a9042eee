package jobs_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

type step struct {
	Name string `json:"name"`
}

func (step) Kind() string { return "test.step" }

// By hand, a job runs when it is told to and as often as it is told to, and waits until its end is noted.
func TestByHand(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		j := jobs.New(db, jobs.Config{})
		broken := errors.New("broken")
		var ran []string
		jobs.Register(j, func(ctx context.Context, job *jobs.Job[step]) error {
			ran = append(ran, job.Args.Name+" by "+access.ActorOf(ctx).ID)
			return broken
		})
		later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		if _, err := store.Write(ctx, db, func(tx store.Tx) (struct{}, error) {
			if err := j.Insert(ctx, tx, step{"first"}, jobs.Opts{}); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, j.Insert(ctx, tx, step{"second"}, jobs.Opts{RunAt: later})
		}); err != nil {
			t.Fatal(err)
		}
		hand := jobs.ByHand(j)
		waiting := func() []jobs.Waiting {
			t.Helper()
			all, err := hand.Waiting(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		all := waiting()
		if len(all) != 2 || all[0].Kind != "test.step" || time.Until(all[0].RunAt) > 0 || !all[1].RunAt.Equal(later) {
			t.Fatalf("waiting are %v", all)
		}
		for range 2 {
			if err := hand.Work(ctx, all[0].ID); !errors.Is(err, broken) {
				t.Errorf("it returned %v", err)
			}
		}
		if len(ran) != 2 || ran[1] != "first by test.step" || len(waiting()) != 2 {
			t.Errorf("ran %q, waiting %v", ran, waiting())
		}
		if err := hand.Complete(ctx, all[0].ID); err != nil {
			t.Fatal(err)
		}
		if left := waiting(); len(left) != 1 || left[0].ID != all[1].ID {
			t.Errorf("waiting are %v", left)
		}
		if err := hand.Work(ctx, 4711); !errors.Is(err, store.ErrNoRows) {
			t.Errorf("a job that is not there gives %v", err)
		}
	}, jobs.Migrations())
}
