-- +goose Up
-- What customers say and what is said of them. Rows are only ever inserted: a correction is another revision of the same key.
CREATE TABLE feedback_records (
	id          TEXT        NOT NULL PRIMARY KEY,
	type        TEXT        NOT NULL, -- FEEDBACK, HANDOVER_QUALITY, NPS, ADVOCACY, REFERRAL, FIT
	customer_id TEXT        NOT NULL REFERENCES customers (id),
	journey_id  TEXT        NOT NULL,
	record_key  TEXT        NOT NULL, -- what there is one of: handoff, survey invitation, customer; else empty
	revision    BIGINT      NOT NULL,             -- of the key, from 1
	kinds       BIGINT      NOT NULL,             -- bit n stands for value n of the contract's enum
	score       BIGINT,
	at          TIMESTAMP   NOT NULL,             -- when it was said or decided
	record      TEXT        NOT NULL,             -- the message of the contract
	created_at  TIMESTAMP   NOT NULL
);
CREATE UNIQUE INDEX feedback_records_key ON feedback_records (type, record_key, revision) WHERE record_key <> '';
CREATE INDEX feedback_records_newest ON feedback_records (type, at, id);
CREATE INDEX feedback_records_customer ON feedback_records (customer_id, type, at, id);

-- +goose Down
DROP TABLE feedback_records;
