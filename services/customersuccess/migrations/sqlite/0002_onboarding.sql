-- +goose Up
CREATE TABLE onboarding_templates (
	code     TEXT NOT NULL PRIMARY KEY,
	label_ja TEXT NOT NULL,
	label_en TEXT NOT NULL
);

CREATE TABLE onboarding_template_milestones (
	template   TEXT    NOT NULL REFERENCES onboarding_templates (code),
	position   BIGINT  NOT NULL,
	code       TEXT    NOT NULL,
	label_ja   TEXT    NOT NULL,
	label_en   TEXT    NOT NULL,
	owner_side TEXT    NOT NULL,
	due_days   BIGINT  NOT NULL,
	mandatory  BOOLEAN NOT NULL,
	PRIMARY KEY (template, code)
);

CREATE TABLE onboarding_plans (
	id           TEXT        NOT NULL PRIMARY KEY,
	version      BIGINT      NOT NULL,
	customer_id  TEXT        NOT NULL REFERENCES customers (id),
	journey_id   TEXT        NOT NULL,
	handoff_id   TEXT        NOT NULL,
	template     TEXT        NOT NULL REFERENCES onboarding_templates (code),
	state        TEXT        NOT NULL,
	state_since  TIMESTAMP NOT NULL,
	start_date   TEXT        NOT NULL,
	due_date     TEXT        NOT NULL,
	next_due     TEXT        NOT NULL,
	kickoff_at   TIMESTAMP,
	completed_at TIMESTAMP,
	created_at   TIMESTAMP NOT NULL,
	updated_at   TIMESTAMP NOT NULL
);
-- A customer has one plan at a time.
CREATE UNIQUE INDEX onboarding_plans_customer_id_key ON onboarding_plans (customer_id) WHERE state IN ('PLANNED', 'IN_PROGRESS');
CREATE INDEX onboarding_plans_newest ON onboarding_plans (created_at, id);
CREATE INDEX onboarding_plans_customer ON onboarding_plans (customer_id, created_at, id);
CREATE INDEX onboarding_plans_next_due ON onboarding_plans (next_due) WHERE next_due <> '';

CREATE TABLE onboarding_milestones (
	plan_id    TEXT        NOT NULL REFERENCES onboarding_plans (id),
	position   BIGINT      NOT NULL,
	code       TEXT        NOT NULL,
	label_ja   TEXT        NOT NULL,
	label_en   TEXT        NOT NULL,
	owner_side TEXT        NOT NULL,
	due_days   BIGINT      NOT NULL,
	mandatory  BOOLEAN     NOT NULL,
	due_date   TEXT        NOT NULL,
	state      TEXT        NOT NULL,
	decided_at TIMESTAMP,
	actor_kind TEXT        NOT NULL,
	actor_id   TEXT        NOT NULL,
	actor_name TEXT        NOT NULL,
	note       TEXT        NOT NULL,
	PRIMARY KEY (plan_id, code)
);

CREATE TABLE onboarding_plan_transitions (
	plan_id         TEXT        NOT NULL REFERENCES onboarding_plans (id),
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
	PRIMARY KEY (plan_id, seq)
);

INSERT INTO onboarding_templates (code, label_ja, label_en) VALUES ('default', '標準オンボーディング', 'Standard onboarding');
INSERT INTO onboarding_template_milestones (template, position, code, label_ja, label_en, owner_side, due_days, mandatory) VALUES
	('default', 1, 'KICKOFF',     'キックオフ',       'Kickoff held',                'VENDOR',   7,  TRUE),
	('default', 2, 'FIRST_LOGIN', '初回ログイン',     'First login',                 'CUSTOMER', 10, TRUE),
	('default', 3, 'DATA_IMPORT', 'データ移行',       'Data imported',               'CUSTOMER', 14, TRUE),
	('default', 4, 'KEY_FEATURE', '主要機能の利用',   'Key feature in use',          'CUSTOMER', 21, TRUE),
	('default', 5, 'TRAINING',    '利用者研修',       'Users trained',               'VENDOR',   21, FALSE),
	('default', 6, 'FIRST_VALUE', '最初の成果の実感', 'First value seen by the customer', 'CUSTOMER', 30, TRUE);

-- +goose Down
DROP TABLE onboarding_plan_transitions;
DROP TABLE onboarding_milestones;
DROP TABLE onboarding_plans;
DROP TABLE onboarding_template_milestones;
DROP TABLE onboarding_templates;
