-- +goose Up
-- Roles and departments have commas between. The secret itself is nowhere: only its SHA-256.
CREATE TABLE api_keys (
	id              uuid        PRIMARY KEY,
	prefix          text        COLLATE "C" NOT NULL,
	secret_hash     bytea       NOT NULL,
	name            text        NOT NULL,
	roles           text        NOT NULL,
	departments     text        NOT NULL,
	read_only       boolean     NOT NULL,
	created_at      timestamptz NOT NULL,
	created_by_kind text        NOT NULL,
	created_by_id   text        NOT NULL,
	created_by_name text        NOT NULL,
	expires_at      timestamptz NOT NULL,
	last_used_at    timestamptz,
	revoked_at      timestamptz,
	revoked_by_kind text        NOT NULL,
	revoked_by_id   text        NOT NULL,
	revoked_by_name text        NOT NULL
);
CREATE UNIQUE INDEX api_keys_prefix_key ON api_keys (prefix);

-- +goose Down
DROP TABLE api_keys;
