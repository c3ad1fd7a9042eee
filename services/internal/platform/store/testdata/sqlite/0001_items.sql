-- +goose Up
CREATE TABLE items (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    note TEXT,
    count BIGINT NOT NULL DEFAULT 0,
    done BOOLEAN NOT NULL DEFAULT FALSE,
    at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    data TEXT,
    raw BLOB,
    ratio REAL
);
CREATE UNIQUE INDEX items_name_count_key ON items (name, count);

CREATE TABLE parts (
    id TEXT NOT NULL PRIMARY KEY,
    item_id TEXT NOT NULL REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED,
    email TEXT NOT NULL,
    qty BIGINT NOT NULL CHECK (qty > 0)
);
CREATE UNIQUE INDEX parts_email_key ON parts (lower(email));
