-- +goose Up
-- The feed shows transactions in the order of their numbers, and a transaction may have its number long before it gets hold
-- of its subject: a rival that began later may have written events of the subject meanwhile. Such a transaction is
-- refused as a serialization failure, and comes again with a later number.
-- +goose StatementBegin
CREATE FUNCTION events_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM events WHERE subject = NEW.subject AND xid > NEW.xid) THEN
		RAISE EXCEPTION 'a later transaction has written events of this subject' USING ERRCODE = 'serialization_failure';
	END IF;
	RETURN NEW;
END $$;
-- +goose StatementEnd
-- contract v0.1: there is no version before.
CREATE TRIGGER events_in_order BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION events_in_order();

-- +goose Down
DROP TRIGGER events_in_order ON events;
DROP FUNCTION events_in_order;
