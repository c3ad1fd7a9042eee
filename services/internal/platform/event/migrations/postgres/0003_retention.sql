-- +goose Up
-- How far the subscriptions of other services are, as they said when they last connected.
CREATE TABLE feed_readers (
	name    text        COLLATE "C" PRIMARY KEY,
	xid     xid8        NOT NULL,
	seq     bigint      NOT NULL,
	seen_at timestamptz NOT NULL
);

-- Up to where events are no longer kept: one row, or none.
CREATE TABLE events_gone (
	one bigint PRIMARY KEY CHECK (one = 1),
	xid xid8   NOT NULL,
	seq bigint NOT NULL
);

-- +goose Down
DROP TABLE events_gone;
DROP TABLE feed_readers;
