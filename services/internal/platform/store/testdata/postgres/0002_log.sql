-- +goose Up
CREATE TABLE log (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    what TEXT NOT NULL
);
