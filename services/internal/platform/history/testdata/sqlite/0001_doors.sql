-- +goose Up
CREATE TABLE door_transitions (
	door_id         TEXT NOT NULL,
	seq             BIGINT NOT NULL,
	from_state      TEXT NOT NULL,
	to_state        TEXT NOT NULL,
	at              TIMESTAMP NOT NULL,
	actor_kind      TEXT NOT NULL,
	actor_id        TEXT NOT NULL,
	actor_name      TEXT NOT NULL,
	reason          TEXT NOT NULL,
	note            TEXT NOT NULL,
	time_in_from_us BIGINT NOT NULL,
	from_room       TEXT NOT NULL,
	to_room         TEXT NOT NULL,
	PRIMARY KEY (door_id, seq)
);
