-- +goose Up
CREATE TABLE work_items (
    id                 TEXT NOT NULL PRIMARY KEY,
    version            BIGINT NOT NULL,
    state              TEXT NOT NULL,
    entered_at         TIMESTAMP NOT NULL, -- since when it is in the state
    source             TEXT NOT NULL,
    journey_id         TEXT NOT NULL,
    person_id          TEXT NOT NULL,
    account_id         TEXT,
    person             TEXT NOT NULL,
    company            TEXT NOT NULL,
    mail               TEXT NOT NULL, -- normalised
    queue              TEXT NOT NULL,
    assignee           TEXT NOT NULL,
    hot                BOOLEAN NOT NULL,
    notes              TEXT NOT NULL,
    offer              TEXT, -- what marketing handed over
    answers            TEXT NOT NULL,
    mql_handoff_id     TEXT,
    meeting_handoff_id TEXT,
    next_action_at     TIMESTAMP,
    last_activity_at   TIMESTAMP,
    reason             TEXT NOT NULL,
    reason_note        TEXT NOT NULL,
    wake_at            TIMESTAMP,
    outcome            TEXT NOT NULL,
    outcome_reason     TEXT NOT NULL,
    opportunity_id     TEXT,
    created_at         TIMESTAMP NOT NULL,
    updated_at         TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX work_items_mql_handoff_id_key ON work_items (mql_handoff_id);
CREATE INDEX work_items_newest_idx ON work_items (created_at DESC, id DESC);
CREATE INDEX work_items_state_idx ON work_items (state, created_at DESC, id DESC);
CREATE INDEX work_items_assignee_idx ON work_items (assignee, created_at DESC, id DESC);
CREATE INDEX work_items_queue_idx ON work_items (queue, created_at DESC, id DESC);
CREATE INDEX work_items_journey_idx ON work_items (journey_id, created_at DESC, id DESC);
CREATE INDEX work_items_mail_idx ON work_items (mail, created_at DESC, id DESC);
CREATE INDEX work_items_next_action_idx ON work_items (next_action_at) WHERE next_action_at IS NOT NULL;
CREATE INDEX work_items_opportunity_idx ON work_items (opportunity_id) WHERE opportunity_id IS NOT NULL;
CREATE INDEX work_items_meeting_idx ON work_items (meeting_handoff_id) WHERE meeting_handoff_id IS NOT NULL;

CREATE TABLE work_item_transitions (
    work_item_id    TEXT NOT NULL REFERENCES work_items (id),
    seq             BIGINT NOT NULL, -- the version of the thing after it
    from_state      TEXT NOT NULL,
    to_state        TEXT NOT NULL,
    at              TIMESTAMP NOT NULL,
    actor_kind      TEXT NOT NULL,
    actor_id        TEXT NOT NULL,
    actor_name      TEXT NOT NULL,
    reason          TEXT NOT NULL,
    note            TEXT NOT NULL,
    time_in_from_us BIGINT NOT NULL, -- microseconds spent in from_state
    PRIMARY KEY (work_item_id, seq)
);

CREATE TABLE activities (
    id           TEXT NOT NULL PRIMARY KEY,
    work_item_id TEXT NOT NULL REFERENCES work_items (id),
    journey_id   TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    kind         TEXT NOT NULL,
    direction    TEXT NOT NULL,
    result       TEXT NOT NULL,
    note         TEXT NOT NULL,
    occurred_at  TIMESTAMP NOT NULL,
    actor_kind   TEXT NOT NULL,
    actor_id     TEXT NOT NULL,
    actor_name   TEXT NOT NULL,
    created_at   TIMESTAMP NOT NULL
);
CREATE INDEX activities_work_item_idx ON activities (work_item_id, created_at DESC, id DESC);

-- +goose Down
DROP TABLE activities;
DROP TABLE work_item_transitions;
DROP TABLE work_items;
