-- +goose Up
-- Merges, erasures and consents find their rows by the person.
CREATE INDEX work_items_person_idx ON work_items (person_id);
CREATE INDEX activities_person_idx ON activities (person_id);

-- +goose Down
DROP INDEX activities_person_idx;
DROP INDEX work_items_person_idx;
