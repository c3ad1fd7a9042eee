-- +goose Up
CREATE TABLE accounts (
    id          TEXT NOT NULL PRIMARY KEY,
    version     BIGINT NOT NULL,
    name        TEXT NOT NULL,
    domain      TEXT NOT NULL, -- normalised; empty when not known
    company_key TEXT NOT NULL, -- the name as it is matched
    industry    TEXT NOT NULL,
    employees   BIGINT NOT NULL, -- 0: not known
    owner       TEXT NOT NULL,
    journey_id  TEXT,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX accounts_domain_key ON accounts (domain) WHERE domain <> '';
CREATE INDEX accounts_company_idx ON accounts (company_key);
CREATE INDEX accounts_newest_idx ON accounts (created_at DESC, id DESC);
CREATE INDEX accounts_owner_idx ON accounts (owner, created_at DESC, id DESC);

-- Other ids under which a company was met. They resolve for ever.
CREATE TABLE account_aliases (
    id         TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX account_aliases_account_idx ON account_aliases (account_id);

-- +goose Down
DROP TABLE account_aliases;
DROP TABLE accounts;
