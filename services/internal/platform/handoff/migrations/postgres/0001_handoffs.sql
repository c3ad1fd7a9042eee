-- +goose Up
-- Both ledgers: side OUT are the handoffs this department offered, IN those it was offered. body is the message
-- tasuki.handoff.v1.Handoff as it stands; the columns beside it are what is searched, counted and timed.
CREATE TABLE handoffs (
	id                  uuid        PRIMARY KEY,
	side                text        NOT NULL CHECK (side IN ('OUT', 'IN')),
	kind                text        NOT NULL,
	chain_id            uuid        NOT NULL,
	attempt             bigint      NOT NULL,
	journey_id          text        NOT NULL,
	person_id           text        NOT NULL,
	account_id          text        NOT NULL,
	from_department     text        NOT NULL,
	to_department       text        NOT NULL,
	queue               text        NOT NULL,
	assignee            text        NOT NULL,
	state               text        NOT NULL,
	delivery            text        NOT NULL,
	reason              text        NOT NULL,
	completeness        bigint      NOT NULL,
	offered_at          timestamptz NOT NULL,
	accept_due_at       timestamptz,
	first_action_due_at timestamptz,
	decided_at          timestamptz,
	fulfilled_at        timestamptz,
	policy              text        NOT NULL,
	calendar            text        NOT NULL,
	sender_subject      text        NOT NULL,
	receiver_subject    text        NOT NULL,
	version             bigint      NOT NULL,
	updated_at          timestamptz NOT NULL,
	body                bytea       NOT NULL
);
CREATE INDEX handoffs_offered ON handoffs (side, offered_at, id);
CREATE INDEX handoffs_state ON handoffs (side, state, offered_at, id);
CREATE INDEX handoffs_assignee ON handoffs (assignee, offered_at, id);
CREATE INDEX handoffs_journey ON handoffs (journey_id);

CREATE TABLE handoff_attempts (
	handoff_id uuid        NOT NULL,
	number     bigint      NOT NULL,
	state      text        NOT NULL,
	reason     text        NOT NULL,
	offered_at timestamptz NOT NULL,
	decided_at timestamptz,
	body       bytea       NOT NULL,
	PRIMARY KEY (handoff_id, number)
);

CREATE TABLE handoff_transitions (
	handoff_id   uuid        NOT NULL,
	version      bigint      NOT NULL,
	attempt      bigint      NOT NULL,
	from_state   text        NOT NULL,
	to_state     text        NOT NULL,
	at           timestamptz NOT NULL,
	actor_kind   text        NOT NULL,
	actor_id     text        NOT NULL,
	actor_name   text        NOT NULL,
	reason       text        NOT NULL,
	note         text        NOT NULL,
	time_in_from bigint      NOT NULL, -- microseconds
	PRIMARY KEY (handoff_id, version)
);

CREATE TABLE handoff_reasons (
	kind            text    COLLATE "C" NOT NULL,
	code            text    COLLATE "C" NOT NULL,
	label_ja        text    NOT NULL,
	label_en        text    NOT NULL,
	action          text    NOT NULL,
	wake_after_days bigint  NOT NULL,
	counts_against  boolean NOT NULL,
	PRIMARY KEY (kind, code)
);

-- +goose Down
DROP TABLE handoff_reasons;
DROP TABLE handoff_transitions;
DROP TABLE handoff_attempts;
DROP TABLE handoffs;
