-- +goose Up
-- Roles and departments have commas between. The secret itself is nowhere: only its SHA-256.
CREATE TABLE api_keys (
	id              TEXT      NOT NULL PRIMARY KEY,
	prefix          TEXT      NOT NULL,
	secret_hash     BLOB      NOT NULL,
	name            TEXT      NOT NULL,
	roles           TEXT      NOT NULL,
	departments     TEXT      NOT NULL,
	read_only       BOOLEAN   NOT NULL,
	created_at      TIMESTAMP NOT NULL,
	created_by_kind TEXT      NOT NULL,
	created_by_id   TEXT      NOT NULL,
	created_by_name TEXT      NOT NULL,
	expires_at      TIMESTAMP NOT NULL,
	last_used_at    TIMESTAMP,
	revoked_at      TIMESTAMP,
	revoked_by_kind TEXT      NOT NULL,
	revoked_by_id   TEXT      NOT NULL,
	revoked_by_name TEXT      NOT NULL
);
CREATE UNIQUE INDEX api_keys_prefix_key ON api_keys (prefix);

-- +goose Down
DROP TABLE api_keys;
