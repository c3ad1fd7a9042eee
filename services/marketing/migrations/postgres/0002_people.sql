-- +goose Up
-- A person that was merged keeps its row, so that its match_key leads to the one that stays.
ALTER TABLE people ADD COLUMN merged_into uuid;
ALTER TABLE people ADD COLUMN version bigint NOT NULL DEFAULT 1;

-- After a merge a person has the leads of both.
-- contract v0.1: there is no version before.
DROP INDEX leads_person_id_key;
CREATE INDEX leads_person ON leads (person_id, id);

ALTER TABLE consent_records ADD COLUMN text_version text NOT NULL DEFAULT '';
ALTER TABLE consent_records ADD COLUMN method text NOT NULL DEFAULT '';
ALTER TABLE consent_records ADD COLUMN address text NOT NULL DEFAULT '';
ALTER TABLE consent_records ADD COLUMN evidence text NOT NULL DEFAULT '';

-- The file of an import is kept while it is worked on, no longer.
DELETE FROM lead_import_files WHERE import_id IN (SELECT id FROM lead_imports WHERE finished_at IS NOT NULL);

CREATE TABLE erasures (
	id                uuid        NOT NULL PRIMARY KEY,
	person_id         uuid        NOT NULL,
	reason            text        NOT NULL,
	requested_by_kind text        NOT NULL,
	requested_by_id   text        NOT NULL,
	requested_by_name text        NOT NULL,
	created_at        timestamptz NOT NULL,
	completed_at      timestamptz
);
CREATE UNIQUE INDEX erasures_person_id_key ON erasures (person_id);

-- The departments that are waited for; erased is a list of tables with counts.
CREATE TABLE erasure_answers (
	erasure_id      uuid        NOT NULL,
	department      text        COLLATE "C" NOT NULL,
	acknowledged_at timestamptz,
	erased          jsonb,
	PRIMARY KEY (erasure_id, department)
);

-- +goose Down
DROP TABLE erasure_answers;
DROP TABLE erasures;
ALTER TABLE consent_records DROP COLUMN evidence;
ALTER TABLE consent_records DROP COLUMN address;
ALTER TABLE consent_records DROP COLUMN method;
ALTER TABLE consent_records DROP COLUMN text_version;
DROP INDEX leads_person;
CREATE UNIQUE INDEX leads_person_id_key ON leads (person_id);
ALTER TABLE people DROP COLUMN version;
ALTER TABLE people DROP COLUMN merged_into;
