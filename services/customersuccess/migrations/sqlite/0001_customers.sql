-- +goose Up
-- Ids that other departments made are text, empty where there is none; calendar dates are text YYYY-MM-DD, empty likewise.
CREATE TABLE customers (
	id                TEXT        NOT NULL PRIMARY KEY,
	version           BIGINT      NOT NULL,
	account_id        TEXT        NOT NULL,
	journey_id        TEXT        NOT NULL,
	person_id         TEXT        NOT NULL,
	company_name      TEXT        NOT NULL,
	company_domain    TEXT        NOT NULL,
	company_industry  TEXT        NOT NULL,
	company_employees BIGINT      NOT NULL,
	state             TEXT        NOT NULL,
	state_since       TIMESTAMP NOT NULL,
	rule_tier         TEXT        NOT NULL,
	rule_code         TEXT        NOT NULL,
	override_tier     TEXT        NOT NULL,
	override_until    TEXT        NOT NULL,
	override_why      TEXT,
	promising         BOOLEAN     NOT NULL,
	csm               TEXT        NOT NULL,
	currency          TEXT        NOT NULL,
	churned_date      TEXT        NOT NULL,
	open_gaps         BIGINT      NOT NULL,
	created_at        TIMESTAMP NOT NULL,
	updated_at        TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX customers_account_id_key ON customers (account_id) WHERE account_id <> '';
CREATE INDEX customers_newest ON customers (created_at, id);
CREATE INDEX customers_csm ON customers (csm, created_at, id);
CREATE INDEX customers_domain ON customers (company_domain);
CREATE INDEX customers_journey ON customers (journey_id);

CREATE TABLE customer_transitions (
	customer_id     TEXT        NOT NULL REFERENCES customers (id),
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
	PRIMARY KEY (customer_id, seq)
);

-- contact_key tells people apart: person id, mail address or name.
CREATE TABLE customer_contacts (
	customer_id TEXT        NOT NULL REFERENCES customers (id),
	role        TEXT        NOT NULL,
	contact_key TEXT        NOT NULL,
	person_id   TEXT        NOT NULL,
	person      TEXT       NOT NULL,
	created_at  TIMESTAMP NOT NULL,
	PRIMARY KEY (customer_id, role, contact_key)
);

CREATE TABLE handover_documents (
	handoff_id   TEXT        NOT NULL PRIMARY KEY,
	customer_id  TEXT        NOT NULL REFERENCES customers (id),
	journey_id   TEXT        NOT NULL,
	attempt      BIGINT      NOT NULL,
	document     TEXT       NOT NULL,
	completeness BIGINT      NOT NULL,
	gaps         TEXT       NOT NULL,
	accepted_at  TIMESTAMP NOT NULL,
	actor_kind   TEXT        NOT NULL,
	actor_id     TEXT        NOT NULL,
	actor_name   TEXT        NOT NULL
);
CREATE INDEX handover_documents_customer ON handover_documents (customer_id, accepted_at);
CREATE INDEX handover_documents_journey ON handover_documents (journey_id);

-- Not `subscriptions`: so the platform calls the readings of other departments' feeds.
CREATE TABLE customer_subscriptions (
	id             TEXT        NOT NULL PRIMARY KEY,
	customer_id    TEXT        NOT NULL REFERENCES customers (id),
	journey_id     TEXT        NOT NULL,
	handoff_id     TEXT        NOT NULL,
	opportunity_id TEXT        NOT NULL,
	state          TEXT        NOT NULL,
	currency       TEXT        NOT NULL,
	mrr            BIGINT      NOT NULL,
	start_date     TEXT        NOT NULL,
	end_date       TEXT        NOT NULL,
	renewal_date   TEXT        NOT NULL,
	signed_date    TEXT        NOT NULL,
	term_months    BIGINT      NOT NULL,
	notice_days    BIGINT      NOT NULL,
	special_terms  TEXT        NOT NULL,
	cancel_reason  TEXT        NOT NULL,
	cancel_note    TEXT        NOT NULL,
	created_at     TIMESTAMP NOT NULL,
	updated_at     TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX customer_subscriptions_handoff_id_key ON customer_subscriptions (handoff_id) WHERE handoff_id <> '';
CREATE INDEX customer_subscriptions_customer ON customer_subscriptions (customer_id, created_at, id);

CREATE TABLE customer_subscription_items (
	id              TEXT   NOT NULL PRIMARY KEY,
	subscription_id TEXT   NOT NULL REFERENCES customer_subscriptions (id),
	position        BIGINT NOT NULL,
	product         TEXT   NOT NULL,
	quantity        BIGINT NOT NULL,
	unit_price      BIGINT NOT NULL,
	discount        BIGINT NOT NULL,
	interval_months BIGINT NOT NULL
);
CREATE INDEX customer_subscription_items_subscription ON customer_subscription_items (subscription_id, position);

-- The revenue ledger. Rows are only ever inserted.
CREATE TABLE mrr_movements (
	id              TEXT        NOT NULL PRIMARY KEY,
	customer_id     TEXT        NOT NULL REFERENCES customers (id),
	subscription_id TEXT        NOT NULL REFERENCES customer_subscriptions (id),
	journey_id      TEXT        NOT NULL,
	kind            TEXT        NOT NULL,
	amount          BIGINT      NOT NULL,
	currency        TEXT        NOT NULL,
	effective_date  TEXT        NOT NULL,
	reason          TEXT        NOT NULL,
	created_at      TIMESTAMP NOT NULL,
	actor_kind      TEXT        NOT NULL,
	actor_id        TEXT        NOT NULL,
	actor_name      TEXT        NOT NULL
);
CREATE INDEX mrr_movements_customer ON mrr_movements (customer_id, created_at, id);
CREATE INDEX mrr_movements_newest ON mrr_movements (created_at, id);

-- +goose Down
DROP TABLE mrr_movements;
DROP TABLE customer_subscription_items;
DROP TABLE customer_subscriptions;
DROP TABLE handover_documents;
DROP TABLE customer_contacts;
DROP TABLE customer_transitions;
DROP TABLE customers;
