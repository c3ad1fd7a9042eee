-- +goose Up
-- Since when other departments are told of the consents of a person; NULL: none of them has heard of the person.
ALTER TABLE people ADD COLUMN told_at timestamptz;

-- Until now they were told of everybody's, so they are told on; and they know who was handed over, merged, or named by a customer.
UPDATE people SET told_at = created_at
WHERE (consents IS NOT NULL AND CAST(consents AS TEXT) <> '[]')
	OR id IN (SELECT merged_into FROM people WHERE merged_into IS NOT NULL)
	OR id IN (SELECT person_id FROM leads WHERE handoff_id IS NOT NULL OR referral IS NOT NULL OR customer_signals IS NOT NULL);

-- +goose Down
ALTER TABLE people DROP COLUMN told_at;
