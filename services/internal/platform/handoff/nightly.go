package handoff

import (
	"context"
	"time"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// nightly is when the ledgers are compared, after midnight UTC: 2:00 in Tokyo.
	nightly = 17 * time.Hour
	// stretch is how long one job compares before it leaves the rest to another.
	stretch = 20 * time.Second
)

// reconcileArgs are those of the job that compares the ledgers at night.
type reconcileArgs struct {
	// Night is when it is due; the key by which there is one for each night.
	Night time.Time `json:"night"`
	// Peer counts the receivers that are done, and After is where the next goes on; empty at its begin.
	Peer  int    `json:"peer,omitempty"`
	After string `json:"after,omitempty"`
}

// Kind implements jobs.Args.
func (reconcileArgs) Kind() string { return "handoff.reconcile" }

// Start sees to it that the ledgers are compared every night. Call it when the service starts; calling it again does nothing.
func (e *Engine) Start(ctx context.Context) error {
	if len(e.receivers()) == 0 {
		return nil
	}
	_, err := store.Write(ctx, e.cfg.DB, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, e.nextNight(ctx, tx, time.Now())
	})
	return err
}

// nextNight leaves the job of the night after an instant. Nights are those of the machine: no handoff depends on them.
func (e *Engine) nextNight(ctx context.Context, tx store.Tx, after time.Time) error {
	night := after.UTC().Truncate(24 * time.Hour).Add(nightly)
	if !night.After(after) {
		night = night.AddDate(0, 0, 1)
	}
	return e.cfg.Jobs.Insert(ctx, tx, reconcileArgs{Night: night}, jobs.Opts{RunAt: night, UniqueKey: night.Format(time.DateOnly)})
}

// reconcile compares for a while, and leaves the rest to a job of its own.
func (e *Engine) reconcile(ctx context.Context, job *jobs.Job[reconcileArgs]) error {
	args, began := job.Args, time.Now()
	peers := e.receivers()
	for args.Peer < len(peers) && time.Since(began) < stretch {
		report := &handoffv1.PeerReconciliation{To: peers[args.Peer].String()}
		if args.After == "" {
			args.After = beforeAll
		}
		next, err := e.comparePage(ctx, report, args.After, false)
		if err != nil {
			e.cfg.Logger.WarnContext(ctx, "handoff: the ledgers could not be compared", "to", report.GetTo(), "error", err)
		}
		for _, d := range report.GetDifferences() {
			e.cfg.Logger.WarnContext(ctx, "handoff: the ledgers differ", "handoff_id", d.GetHandoffId(), "to", d.GetTo(),
				"sender", d.GetSender(), "receiver", d.GetReceiver(), "what", d.GetDescription().GetEn(), "mended", d.GetMended())
		}
		if args.After = next; next == "" {
			args.Peer++
		}
	}
	_, err := store.Write(ctx, e.cfg.DB, func(tx store.Tx) (struct{}, error) {
		if args.Peer < len(peers) {
			return struct{}{}, e.cfg.Jobs.Insert(ctx, tx, args, jobs.Opts{})
		}
		return struct{}{}, e.nextNight(ctx, tx, latest(args.Night, time.Now()))
	})
	return err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
