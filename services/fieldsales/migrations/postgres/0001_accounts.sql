-- +goose Up
CREATE TABLE accounts (
    id          uuid PRIMARY KEY,
    version     bigint NOT NULL,
    name        text NOT NULL,
    domain      text NOT NULL, -- normalised; empty when not known
    company_key text COLLATE "C" NOT NULL, -- the name as it is matched
    industry    text NOT NULL,
    employees   bigint NOT NULL, -- 0: not known
    owner       text NOT NULL,
    journey_id  uuid,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX accounts_domain_key ON accounts (domain) WHERE domain <> '';
CREATE INDEX accounts_company_idx ON accounts (company_key);
CREATE INDEX accounts_newest_idx ON accounts (created_at DESC, id DESC);
CREATE INDEX accounts_owner_idx ON accounts (owner, created_at DESC, id DESC);

-- Other ids under which a company was met. They resolve for ever.
CREATE TABLE account_aliases (
    id         uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    created_at timestamptz NOT NULL
);
CREATE INDEX account_aliases_account_idx ON account_aliases (account_id);

-- +goose Down
DROP TABLE account_aliases;
DROP TABLE accounts;
