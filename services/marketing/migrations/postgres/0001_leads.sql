-- +goose Up
-- A person is known by match_key: m:<normalised mail>, or without one p:<phone>|<name key>.
CREATE TABLE people (
	id          uuid        PRIMARY KEY,
	match_key   text        COLLATE "C" NOT NULL,
	full_name   text        NOT NULL,
	family      text        NOT NULL,
	given       text        NOT NULL,
	family_kana text        NOT NULL,
	given_kana  text        NOT NULL,
	mail        text        NOT NULL,
	phone       text        NOT NULL,
	title       text        NOT NULL,
	consents    jsonb,
	created_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX people_match_key_key ON people (match_key);

-- A company is known by match_key: d:<web domain>, or without one n:<name key>.
CREATE TABLE companies (
	id         uuid        PRIMARY KEY,
	match_key  text        COLLATE "C" NOT NULL,
	name_key   text        COLLATE "C" NOT NULL,
	name       text        NOT NULL,
	domain     text        COLLATE "C" NOT NULL,
	industry   text        NOT NULL,
	employees  bigint      NOT NULL,
	created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX companies_match_key_key ON companies (match_key);
CREATE INDEX companies_name_key ON companies (name_key);

CREATE TABLE leads (
	id                uuid        PRIMARY KEY,
	journey_id        uuid        NOT NULL,
	person_id         uuid        NOT NULL REFERENCES people (id),
	company_id        uuid        REFERENCES companies (id),
	import_id         uuid,
	state             text        COLLATE "C" NOT NULL,
	state_since       timestamptz NOT NULL,
	source            text        NOT NULL,
	first_channel     text        COLLATE "C" NOT NULL,
	first_touch       jsonb       NOT NULL,
	last_touch        jsonb       NOT NULL,
	touch_count       bigint      NOT NULL,
	transition_count  bigint      NOT NULL,
	score             jsonb       NOT NULL,
	qualifying_action text        NOT NULL,
	hot               boolean     NOT NULL,
	missing           jsonb,
	exclusion         jsonb,
	handoff_id        uuid,
	chain_id          uuid,
	recycle_count     bigint      NOT NULL,
	last_reason       text        NOT NULL,
	wake_at           timestamptz,
	notes             text        NOT NULL,
	version           bigint      NOT NULL,
	created_at        timestamptz NOT NULL,
	updated_at        timestamptz NOT NULL
);
CREATE UNIQUE INDEX leads_person_id_key ON leads (person_id);
CREATE UNIQUE INDEX leads_journey_id_key ON leads (journey_id);
CREATE INDEX leads_state ON leads (state, id);
CREATE INDEX leads_channel ON leads (first_channel, id);
CREATE INDEX leads_company ON leads (company_id, id);
CREATE INDEX leads_import ON leads (import_id, id) WHERE import_id IS NOT NULL;

CREATE TABLE lead_touches (
	lead_id       uuid        NOT NULL,
	seq           bigint      NOT NULL,
	channel       text        NOT NULL,
	campaign      text        NOT NULL,
	action        text        NOT NULL,
	at            timestamptz NOT NULL,
	source        text        NOT NULL,
	submission_id text        COLLATE "C",
	recorded_at   timestamptz NOT NULL,
	PRIMARY KEY (lead_id, seq)
);
CREATE UNIQUE INDEX lead_touches_submission_id_key ON lead_touches (submission_id) WHERE submission_id IS NOT NULL;

CREATE TABLE lead_transitions (
	lead_id         uuid        NOT NULL,
	seq             bigint      NOT NULL,
	from_state      text        NOT NULL,
	to_state        text        NOT NULL,
	at              timestamptz NOT NULL,
	actor_kind      text        NOT NULL,
	actor_id        text        NOT NULL,
	actor_name      text        NOT NULL,
	reason          text        NOT NULL,
	note            text        NOT NULL,
	time_in_from_us bigint      NOT NULL, -- microseconds spent in from_state
	PRIMARY KEY (lead_id, seq)
);

-- What people agreed to: rows are only ever added.
CREATE TABLE consent_records (
	id          uuid        PRIMARY KEY,
	person_id   uuid        NOT NULL,
	channel     text        NOT NULL,
	granted     boolean     NOT NULL,
	basis       text        NOT NULL,
	at          timestamptz NOT NULL,
	source      text        NOT NULL,
	actor_id    text        NOT NULL,
	recorded_at timestamptz NOT NULL
);
CREATE INDEX consent_records_person ON consent_records (person_id, id);

CREATE TABLE exclusion_rules (
	id              uuid        PRIMARY KEY,
	kind            text        NOT NULL,
	domain          text        COLLATE "C" NOT NULL,
	note            text        NOT NULL,
	created_at      timestamptz NOT NULL,
	created_by_kind text        NOT NULL,
	created_by_id   text        NOT NULL,
	created_by_name text        NOT NULL
);
CREATE UNIQUE INDEX exclusion_rules_domain_key ON exclusion_rules (domain);

CREATE TABLE lead_imports (
	id              uuid        PRIMARY KEY,
	filename        text        NOT NULL,
	state           text        NOT NULL,
	encoding        text        NOT NULL,
	source          text        NOT NULL,
	dry_run         boolean     NOT NULL,
	size_bytes      bigint      NOT NULL,
	total_rows      bigint      NOT NULL,
	processed_rows  bigint      NOT NULL,
	created_count   bigint      NOT NULL,
	duplicate_count bigint      NOT NULL,
	excluded_count  bigint      NOT NULL,
	invalid_count   bigint      NOT NULL,
	columns         jsonb       NOT NULL,
	error           jsonb,
	created_at      timestamptz NOT NULL,
	finished_at     timestamptz,
	created_by_kind text        NOT NULL,
	created_by_id   text        NOT NULL,
	created_by_name text        NOT NULL
);

CREATE TABLE lead_import_files (
	import_id uuid  PRIMARY KEY,
	content   bytea NOT NULL
);

CREATE TABLE lead_import_rows (
	import_id uuid   NOT NULL,
	row_no    bigint NOT NULL,
	line      bigint NOT NULL,
	outcome   text   NOT NULL,
	lead_id   uuid,
	problems  jsonb,
	warnings  jsonb,
	PRIMARY KEY (import_id, row_no)
);

-- +goose Down
DROP TABLE lead_import_rows;
DROP TABLE lead_import_files;
DROP TABLE lead_imports;
DROP TABLE exclusion_rules;
DROP TABLE consent_records;
DROP TABLE lead_transitions;
DROP TABLE lead_touches;
DROP TABLE leads;
DROP TABLE companies;
DROP TABLE people;
