-- +goose Up
CREATE TABLE items (
    id uuid PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    note TEXT,
    count BIGINT NOT NULL DEFAULT 0,
    done BOOLEAN NOT NULL DEFAULT FALSE,
    at timestamptz NOT NULL,
    ended_at timestamptz,
    data jsonb,
    raw bytea,
    ratio double precision
);
CREATE UNIQUE INDEX items_name_count_key ON items (name, count);

CREATE TABLE parts (
    id uuid PRIMARY KEY,
    item_id uuid NOT NULL REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED,
    email TEXT NOT NULL,
    qty BIGINT NOT NULL CHECK (qty > 0)
);
CREATE UNIQUE INDEX parts_email_key ON parts (lower(email));
