-- +goose Up
-- What customer success told last of the customer that a lead became, and which customer named the person.
ALTER TABLE leads ADD COLUMN customer_signals jsonb;
ALTER TABLE leads ADD COLUMN referral jsonb;

-- All that it told: rows are only ever added.
CREATE TABLE lead_customer_signals (
	lead_id     uuid        NOT NULL,
	seq         bigint      NOT NULL,
	kind        text        NOT NULL,
	customer_id text        COLLATE "C" NOT NULL,
	score       bigint,               -- of NPS
	reasons     jsonb,
	note        text        NOT NULL,
	referral_id text        COLLATE "C" NOT NULL,
	at          timestamptz NOT NULL, -- when it happened
	recorded_at timestamptz NOT NULL,
	PRIMARY KEY (lead_id, seq)
);

-- +goose Down
DROP TABLE lead_customer_signals;
ALTER TABLE leads DROP COLUMN referral;
ALTER TABLE leads DROP COLUMN customer_signals;
