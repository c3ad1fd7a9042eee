-- +goose Up
-- What 0002 promises, looked at once for all rows of a statement instead of for each.
-- +goose StatementBegin
CREATE FUNCTION events_in_order_at_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	-- As long as no transaction with a higher number has ended, there is none whose events could be seen.
	IF pg_current_xact_id() >= pg_snapshot_xmax(pg_current_snapshot()) THEN
		RETURN NULL;
	END IF;
	-- LIMIT makes it one look into the index for each row, however many events the planner believes there are. To look up a
	-- subject twice costs less than to sort the subjects out.
	PERFORM FROM fresh, LATERAL (SELECT FROM events WHERE events.subject = fresh.subject AND events.xid > fresh.xid LIMIT 1) AS later;
	IF FOUND THEN
		RAISE EXCEPTION 'a later transaction has written events of this subject' USING ERRCODE = 'serialization_failure';
	END IF;
	RETURN NULL;
END $$;
-- +goose StatementEnd
-- contract v0.1: it refuses what the trigger in whose place it comes refuses, and nothing else.
CREATE OR REPLACE TRIGGER events_in_order AFTER INSERT ON events
	REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION events_in_order_at_once();
-- contract v0.1: only the trigger called it.
DROP FUNCTION events_in_order;

-- +goose Down
-- +goose StatementBegin
CREATE FUNCTION events_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM events WHERE subject = NEW.subject AND xid > NEW.xid) THEN
		RAISE EXCEPTION 'a later transaction has written events of this subject' USING ERRCODE = 'serialization_failure';
	END IF;
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER events_in_order BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION events_in_order();
DROP FUNCTION events_in_order_at_once;
