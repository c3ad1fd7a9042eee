-- +goose Up
ALTER TABLE handoff_calendars ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE handoff_calendars DROP COLUMN version;
