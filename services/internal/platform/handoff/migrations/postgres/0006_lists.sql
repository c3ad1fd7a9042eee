-- +goose Up
-- Lists below a side and a kind, and below a queue. The ledgers are compared by id, for which the primary key is enough.
DROP INDEX handoffs_ledger;
DROP INDEX handoffs_offered;
CREATE INDEX handoffs_kind ON handoffs (side, kind, offered_at, id);
CREATE INDEX handoffs_queue ON handoffs (queue, offered_at, id);

-- +goose Down
DROP INDEX handoffs_queue;
DROP INDEX handoffs_kind;
CREATE INDEX handoffs_offered ON handoffs (side, offered_at, id);
CREATE INDEX handoffs_ledger ON handoffs (side, from_department, to_department, id);
