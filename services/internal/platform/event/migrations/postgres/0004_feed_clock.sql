-- +goose Up
-- The order of the feed hangs on the server's transaction ids. A database that is restored may find itself among ids that are
-- lower, or that its readers have seen before: shift is what is added to them here, and server where they last came from.
CREATE TABLE feed_clock (
	one      bigint      PRIMARY KEY CHECK (one = 1),
	server   text        COLLATE "C" NOT NULL,
	shift    bigint      NOT NULL,
	leaps    bigint      NOT NULL,
	leapt_at timestamptz
);
INSERT INTO feed_clock (one, server, shift, leaps) VALUES (1, '', 0, 0);

-- +goose Down
DROP TABLE feed_clock;
