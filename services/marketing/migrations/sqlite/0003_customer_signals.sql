-- +goose Up
-- What customer success told last of the customer that a lead became, and which customer named the person.
ALTER TABLE leads ADD COLUMN customer_signals TEXT;
ALTER TABLE leads ADD COLUMN referral TEXT;

-- All that it told: rows are only ever added.
CREATE TABLE lead_customer_signals (
	lead_id     TEXT        NOT NULL,
	seq         BIGINT      NOT NULL,
	kind        TEXT        NOT NULL,
	customer_id TEXT        NOT NULL,
	score       BIGINT,               -- of NPS
	reasons     TEXT,
	note        TEXT        NOT NULL,
	referral_id TEXT        NOT NULL,
	at          TIMESTAMP   NOT NULL, -- when it happened
	recorded_at TIMESTAMP   NOT NULL,
	PRIMARY KEY (lead_id, seq)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE lead_customer_signals;
ALTER TABLE leads DROP COLUMN referral;
ALTER TABLE leads DROP COLUMN customer_signals;
