-- +goose Up
-- Business calendars by name; config is bizclock.Config as JSON.
CREATE TABLE handoff_calendars (
	name   text NOT NULL PRIMARY KEY,
	config text NOT NULL
);

-- The clocks of a kind, in business minutes; undelivered_after in minutes by the clock on the wall. steps is a JSON list
-- of what is done when a clock has run out.
CREATE TABLE handoff_policies (
	code                text    COLLATE "C" NOT NULL PRIMARY KEY,
	kind                text    NOT NULL,
	hot                 boolean NOT NULL,
	calendar            text    NOT NULL,
	accept_within       bigint  NOT NULL,
	first_action_within bigint  NOT NULL,
	gaps_within         bigint  NOT NULL,
	undelivered_after   bigint  NOT NULL,
	steps               text    NOT NULL,
	version             bigint  NOT NULL
);

-- Every step that was taken; the key makes sure that it is taken once.
CREATE TABLE handoff_breaches (
	handoff_id   uuid        NOT NULL,
	attempt      bigint      NOT NULL,
	clock        text        NOT NULL,
	number       bigint      NOT NULL,
	step         text        NOT NULL,
	due_at       timestamptz NOT NULL,
	at           timestamptz NOT NULL,
	escalated_to text        NOT NULL, -- a JSON list
	assignee     text        NOT NULL,
	PRIMARY KEY (handoff_id, attempt, clock, number)
);

CREATE TABLE handoff_gaps (
	handoff_id  uuid        NOT NULL,
	path        text        COLLATE "C" NOT NULL,
	due_at      timestamptz,
	closed_at   timestamptz,
	closed_kind text        NOT NULL,
	closed_id   text        NOT NULL,
	closed_name text        NOT NULL,
	note        text        NOT NULL,
	reminders   bigint      NOT NULL,
	PRIMARY KEY (handoff_id, path)
);

CREATE TABLE handoff_queues (
	code     text COLLATE "C" NOT NULL PRIMARY KEY,
	label_ja text NOT NULL,
	label_en text NOT NULL,
	kind     text NOT NULL -- empty: all
);

-- What is overdue is found without reading what is not.
CREATE INDEX handoffs_accept_due ON handoffs (accept_due_at) WHERE state = 'OFFERED';
CREATE INDEX handoffs_first_action_due ON handoffs (first_action_due_at) WHERE state = 'ACCEPTED';
-- The ledgers are compared by id.
CREATE INDEX handoffs_ledger ON handoffs (side, from_department, to_department, id);

INSERT INTO handoff_calendars (name, config) VALUES
	('company', '{"zone":"Asia/Tokyo","hours":{"mon-fri":"09:00-18:00"},"national":"jp","company_holidays":["12-29..01-03"]}');

INSERT INTO handoff_policies (code, kind, hot, calendar, accept_within, first_action_within, gaps_within, undelivered_after, steps, version) VALUES
	('MQL', 'MQL', FALSE, 'company', 240, 240, 0, 15,
		'[{"clock":"ACCEPT","step":"REASSIGN"},{"clock":"ACCEPT","step":"ESCALATE","to":["inside-sales/lead"]},{"clock":"FIRST_ACTION","step":"ESCALATE","to":["inside-sales/lead"]}]', 1),
	('MQL_HOT', 'MQL', TRUE, 'company', 60, 5, 0, 15,
		'[{"clock":"ACCEPT","step":"REASSIGN"},{"clock":"ACCEPT","step":"ESCALATE","to":["inside-sales/lead"]},{"clock":"FIRST_ACTION","step":"ESCALATE","to":["inside-sales/lead"]}]', 1),
	('MEETING', 'MEETING', FALSE, 'company', 540, 1620, 0, 15,
		'[{"clock":"PICK_UP","step":"ESCALATE","to":["field-sales/manager","inside-sales/manager"]},{"clock":"ACCEPT","step":"ESCALATE","to":["field-sales/manager","inside-sales/manager"]},{"clock":"FIRST_ACTION","step":"ESCALATE","to":["field-sales/manager","inside-sales/manager"]}]', 1),
	('CLOSED_WON', 'CLOSED_WON', FALSE, 'company', 540, 2700, 2700, 15,
		'[{"clock":"ACCEPT","step":"ESCALATE","to":["customer-success/head","field-sales/seller"]},{"clock":"FIRST_ACTION","step":"ESCALATE","to":["customer-success/head","field-sales/seller"]}]', 1),
	('CSQL', 'CSQL', FALSE, 'company', 1080, 2700, 0, 15,
		'[{"clock":"ACCEPT","step":"ESCALATE","to":["field-sales/head","customer-success/head"]},{"clock":"FIRST_ACTION","step":"ESCALATE","to":["field-sales/head","customer-success/head"]}]', 1);

-- +goose Down
DROP INDEX handoffs_ledger;
DROP INDEX handoffs_first_action_due;
DROP INDEX handoffs_accept_due;
DROP TABLE handoff_queues;
DROP TABLE handoff_gaps;
DROP TABLE handoff_breaches;
DROP TABLE handoff_policies;
DROP TABLE handoff_calendars;
