-- +goose Up
CREATE TABLE onboarding_templates (
	code     text COLLATE "C" NOT NULL PRIMARY KEY,
	label_ja text NOT NULL,
	label_en text NOT NULL
);

CREATE TABLE onboarding_template_milestones (
	template   text    COLLATE "C" NOT NULL REFERENCES onboarding_templates (code),
	position   bigint  NOT NULL,
	code       text    COLLATE "C" NOT NULL,
	label_ja   text    NOT NULL,
	label_en   text    NOT NULL,
	owner_side text    NOT NULL,
	due_days   bigint  NOT NULL,
	mandatory  boolean NOT NULL,
	PRIMARY KEY (template, code)
);

CREATE TABLE onboarding_plans (
	id           uuid        NOT NULL PRIMARY KEY,
	version      bigint      NOT NULL,
	customer_id  uuid        NOT NULL REFERENCES customers (id),
	journey_id   text        COLLATE "C" NOT NULL,
	handoff_id   text        COLLATE "C" NOT NULL,
	template     text        COLLATE "C" NOT NULL REFERENCES onboarding_templates (code),
	state        text        NOT NULL,
	state_since  timestamptz NOT NULL,
	start_date   text        COLLATE "C" NOT NULL,
	due_date     text        COLLATE "C" NOT NULL,
	next_due     text        COLLATE "C" NOT NULL,
	kickoff_at   timestamptz,
	completed_at timestamptz,
	created_at   timestamptz NOT NULL,
	updated_at   timestamptz NOT NULL
);
-- A customer has one plan at a time.
CREATE UNIQUE INDEX onboarding_plans_customer_id_key ON onboarding_plans (customer_id) WHERE state IN ('PLANNED', 'IN_PROGRESS');
CREATE INDEX onboarding_plans_newest ON onboarding_plans (created_at, id);
CREATE INDEX onboarding_plans_customer ON onboarding_plans (customer_id, created_at, id);
CREATE INDEX onboarding_plans_next_due ON onboarding_plans (next_due) WHERE next_due <> '';

CREATE TABLE onboarding_milestones (
	plan_id    uuid        NOT NULL REFERENCES onboarding_plans (id),
	position   bigint      NOT NULL,
	code       text        COLLATE "C" NOT NULL,
	label_ja   text        NOT NULL,
	label_en   text        NOT NULL,
	owner_side text        NOT NULL,
	due_days   bigint      NOT NULL,
	mandatory  boolean     NOT NULL,
	due_date   text        COLLATE "C" NOT NULL,
	state      text        NOT NULL,
	decided_at timestamptz,
	actor_kind text        NOT NULL,
	actor_id   text        NOT NULL,
	actor_name text        NOT NULL,
	note       text        NOT NULL,
	PRIMARY KEY (plan_id, code)
);

CREATE TABLE onboarding_plan_transitions (
	plan_id         uuid        NOT NULL REFERENCES onboarding_plans (id),
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
