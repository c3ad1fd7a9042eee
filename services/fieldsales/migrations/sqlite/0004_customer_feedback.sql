-- +goose Up
-- What customer success tells of customers. Written by its events only.
CREATE TABLE customer_feedback (
    id             TEXT NOT NULL PRIMARY KEY, -- of the record at customer success; of the handoff for ratings; else of the event
    account_id     TEXT,                 -- no reference: customer success may know an account that is not here
    opportunity_id TEXT,
    customer_id    TEXT NOT NULL,
    kinds          BIGINT NOT NULL,      -- bit n stands for value n of the contract's enum
    rating         BIGINT NOT NULL,      -- 1 to 5; 0 where there is none
    reason         TEXT NOT NULL,
    revision       BIGINT NOT NULL,      -- of a rating
    industry_key   TEXT NOT NULL, -- empty when not known
    size_band      BIGINT NOT NULL,      -- 0 when not known
    at             TIMESTAMP NOT NULL, -- when it was said or happened
    record         TEXT NOT NULL,       -- the message of the contract
    created_at     TIMESTAMP NOT NULL
);
CREATE INDEX customer_feedback_newest_idx ON customer_feedback (at, id);
CREATE INDEX customer_feedback_account_idx ON customer_feedback (account_id, at, id);
CREATE INDEX customer_feedback_opportunity_idx ON customer_feedback (opportunity_id);
CREATE INDEX customer_feedback_industry_idx ON customer_feedback (industry_key);
CREATE INDEX customer_feedback_size_idx ON customer_feedback (size_band);

CREATE TABLE customer_feedback_products (
    product_key TEXT NOT NULL,
    feedback_id TEXT NOT NULL REFERENCES customer_feedback (id),
    PRIMARY KEY (product_key, feedback_id)
);

-- +goose Down
DROP TABLE customer_feedback_products;
DROP TABLE customer_feedback;
