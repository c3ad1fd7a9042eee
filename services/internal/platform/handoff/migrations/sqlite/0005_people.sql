-- +goose Up
-- Merges and erasures find the handoffs of a person.
CREATE INDEX handoffs_person ON handoffs (person_id) WHERE person_id <> '';

-- +goose Down
DROP INDEX handoffs_person;
