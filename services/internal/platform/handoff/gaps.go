package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// remindEvery is how many business minutes lie between two reminders of the same gaps: one business day of nine hours.
const remindEvery = 9 * 60

type gapRow struct {
	Path                             string
	DueAt, ClosedAt                  *time.Time
	ClosedKind, ClosedID, ClosedName string
	Note                             string
	Reminders                        int64
}

const selectGaps = `SELECT path, due_at, closed_at, closed_kind, closed_id, closed_name, note, reminders FROM handoff_gaps`

func (g gapRow) proto() *handoffv1.Gap {
	out := &handoffv1.Gap{Path: g.Path, Note: g.Note, Reminders: int32(g.Reminders)}
	if g.DueAt != nil {
		out.DueAt = timestamppb.New(*g.DueAt)
	}
	if g.ClosedAt != nil {
		out.ClosedAt = timestamppb.New(*g.ClosedAt)
		out.ClosedBy = access.Actor{Kind: access.Kind(g.ClosedKind), ID: g.ClosedID, Name: g.ClosedName}.Proto()
	}
	return out
}

// openGaps writes down what was missing at acceptance, and leaves the job that reminds of it.
func (e *Engine) openGaps(ctx context.Context, tx store.Tx, h *handoffv1.Handoff, p *policy, paths []string, now time.Time) error {
	if len(paths) == 0 {
		return nil
	}
	var due *time.Time
	if p != nil && p.GapsWithin > 0 {
		d := p.business.Add(now, minutes(p.GapsWithin))
		due = &d
	}
	for _, path := range paths {
		tx.Queue(`INSERT INTO handoff_gaps (handoff_id, path, due_at, closed_kind, closed_id, closed_name, note, reminders)
			VALUES ($1, $2, $3, '', '', '', '', 0)`, h.GetId(), path, due)
	}
	if due == nil {
		return nil
	}
	return e.cfg.Jobs.Insert(ctx, tx, remindArgs{HandoffID: h.GetId(), At: *due}, jobs.Opts{RunAt: *due})
}

// remindArgs are those of the job that reminds of open gaps.
type remindArgs struct {
	HandoffID string `json:"handoff_id"`
	// Number is how many reminders there were before: a job that runs twice reminds once.
	Number int64 `json:"number"`
	// At is when it is time to remind.
	At time.Time `json:"at"`
}

// Kind implements jobs.Args.
func (remindArgs) Kind() string { return "handoff.gaps" }

// remind tells which gaps are overdue, and comes again a business day later for as long as there are any.
func (e *Engine) remind(ctx context.Context, job *jobs.Job[remindArgs]) error {
	early, err := store.Write(ctx, e.cfg.DB, func(tx store.Tx) (time.Duration, error) {
		r, err := find(ctx, tx, job.Args.HandoffID, true)
		if err != nil || r == nil {
			return 0, err
		}
		open, err := store.Select[gapRow](ctx, tx, selectGaps+` WHERE handoff_id = $1 AND closed_at IS NULL AND due_at IS NOT NULL
			AND reminders = $2 ORDER BY path`, job.Args.HandoffID, job.Args.Number)
		if err != nil || len(open) == 0 {
			return 0, err
		}
		now := e.cfg.Clock.Now()
		if now.Before(job.Args.At) {
			return job.Args.At.Sub(now), nil
		}
		p, err := policyFor(ctx, tx, r.h)
		if err != nil || p == nil {
			return 0, err
		}
		told := &handoffv1.HandoffGapsDue{Handoff: r.h}
		for _, g := range open {
			g.Reminders++
			told.Gaps = append(told.Gaps, g.proto())
		}
		tx.Queue(`UPDATE handoff_gaps SET reminders = reminders + 1 WHERE handoff_id = $1 AND closed_at IS NULL AND due_at IS NOT NULL
			AND reminders = $2`, job.Args.HandoffID, job.Args.Number)
		if err := e.tell(event.WithCause(ctx, r.h.GetId()), tx, r, told); err != nil {
			return 0, err
		}
		next := remindArgs{HandoffID: job.Args.HandoffID, Number: job.Args.Number + 1, At: p.business.Add(now, minutes(remindEvery))}
		return 0, e.cfg.Jobs.Insert(ctx, tx, next, jobs.Opts{RunAt: next.At})
	})
	if err != nil {
		return fmt.Errorf("handoff: gaps of %s: %w", job.Args.HandoffID, err)
	}
	if early > 0 {
		return jobs.Again(min(early, lookAgain))
	}
	return nil
}

// ListGaps implements HandoffDeskService.
func (d *desk) ListGaps(ctx context.Context, req *handoffv1.ListGapsRequest) (*handoffv1.ListGapsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	rows, err := store.Read(ctx, d.e.cfg.DB, func(tx store.Tx) ([]gapRow, error) {
		if _, err := d.e.Get(ctx, tx, req.GetId()); err != nil {
			return nil, err
		}
		sql := selectGaps + ` WHERE handoff_id = $1 AND path > $2`
		if req.GetOpen() {
			sql += ` AND closed_at IS NULL`
		}
		return store.Select[gapRow](ctx, tx, sql+` ORDER BY path LIMIT $3`, req.GetId(), after, int64(limit)+1)
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(last gapRow) string { return query.Encode(last.Path) })
	resp := &handoffv1.ListGapsResponse{NextPageToken: next}
	for _, g := range rows {
		resp.Gaps = append(resp.Gaps, g.proto())
	}
	return resp, nil
}

// CloseGap implements HandoffDeskService.
func (d *desk) CloseGap(ctx context.Context, req *handoffv1.CloseGapRequest) (*handoffv1.Gap, error) {
	return store.Write(ctx, d.e.cfg.DB, func(tx store.Tx) (*handoffv1.Gap, error) {
		r, err := mustFind(ctx, tx, req.GetId()) // the lock keeps two from closing it
		if err != nil {
			return nil, err
		}
		g, err := store.Get[gapRow](ctx, tx, selectGaps+` WHERE handoff_id = $1 AND path = $2`, req.GetId(), req.GetPath())
		switch {
		case errors.Is(err, store.ErrNoRows):
			return nil, problem.NotFound("gap", req.GetPath())
		case err != nil:
			return nil, err
		case g.ClosedAt != nil:
			return g.proto(), nil
		}
		now, by := d.e.cfg.Clock.Now(), access.ActorOf(ctx)
		g.ClosedAt, g.ClosedKind, g.ClosedID, g.ClosedName, g.Note = &now, string(by.Kind), by.ID, by.Name, req.GetNote()
		tx.Queue(`UPDATE handoff_gaps SET closed_at = $3, closed_kind = $4, closed_id = $5, closed_name = $6, note = $7
			WHERE handoff_id = $1 AND path = $2`, req.GetId(), req.GetPath(), now, g.ClosedKind, g.ClosedID, g.ClosedName, g.Note)
		return g.proto(), d.e.tell(ctx, tx, r, &handoffv1.HandoffGapClosed{Handoff: r.h, Gap: g.proto()})
	})
}
