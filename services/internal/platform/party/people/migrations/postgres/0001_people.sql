-- +goose Up
-- Ids of people that turned out to be somebody else's second record. They resolve for ever.
CREATE TABLE person_redirects (
	person_id   uuid        NOT NULL PRIMARY KEY,
	survivor_id uuid        NOT NULL,
	merged_at   timestamptz NOT NULL
);
CREATE INDEX person_redirects_survivor ON person_redirects (survivor_id);

-- What marketing told last of a person's consents: people.Consent as JSON. version is the one of the telling event.
CREATE TABLE person_consents (
	person_id uuid   NOT NULL PRIMARY KEY,
	version   bigint NOT NULL,
	consents  jsonb  NOT NULL
);

-- Ids of people who were erased: what comes of them later is emptied on arrival.
CREATE TABLE person_erasures (
	person_id  uuid        NOT NULL PRIMARY KEY,
	erasure_id uuid        NOT NULL,
	erased_at  timestamptz NOT NULL
);

-- Salted hashes of the addresses of people who were erased; without the salt they say nothing to other databases.
CREATE TABLE suppression_salt (
	salt text NOT NULL PRIMARY KEY
);
INSERT INTO suppression_salt (salt) VALUES (CAST(gen_random_uuid() AS text) || CAST(gen_random_uuid() AS text));

CREATE TABLE suppressions (
	hash       text        COLLATE "C" NOT NULL PRIMARY KEY,
	created_at timestamptz NOT NULL
);

-- Merges and erasures find the handoffs of a person.
CREATE INDEX handoffs_person ON handoffs (person_id) WHERE person_id <> '';

-- +goose Down
DROP INDEX handoffs_person;
DROP TABLE suppressions;
DROP TABLE suppression_salt;
DROP TABLE person_erasures;
DROP TABLE person_consents;
DROP TABLE person_redirects;
