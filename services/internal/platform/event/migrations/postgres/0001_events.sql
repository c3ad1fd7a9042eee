-- +goose Up
-- The feed is read in the order (xid, seq): sequence numbers alone become visible out of order.
CREATE TABLE events (
	xid             xid8        NOT NULL DEFAULT pg_current_xact_id(),
	seq             bigserial   NOT NULL,
	id              uuid        NOT NULL,
	type            text        COLLATE "C" NOT NULL,
	subject         text        COLLATE "C" NOT NULL,
	subject_version bigint      NOT NULL,
	journey_id      text        COLLATE "C" NOT NULL,
	actor_kind      text        NOT NULL,
	actor_id        text        NOT NULL,
	actor_name      text        NOT NULL,
	cause           text        NOT NULL,
	traceparent     text        NOT NULL,
	at              timestamptz NOT NULL,
	data            bytea       NOT NULL,
	PRIMARY KEY (xid, seq)
);
CREATE INDEX events_subject ON events (subject, xid, seq);

CREATE TABLE subscriptions (
	name          text        COLLATE "C" PRIMARY KEY,
	source        text        NOT NULL,
	cursor        text        NOT NULL,
	moved_at      timestamptz,
	last_event_at timestamptz,
	holder        text        NOT NULL,
	lease_until   timestamptz NOT NULL,
	last_error    text        NOT NULL
);

CREATE TABLE parked_events (
	subscription text        COLLATE "C" NOT NULL,
	position     bigint      NOT NULL,
	event_id     uuid        NOT NULL,
	subject      text        COLLATE "C" NOT NULL,
	event        bytea       NOT NULL,
	error        text        NOT NULL,
	attempts     bigint      NOT NULL,
	parked_at    timestamptz NOT NULL,
	PRIMARY KEY (subscription, position)
);
CREATE INDEX parked_events_subject ON parked_events (subscription, subject, position);

-- +goose Down
DROP TABLE parked_events;
DROP TABLE subscriptions;
DROP TABLE events;
