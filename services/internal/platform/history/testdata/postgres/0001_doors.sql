-- +goose Up
CREATE TABLE door_transitions (
	door_id         uuid NOT NULL,
	seq             bigint NOT NULL,
	from_state      text NOT NULL,
	to_state        text NOT NULL,
	at              timestamptz NOT NULL,
	actor_kind      text NOT NULL,
	actor_id        text NOT NULL,
	actor_name      text NOT NULL,
	reason          text NOT NULL,
	note            text NOT NULL,
	time_in_from_us bigint NOT NULL,
	from_room       text NOT NULL,
	to_room         text NOT NULL,
	PRIMARY KEY (door_id, seq)
);
