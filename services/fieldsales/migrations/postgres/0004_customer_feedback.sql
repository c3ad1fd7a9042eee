-- +goose Up
-- What customer success tells of customers. Written by its events only.
CREATE TABLE customer_feedback (
    id             uuid PRIMARY KEY,     -- of the record at customer success; of the handoff for ratings; else of the event
    account_id     uuid,                 -- no reference: customer success may know an account that is not here
    opportunity_id uuid,
    customer_id    text COLLATE "C" NOT NULL,
    kinds          bigint NOT NULL,      -- bit n stands for value n of the contract's enum
    rating         bigint NOT NULL,      -- 1 to 5; 0 where there is none
    reason         text NOT NULL,
    revision       bigint NOT NULL,      -- of a rating
    industry_key   text COLLATE "C" NOT NULL, -- empty when not known
    size_band      bigint NOT NULL,      -- 0 when not known
    at             timestamptz NOT NULL, -- when it was said or happened
    record         jsonb NOT NULL,       -- the message of the contract
    created_at     timestamptz NOT NULL
);
CREATE INDEX customer_feedback_newest_idx ON customer_feedback (at, id);
CREATE INDEX customer_feedback_account_idx ON customer_feedback (account_id, at, id);
CREATE INDEX customer_feedback_opportunity_idx ON customer_feedback (opportunity_id);
CREATE INDEX customer_feedback_industry_idx ON customer_feedback (industry_key);
CREATE INDEX customer_feedback_size_idx ON customer_feedback (size_band);

CREATE TABLE customer_feedback_products (
    product_key text COLLATE "C" NOT NULL,
    feedback_id uuid NOT NULL REFERENCES customer_feedback (id),
    PRIMARY KEY (product_key, feedback_id)
);

-- +goose Down
DROP TABLE customer_feedback_products;
DROP TABLE customer_feedback;
