-- +goose Up
-- Transactions write one after another here: nothing to do.
SELECT 1;

-- +goose Down
SELECT 1;
