package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/bizclock"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

type calendarRow struct {
	Name, Config string
	Version      int64
}

const selectCalendars = `SELECT name, config, version FROM handoff_calendars`

func (row calendarRow) proto() (*handoffv1.Calendar, error) {
	var c bizclock.Config
	if err := json.Unmarshal([]byte(row.Config), &c); err != nil {
		return nil, fmt.Errorf("handoff: calendar %s: %w", row.Name, err)
	}
	return &handoffv1.Calendar{
		Name: row.Name, Zone: c.Zone, Hours: c.Hours, National: c.National, Holidays: c.Holidays,
		CompanyHolidays: c.CompanyHolidays, WorkingDays: c.WorkingDays, Etag: etag.Format(row.Version),
	}, nil
}

// configOf is a calendar as the table stores it. It refuses one that no clock can run by, with everything that is wrong.
func configOf(c *handoffv1.Calendar) (string, error) {
	config := bizclock.Config{
		Zone: c.GetZone(), Hours: c.GetHours(), National: c.GetNational(), Holidays: c.GetHolidays(),
		CompanyHolidays: c.GetCompanyHolidays(), WorkingDays: c.GetWorkingDays(),
	}
	_, err := bizclock.New(config)
	if wrong, ok := errors.AsType[*bizclock.ConfigError](err); ok {
		fields := make([]problem.Violation, len(wrong.Fields))
		for i, f := range wrong.Fields {
			fields[i] = problem.Field("calendar."+f.Field, f.Problem).Ja(f.ProblemJa)
		}
		return "", problem.Invalid(fields...)
	}
	if err != nil {
		return "", fmt.Errorf("handoff: calendar %s: %w", c.GetName(), err)
	}
	text, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("handoff: calendar %s: %w", c.GetName(), err)
	}
	return string(text), nil
}

func calendarByName(ctx context.Context, tx store.Tx, name string) (calendarRow, error) {
	row, err := store.Get[calendarRow](ctx, tx, selectCalendars+` WHERE name = $1`, name)
	if errors.Is(err, store.ErrNoRows) {
		return row, problem.NotFound("calendar", name)
	}
	return row, err
}

// ListCalendars implements HandoffDeskService.
func (d *desk) ListCalendars(ctx context.Context, req *handoffv1.ListCalendarsRequest) (*handoffv1.ListCalendarsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after string
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	rows, err := store.Read(ctx, d.e.cfg.DB, func(tx store.Tx) ([]calendarRow, error) {
		return store.Select[calendarRow](ctx, tx, selectCalendars+` WHERE name > $1 ORDER BY name LIMIT $2`, after, int64(limit)+1)
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(last calendarRow) string { return query.Encode(last.Name) })
	resp := &handoffv1.ListCalendarsResponse{NextPageToken: next}
	for _, row := range rows {
		c, err := row.proto()
		if err != nil {
			return nil, err
		}
		resp.Calendars = append(resp.Calendars, c)
	}
	return resp, nil
}

// GetCalendar implements HandoffDeskService.
func (d *desk) GetCalendar(ctx context.Context, req *handoffv1.GetCalendarRequest) (*handoffv1.Calendar, error) {
	row, err := store.Read(ctx, d.e.cfg.DB, func(tx store.Tx) (calendarRow, error) {
		return calendarByName(ctx, tx, req.GetName())
	})
	if err != nil {
		return nil, err
	}
	return row.proto()
}

// CreateCalendar implements HandoffDeskService.
func (d *desk) CreateCalendar(ctx context.Context, req *handoffv1.CreateCalendarRequest) (*handoffv1.Calendar, error) {
	name := req.GetCalendar().GetName()
	config, err := configOf(req.GetCalendar())
	if err != nil {
		return nil, err
	}
	row, err := store.Write(ctx, d.e.cfg.DB, func(tx store.Tx) (calendarRow, error) {
		store.Lock(tx, "handoff-calendar:"+name)
		_, err := calendarByName(ctx, tx, name)
		switch {
		case err == nil:
			return calendarRow{}, problem.Exists("calendar", name)
		case !problem.Is(err, problem.ReasonNotFound):
			return calendarRow{}, err
		}
		tx.Queue(`INSERT INTO handoff_calendars (name, config, version) VALUES ($1, $2, 1)`, name, config)
		return calendarRow{name, config, 1}, nil
	})
	if err != nil {
		return nil, err
	}
	return row.proto()
}

// UpdateCalendar implements HandoffDeskService.
func (d *desk) UpdateCalendar(ctx context.Context, req *handoffv1.UpdateCalendarRequest) (*handoffv1.Calendar, error) {
	name := req.GetCalendar().GetName()
	config, err := configOf(req.GetCalendar())
	if err != nil {
		return nil, err
	}
	row, err := store.Write(ctx, d.e.cfg.DB, func(tx store.Tx) (calendarRow, error) {
		store.Lock(tx, "handoff-calendar:"+name)
		row, err := calendarByName(ctx, tx, name)
		if err != nil {
			return row, err
		}
		if err := etag.Match(req.GetCalendar().GetEtag()).Check(row.Version); err != nil {
			return row, err
		}
		row.Config, row.Version = config, row.Version+1
		forgetPolicies(tx)
		tx.Queue(`UPDATE handoff_calendars SET config = $2, version = $3 WHERE name = $1`, name, row.Config, row.Version)
		return row, nil
	})
	if err != nil {
		return nil, err
	}
	return row.proto()
}
