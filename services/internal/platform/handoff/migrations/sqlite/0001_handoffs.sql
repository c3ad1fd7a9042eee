-- +goose Up
-- Both ledgers: side OUT are the handoffs this department offered, IN those it was offered. body is the message
-- tasuki.handoff.v1.Handoff as it stands; the columns beside it are what is searched, counted and timed.
CREATE TABLE handoffs (
	id                  TEXT        NOT NULL PRIMARY KEY,
	side                TEXT        NOT NULL CHECK (side IN ('OUT', 'IN')),
	kind                TEXT        NOT NULL,
	chain_id            TEXT        NOT NULL,
	attempt             BIGINT      NOT NULL,
	journey_id          TEXT        NOT NULL,
	person_id           TEXT        NOT NULL,
	account_id          TEXT        NOT NULL,
	from_department     TEXT        NOT NULL,
	to_department       TEXT        NOT NULL,
	queue               TEXT        NOT NULL,
	assignee            TEXT        NOT NULL,
	state               TEXT        NOT NULL,
	delivery            TEXT        NOT NULL,
	reason              TEXT        NOT NULL,
	completeness        BIGINT      NOT NULL,
	offered_at          TIMESTAMP   NOT NULL,
	accept_due_at       TIMESTAMP,
	first_action_due_at TIMESTAMP,
	decided_at          TIMESTAMP,
	fulfilled_at        TIMESTAMP,
	policy              TEXT        NOT NULL,
	calendar            TEXT        NOT NULL,
	sender_subject      TEXT        NOT NULL,
	receiver_subject    TEXT        NOT NULL,
	version             BIGINT      NOT NULL,
	updated_at          TIMESTAMP   NOT NULL,
	body                BLOB        NOT NULL
);
CREATE INDEX handoffs_offered ON handoffs (side, offered_at, id);
CREATE INDEX handoffs_state ON handoffs (side, state, offered_at, id);
CREATE INDEX handoffs_assignee ON handoffs (assignee, offered_at, id);
CREATE INDEX handoffs_journey ON handoffs (journey_id);

CREATE TABLE handoff_attempts (
	handoff_id TEXT        NOT NULL,
	number     BIGINT      NOT NULL,
	state      TEXT        NOT NULL,
	reason     TEXT        NOT NULL,
	offered_at TIMESTAMP   NOT NULL,
	decided_at TIMESTAMP,
	body       BLOB        NOT NULL,
	PRIMARY KEY (handoff_id, number)
);

CREATE TABLE handoff_transitions (
	handoff_id   TEXT        NOT NULL,
	version      BIGINT      NOT NULL,
	attempt      BIGINT      NOT NULL,
	from_state   TEXT        NOT NULL,
	to_state     TEXT        NOT NULL,
	at           TIMESTAMP   NOT NULL,
	actor_kind   TEXT        NOT NULL,
	actor_id     TEXT        NOT NULL,
	actor_name   TEXT        NOT NULL,
	reason       TEXT        NOT NULL,
	note         TEXT        NOT NULL,
	time_in_from BIGINT      NOT NULL, -- microseconds
	PRIMARY KEY (handoff_id, version)
);

CREATE TABLE handoff_reasons (
	kind            TEXT    NOT NULL,
	code            TEXT    NOT NULL,
	label_ja        TEXT    NOT NULL,
	label_en        TEXT    NOT NULL,
	action          TEXT    NOT NULL,
	wake_after_days BIGINT  NOT NULL,
	counts_against  BOOLEAN NOT NULL,
	PRIMARY KEY (kind, code)
);

-- +goose Down
DROP TABLE handoff_reasons;
DROP TABLE handoff_transitions;
DROP TABLE handoff_attempts;
DROP TABLE handoffs;
