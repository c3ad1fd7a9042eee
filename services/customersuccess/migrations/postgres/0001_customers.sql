-- +goose Up
-- Ids that other departments made are text, empty where there is none; calendar dates are text YYYY-MM-DD, empty likewise.
CREATE TABLE customers (
	id                uuid        NOT NULL PRIMARY KEY,
	version           bigint      NOT NULL,
	account_id        text        COLLATE "C" NOT NULL,
	journey_id        text        COLLATE "C" NOT NULL,
	person_id         text        COLLATE "C" NOT NULL,
	company_name      text        NOT NULL,
	company_domain    text        COLLATE "C" NOT NULL,
	company_industry  text        NOT NULL,
	company_employees bigint      NOT NULL,
	state             text        NOT NULL,
	state_since       timestamptz NOT NULL,
	rule_tier         text        NOT NULL,
	rule_code         text        NOT NULL,
	override_tier     text        NOT NULL,
	override_until    text        COLLATE "C" NOT NULL,
	override_why      jsonb,
	promising         boolean     NOT NULL,
	csm               text        COLLATE "C" NOT NULL,
	currency          text        NOT NULL,
	churned_date      text        COLLATE "C" NOT NULL,
	open_gaps         bigint      NOT NULL,
	created_at        timestamptz NOT NULL,
	updated_at        timestamptz NOT NULL
);
CREATE UNIQUE INDEX customers_account_id_key ON customers (account_id) WHERE account_id <> '';
CREATE INDEX customers_newest ON customers (created_at, id);
CREATE INDEX customers_csm ON customers (csm, created_at, id);
CREATE INDEX customers_domain ON customers (company_domain);
CREATE INDEX customers_journey ON customers (journey_id);

CREATE TABLE customer_transitions (
	customer_id     uuid        NOT NULL REFERENCES customers (id),
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
	PRIMARY KEY (customer_id, seq)
);

-- contact_key tells people apart: person id, mail address or name.
CREATE TABLE customer_contacts (
	customer_id uuid        NOT NULL REFERENCES customers (id),
	role        text        COLLATE "C" NOT NULL,
	contact_key text        COLLATE "C" NOT NULL,
	person_id   text        COLLATE "C" NOT NULL,
	person      jsonb       NOT NULL,
	created_at  timestamptz NOT NULL,
	PRIMARY KEY (customer_id, role, contact_key)
);

CREATE TABLE handover_documents (
	handoff_id   text        COLLATE "C" NOT NULL PRIMARY KEY,
	customer_id  uuid        NOT NULL REFERENCES customers (id),
	journey_id   text        COLLATE "C" NOT NULL,
	attempt      bigint      NOT NULL,
	document     jsonb       NOT NULL,
	completeness bigint      NOT NULL,
	gaps         jsonb       NOT NULL,
	accepted_at  timestamptz NOT NULL,
	actor_kind   text        NOT NULL,
	actor_id     text        NOT NULL,
	actor_name   text        NOT NULL
);
CREATE INDEX handover_documents_customer ON handover_documents (customer_id, accepted_at);
CREATE INDEX handover_documents_journey ON handover_documents (journey_id);

-- Not `subscriptions`: so the platform calls the readings of other departments' feeds.
CREATE TABLE customer_subscriptions (
	id             uuid        NOT NULL PRIMARY KEY,
	customer_id    uuid        NOT NULL REFERENCES customers (id),
	journey_id     text        COLLATE "C" NOT NULL,
	handoff_id     text        COLLATE "C" NOT NULL,
	opportunity_id text        COLLATE "C" NOT NULL,
	state          text        NOT NULL,
	currency       text        NOT NULL,
	mrr            bigint      NOT NULL,
	start_date     text        COLLATE "C" NOT NULL,
	end_date       text        COLLATE "C" NOT NULL,
	renewal_date   text        COLLATE "C" NOT NULL,
	signed_date    text        COLLATE "C" NOT NULL,
	term_months    bigint      NOT NULL,
	notice_days    bigint      NOT NULL,
	special_terms  text        NOT NULL,
	cancel_reason  text        NOT NULL,
	cancel_note    text        NOT NULL,
	created_at     timestamptz NOT NULL,
	updated_at     timestamptz NOT NULL
);
CREATE UNIQUE INDEX customer_subscriptions_handoff_id_key ON customer_subscriptions (handoff_id) WHERE handoff_id <> '';
CREATE INDEX customer_subscriptions_customer ON customer_subscriptions (customer_id, created_at, id);

CREATE TABLE customer_subscription_items (
	id              uuid   NOT NULL PRIMARY KEY,
	subscription_id uuid   NOT NULL REFERENCES customer_subscriptions (id),
	position        bigint NOT NULL,
	product         text   NOT NULL,
	quantity        bigint NOT NULL,
	unit_price      bigint NOT NULL,
	discount        bigint NOT NULL,
	interval_months bigint NOT NULL
);
CREATE INDEX customer_subscription_items_subscription ON customer_subscription_items (subscription_id, position);

-- The revenue ledger. Rows are only ever inserted.
CREATE TABLE mrr_movements (
	id              uuid        NOT NULL PRIMARY KEY,
	customer_id     uuid        NOT NULL REFERENCES customers (id),
	subscription_id uuid        NOT NULL REFERENCES customer_subscriptions (id),
	journey_id      text        COLLATE "C" NOT NULL,
	kind            text        NOT NULL,
	amount          bigint      NOT NULL,
	currency        text        NOT NULL,
	effective_date  text        COLLATE "C" NOT NULL,
	reason          text        NOT NULL,
	created_at      timestamptz NOT NULL,
	actor_kind      text        NOT NULL,
	actor_id        text        NOT NULL,
	actor_name      text        NOT NULL
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
