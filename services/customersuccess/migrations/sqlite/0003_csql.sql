-- +goose Up
CREATE TABLE csqls (
	id             TEXT        NOT NULL PRIMARY KEY,
	version        BIGINT      NOT NULL,
	customer_id    TEXT        NOT NULL REFERENCES customers (id),
	account_id     TEXT        NOT NULL,
	journey_id     TEXT        NOT NULL,
	company        TEXT       NOT NULL,
	state          TEXT        NOT NULL,
	state_since    TIMESTAMP NOT NULL,
	expansion_type TEXT        NOT NULL,
	product        TEXT        NOT NULL,
	expected_minor BIGINT      NOT NULL, -- a month; 0 while not known
	expected_currency TEXT     NOT NULL,
	evidence       TEXT       NOT NULL,
	owner          TEXT        NOT NULL,
	handoff_id     TEXT        NOT NULL,
	queue          TEXT        NOT NULL,
	reason         TEXT        NOT NULL,
	action         TEXT        NOT NULL,
	note           TEXT        NOT NULL,
	missing        TEXT       NOT NULL,
	wake_at        TIMESTAMP,
	opportunity_id TEXT        NOT NULL,
	won_minor      BIGINT      NOT NULL,
	won_currency   TEXT        NOT NULL,
	created_at     TIMESTAMP NOT NULL,
	updated_at     TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX csqls_handoff_id_key ON csqls (handoff_id) WHERE handoff_id <> '';
CREATE INDEX csqls_newest ON csqls (created_at, id);
CREATE INDEX csqls_customer ON csqls (customer_id, created_at, id);
CREATE INDEX csqls_owner ON csqls (owner, created_at, id);
CREATE INDEX csqls_opportunity ON csqls (opportunity_id) WHERE opportunity_id <> '';

CREATE TABLE csql_transitions (
	csql_id         TEXT        NOT NULL REFERENCES csqls (id),
	seq             BIGINT      NOT NULL, -- the version of the thing after it
	from_state      TEXT        NOT NULL,
	to_state        TEXT        NOT NULL,
	at              TIMESTAMP NOT NULL,
	actor_kind      TEXT        NOT NULL,
	actor_id        TEXT        NOT NULL,
	actor_name      TEXT        NOT NULL,
	reason          TEXT        NOT NULL,
	note            TEXT        NOT NULL,
	time_in_from_us BIGINT      NOT NULL, -- microseconds spent in from_state
	PRIMARY KEY (csql_id, seq)
);

-- Who sells expansions to customers of a tier.
CREATE TABLE expansion_owners (
	tier TEXT NOT NULL PRIMARY KEY,
	team TEXT NOT NULL
);
INSERT INTO expansion_owners (tier, team) VALUES
	('TIER_1', 'CUSTOMER_SALES'),
	('TIER_2', 'FIELD_SALES'),
	('TIER_3', 'FIELD_SALES');

-- Reasons to look at a customer: a clock of its handover ran out.
CREATE TABLE customer_flags (
	customer_id TEXT        NOT NULL REFERENCES customers (id),
	handoff_id  TEXT        NOT NULL,
	attempt     BIGINT      NOT NULL,
	reason      TEXT        NOT NULL,
	due_at      TIMESTAMP NOT NULL,
	raised_at   TIMESTAMP NOT NULL,
	cleared_at  TIMESTAMP,
	actor_kind  TEXT        NOT NULL, -- who cleared it
	actor_id    TEXT        NOT NULL,
	actor_name  TEXT        NOT NULL,
	note        TEXT        NOT NULL,
	PRIMARY KEY (customer_id, handoff_id, attempt, reason)
);
ALTER TABLE customers ADD COLUMN open_flags BIGINT NOT NULL DEFAULT 0;
CREATE INDEX customers_flagged ON customers (created_at, id) WHERE open_flags > 0;

-- +goose Down
DROP INDEX customers_flagged;
ALTER TABLE customers DROP COLUMN open_flags;
DROP TABLE customer_flags;
DROP TABLE expansion_owners;
DROP TABLE csql_transitions;
DROP TABLE csqls;
