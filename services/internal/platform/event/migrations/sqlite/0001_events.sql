-- +goose Up
-- One transaction writes at a time, so seq alone is in the order of the commits; xid is only there to be like PostgreSQL.
CREATE TABLE events (
	xid             INTEGER   NOT NULL DEFAULT 0,
	seq             INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
	id              TEXT      NOT NULL,
	type            TEXT      NOT NULL,
	subject         TEXT      NOT NULL,
	subject_version BIGINT    NOT NULL,
	journey_id      TEXT      NOT NULL,
	actor_kind      TEXT      NOT NULL,
	actor_id        TEXT      NOT NULL,
	actor_name      TEXT      NOT NULL,
	cause           TEXT      NOT NULL,
	traceparent     TEXT      NOT NULL,
	at              TIMESTAMP NOT NULL,
	data            BLOB      NOT NULL
);
CREATE INDEX events_subject ON events (subject, seq);

CREATE TABLE subscriptions (
	name          TEXT      NOT NULL PRIMARY KEY,
	source        TEXT      NOT NULL,
	cursor        TEXT      NOT NULL,
	moved_at      TIMESTAMP,
	last_event_at TIMESTAMP,
	holder        TEXT      NOT NULL,
	lease_until   TIMESTAMP NOT NULL,
	last_error    TEXT      NOT NULL
);

CREATE TABLE parked_events (
	subscription TEXT      NOT NULL,
	position     BIGINT    NOT NULL,
	event_id     TEXT      NOT NULL,
	subject      TEXT      NOT NULL,
	event        BLOB      NOT NULL,
	error        TEXT      NOT NULL,
	attempts     BIGINT    NOT NULL,
	parked_at    TIMESTAMP NOT NULL,
	PRIMARY KEY (subscription, position)
);
CREATE INDEX parked_events_subject ON parked_events (subscription, subject, position);

-- +goose Down
DROP TABLE parked_events;
DROP TABLE subscriptions;
DROP TABLE events;
