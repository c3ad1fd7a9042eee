-- +goose Up
-- A person is known by match_key: m:<normalised mail>, or without one p:<phone>|<name key>.
CREATE TABLE people (
	id          TEXT      NOT NULL PRIMARY KEY,
	match_key   TEXT      NOT NULL,
	full_name   TEXT      NOT NULL,
	family      TEXT      NOT NULL,
	given       TEXT      NOT NULL,
	family_kana TEXT      NOT NULL,
	given_kana  TEXT      NOT NULL,
	mail        TEXT      NOT NULL,
	phone       TEXT      NOT NULL,
	title       TEXT      NOT NULL,
	consents    TEXT,
	created_at  TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX people_match_key_key ON people (match_key);

-- A company is known by match_key: d:<web domain>, or without one n:<name key>.
CREATE TABLE companies (
	id         TEXT      NOT NULL PRIMARY KEY,
	match_key  TEXT      NOT NULL,
	name_key   TEXT      NOT NULL,
	name       TEXT      NOT NULL,
	domain     TEXT      NOT NULL,
	industry   TEXT      NOT NULL,
	employees  BIGINT    NOT NULL,
	created_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX companies_match_key_key ON companies (match_key);
CREATE INDEX companies_name_key ON companies (name_key);

CREATE TABLE leads (
	id                TEXT      NOT NULL PRIMARY KEY,
	journey_id        TEXT      NOT NULL,
	person_id         TEXT      NOT NULL REFERENCES people (id),
	company_id        TEXT      REFERENCES companies (id),
	import_id         TEXT,
	state             TEXT      NOT NULL,
	state_since       TIMESTAMP NOT NULL,
	source            TEXT      NOT NULL,
	first_channel     TEXT      NOT NULL,
	first_touch       TEXT      NOT NULL,
	last_touch        TEXT      NOT NULL,
	touch_count       BIGINT    NOT NULL,
	transition_count  BIGINT    NOT NULL,
	score             TEXT      NOT NULL,
	qualifying_action TEXT      NOT NULL,
	hot               BOOLEAN   NOT NULL,
	missing           TEXT,
	exclusion         TEXT,
	handoff_id        TEXT,
	chain_id          TEXT,
	recycle_count     BIGINT    NOT NULL,
	last_reason       TEXT      NOT NULL,
	wake_at           TIMESTAMP,
	notes             TEXT      NOT NULL,
	version           BIGINT    NOT NULL,
	created_at        TIMESTAMP NOT NULL,
	updated_at        TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX leads_person_id_key ON leads (person_id);
CREATE UNIQUE INDEX leads_journey_id_key ON leads (journey_id);
CREATE INDEX leads_state ON leads (state, id);
CREATE INDEX leads_channel ON leads (first_channel, id);
CREATE INDEX leads_company ON leads (company_id, id);
CREATE INDEX leads_import ON leads (import_id, id) WHERE import_id IS NOT NULL;

CREATE TABLE lead_touches (
	lead_id       TEXT      NOT NULL,
	seq           BIGINT    NOT NULL,
	channel       TEXT      NOT NULL,
	campaign      TEXT      NOT NULL,
	action        TEXT      NOT NULL,
	at            TIMESTAMP NOT NULL,
	source        TEXT      NOT NULL,
	submission_id TEXT,
	recorded_at   TIMESTAMP NOT NULL,
	PRIMARY KEY (lead_id, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX lead_touches_submission_id_key ON lead_touches (submission_id) WHERE submission_id IS NOT NULL;

CREATE TABLE lead_transitions (
	lead_id         TEXT      NOT NULL,
	seq             BIGINT    NOT NULL,
	from_state      TEXT      NOT NULL,
	to_state        TEXT      NOT NULL,
	at              TIMESTAMP NOT NULL,
	actor_kind      TEXT      NOT NULL,
	actor_id        TEXT      NOT NULL,
	actor_name      TEXT      NOT NULL,
	reason          TEXT      NOT NULL,
	note            TEXT      NOT NULL,
	time_in_from_us BIGINT    NOT NULL, -- microseconds spent in from_state
	PRIMARY KEY (lead_id, seq)
) WITHOUT ROWID;

-- What people agreed to: rows are only ever added.
CREATE TABLE consent_records (
	id          TEXT      NOT NULL PRIMARY KEY,
	person_id   TEXT      NOT NULL,
	channel     TEXT      NOT NULL,
	granted     BOOLEAN   NOT NULL,
	basis       TEXT      NOT NULL,
	at          TIMESTAMP NOT NULL,
	source      TEXT      NOT NULL,
	actor_id    TEXT      NOT NULL,
	recorded_at TIMESTAMP NOT NULL
);
CREATE INDEX consent_records_person ON consent_records (person_id, id);

CREATE TABLE exclusion_rules (
	id              TEXT      NOT NULL PRIMARY KEY,
	kind            TEXT      NOT NULL,
	domain          TEXT      NOT NULL,
	note            TEXT      NOT NULL,
	created_at      TIMESTAMP NOT NULL,
	created_by_kind TEXT      NOT NULL,
	created_by_id   TEXT      NOT NULL,
	created_by_name TEXT      NOT NULL
);
CREATE UNIQUE INDEX exclusion_rules_domain_key ON exclusion_rules (domain);

CREATE TABLE lead_imports (
	id              TEXT      NOT NULL PRIMARY KEY,
	filename        TEXT      NOT NULL,
	state           TEXT      NOT NULL,
	encoding        TEXT      NOT NULL,
	source          TEXT      NOT NULL,
	dry_run         BOOLEAN   NOT NULL,
	size_bytes      BIGINT    NOT NULL,
	total_rows      BIGINT    NOT NULL,
	processed_rows  BIGINT    NOT NULL,
	created_count   BIGINT    NOT NULL,
	duplicate_count BIGINT    NOT NULL,
	excluded_count  BIGINT    NOT NULL,
	invalid_count   BIGINT    NOT NULL,
	columns         TEXT      NOT NULL,
	error           TEXT,
	created_at      TIMESTAMP NOT NULL,
	finished_at     TIMESTAMP,
	created_by_kind TEXT      NOT NULL,
	created_by_id   TEXT      NOT NULL,
	created_by_name TEXT      NOT NULL
);

CREATE TABLE lead_import_files (
	import_id TEXT NOT NULL PRIMARY KEY,
	content   BLOB NOT NULL
);

CREATE TABLE lead_import_rows (
	import_id TEXT   NOT NULL,
	row_no    BIGINT NOT NULL,
	line      BIGINT NOT NULL,
	outcome   TEXT   NOT NULL,
	lead_id   TEXT,
	problems  TEXT,
	warnings  TEXT,
	PRIMARY KEY (import_id, row_no)
) WITHOUT ROWID;

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
