-- +goose Up
-- Ids are text here: some departments keep them as text, some as uuid.
-- Ids of people that turned out to be somebody else's second record. They resolve for ever.
CREATE TABLE person_redirects (
	person_id   text        COLLATE "C" NOT NULL PRIMARY KEY,
	survivor_id text        COLLATE "C" NOT NULL,
	merged_at   timestamptz NOT NULL
);
CREATE INDEX person_redirects_survivor ON person_redirects (survivor_id);

-- What marketing told last of a person's consents: people.Consent as JSON. version is the one of the telling event.
CREATE TABLE person_consents (
	person_id text   COLLATE "C" NOT NULL PRIMARY KEY,
	version   bigint NOT NULL,
	consents  jsonb  NOT NULL
);

-- Ids of people who were erased: what comes of them later is emptied on arrival.
CREATE TABLE person_erasures (
	person_id  text        COLLATE "C" NOT NULL PRIMARY KEY,
	erasure_id text        COLLATE "C" NOT NULL,
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

-- +goose Down
DROP TABLE suppressions;
DROP TABLE suppression_salt;
DROP TABLE person_erasures;
DROP TABLE person_consents;
DROP TABLE person_redirects;
