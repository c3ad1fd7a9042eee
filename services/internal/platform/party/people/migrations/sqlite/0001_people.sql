-- +goose Up
-- Ids are text here: some departments keep them as text, some as uuid.
-- Ids of people that turned out to be somebody else's second record. They resolve for ever.
CREATE TABLE person_redirects (
	person_id   TEXT        NOT NULL PRIMARY KEY,
	survivor_id TEXT        NOT NULL,
	merged_at   TIMESTAMP   NOT NULL
);
CREATE INDEX person_redirects_survivor ON person_redirects (survivor_id);

-- What marketing told last of a person's consents: people.Consent as JSON. version is the one of the telling event.
CREATE TABLE person_consents (
	person_id TEXT   NOT NULL PRIMARY KEY,
	version   BIGINT NOT NULL,
	consents  TEXT   NOT NULL
);

-- Ids of people who were erased: what comes of them later is emptied on arrival.
CREATE TABLE person_erasures (
	person_id  TEXT        NOT NULL PRIMARY KEY,
	erasure_id TEXT        NOT NULL,
	erased_at  TIMESTAMP   NOT NULL
);

-- Salted hashes of the addresses of people who were erased; without the salt they say nothing to other databases.
CREATE TABLE suppression_salt (
	salt TEXT NOT NULL PRIMARY KEY
);
INSERT INTO suppression_salt (salt) VALUES (lower(hex(randomblob(32))));

CREATE TABLE suppressions (
	hash       TEXT        NOT NULL PRIMARY KEY,
	created_at TIMESTAMP   NOT NULL
);

-- +goose Down
DROP TABLE suppressions;
DROP TABLE suppression_salt;
DROP TABLE person_erasures;
DROP TABLE person_consents;
DROP TABLE person_redirects;
