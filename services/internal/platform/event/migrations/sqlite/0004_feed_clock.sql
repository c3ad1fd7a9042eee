-- +goose Up
-- A database that is restored would give sequence numbers a second time. They leap instead, which is counted here; the rest
-- is only there to be like PostgreSQL.
CREATE TABLE feed_clock (
	one      BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	server   TEXT   NOT NULL,
	shift    BIGINT NOT NULL,
	leaps    BIGINT NOT NULL,
	leapt_at TIMESTAMP
);
INSERT INTO feed_clock (one, server, shift, leaps) VALUES (1, '', 0, 0);

-- +goose Down
DROP TABLE feed_clock;
