-- +goose Up
-- How far the subscriptions of other services are, as they said when they last connected.
CREATE TABLE feed_readers (
	name    TEXT      NOT NULL PRIMARY KEY,
	xid     INTEGER   NOT NULL,
	seq     BIGINT    NOT NULL,
	seen_at TIMESTAMP NOT NULL
);

-- Up to where events are no longer kept: one row, or none.
CREATE TABLE events_gone (
	one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	xid INTEGER NOT NULL,
	seq BIGINT NOT NULL
);

-- +goose Down
DROP TABLE events_gone;
DROP TABLE feed_readers;
