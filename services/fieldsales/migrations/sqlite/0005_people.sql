-- +goose Up
-- Merges and erasures find their rows by the person.
CREATE INDEX opportunities_person_idx ON opportunities (person_id) WHERE person_id IS NOT NULL;

-- +goose Down
DROP INDEX opportunities_person_idx;
