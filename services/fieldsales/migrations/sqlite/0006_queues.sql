-- +goose Up
-- Where customer success offers expansions: to whoever sells to new customers, or to the sellers of existing ones. A company
-- may have made them before.
INSERT INTO handoff_queues (code, label_ja, label_en, kind) VALUES
	('field-sales', 'フィールドセールス', 'Field sales', 'CSQL'),
	('customer-sales', '既存顧客営業', 'Customer sales', 'CSQL')
ON CONFLICT (code) DO NOTHING;

-- +goose Down
DELETE FROM handoff_queues WHERE code IN ('field-sales', 'customer-sales');
