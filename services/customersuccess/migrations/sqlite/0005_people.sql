-- +goose Up
-- Merges and erasures find their rows by the person, or by an address where there is no id.
CREATE INDEX customers_person ON customers (person_id) WHERE person_id <> '';
CREATE INDEX customer_contacts_person ON customer_contacts (person_id) WHERE person_id <> '';
CREATE INDEX customer_contacts_key ON customer_contacts (contact_key);

-- +goose Down
DROP INDEX customer_contacts_key;
DROP INDEX customer_contacts_person;
DROP INDEX customers_person;
