-- +goose Up
CREATE TABLE csqls (
	id             uuid        NOT NULL PRIMARY KEY,
	version        bigint      NOT NULL,
	customer_id    uuid        NOT NULL REFERENCES customers (id),
	account_id     text        COLLATE "C" NOT NULL,
	journey_id     text        COLLATE "C" NOT NULL,
	company        jsonb       NOT NULL,
	state          text        NOT NULL,
	state_since    timestamptz NOT NULL,
	expansion_type text        NOT NULL,
	product        text        NOT NULL,
	expected_minor bigint      NOT NULL, -- a month; 0 while not known
	expected_currency text     NOT NULL,
	evidence       jsonb       NOT NULL,
	owner          text        COLLATE "C" NOT NULL,
	handoff_id     text        COLLATE "C" NOT NULL,
	queue          text        NOT NULL,
	reason         text        NOT NULL,
	action         text        NOT NULL,
	note           text        NOT NULL,
	missing        jsonb       NOT NULL,
	wake_at        timestamptz,
	opportunity_id text        COLLATE "C" NOT NULL,
	won_minor      bigint      NOT NULL,
	won_currency   text        NOT NULL,
	created_at     timestamptz NOT NULL,
	updated_at     timestamptz NOT NULL
);
CREATE UNIQUE INDEX csqls_handoff_id_key ON csqls (handoff_id) WHERE handoff_id <> '';
CREATE INDEX csqls_newest ON csqls (created_at, id);
CREATE INDEX csqls_customer ON csqls (customer_id, created_at, id);
CREATE INDEX csqls_owner ON csqls (owner, created_at, id);
CREATE INDEX csqls_opportunity ON csqls (opportunity_id) WHERE opportunity_id <> '';

CREATE TABLE csql_transitions (
	csql_id         uuid        NOT NULL REFERENCES csqls (id),
	seq             bigint      NOT NULL, -- the version of the thing after it
	from_state      text        NOT NULL,
	to_state        text        NOT NULL,
	at              timestamptz NOT NULL,
	actor_kind      text        NOT NULL,
	actor_id        text        NOT NULL,
	actor_name      text        NOT NULL,
	reason          text        NOT NULL,
	note            text        NOT NULL,
	time_in_from_us bigint      NOT NULL, -- microseconds spent in from_state
	PRIMARY KEY (csql_id, seq)
);

-- Who sells expansions to customers of a tier.
CREATE TABLE expansion_owners (
	tier text COLLATE "C" NOT NULL PRIMARY KEY,
	team text NOT NULL
);
INSERT INTO expansion_owners (tier, team) VALUES
	('TIER_1', 'CUSTOMER_SALES'),
	('TIER_2', 'FIELD_SALES'),
	('TIER_3', 'FIELD_SALES');

-- Reasons to look at a customer: a clock of its handover ran out.
CREATE TABLE customer_flags (
	customer_id uuid        NOT NULL REFERENCES customers (id),
	handoff_id  text        COLLATE "C" NOT NULL,
	attempt     bigint      NOT NULL,
	reason      text        COLLATE "C" NOT NULL,
	due_at      timestamptz NOT NULL,
	raised_at   timestamptz NOT NULL,
	cleared_at  timestamptz,
	actor_kind  text        NOT NULL, -- who cleared it
	actor_id    text        NOT NULL,
	actor_name  text        NOT NULL,
	note        text        NOT NULL,
	PRIMARY KEY (customer_id, handoff_id, attempt, reason)
);
ALTER TABLE customers ADD COLUMN open_flags bigint NOT NULL DEFAULT 0;
CREATE INDEX customers_flagged ON customers (created_at, id) WHERE open_flags > 0;

-- +goose Down
DROP INDEX customers_flagged;
ALTER TABLE customers DROP COLUMN open_flags;
DROP TABLE customer_flags;
DROP TABLE expansion_owners;
DROP TABLE csql_transitions;
DROP TABLE csqls;
