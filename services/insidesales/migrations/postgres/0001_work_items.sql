-- +goose Up
CREATE TABLE work_items (
    id                 uuid PRIMARY KEY,
    version            bigint NOT NULL,
    state              text NOT NULL,
    entered_at         timestamptz NOT NULL, -- since when it is in the state
    source             text NOT NULL,
    journey_id         uuid NOT NULL,
    person_id          uuid NOT NULL,
    account_id         uuid,
    person             jsonb NOT NULL,
    company            jsonb NOT NULL,
    mail               text NOT NULL, -- normalised
    queue              text NOT NULL,
    assignee           text NOT NULL,
    hot                boolean NOT NULL,
    notes              text NOT NULL,
    offer              jsonb, -- what marketing handed over
    answers            jsonb NOT NULL,
    mql_handoff_id     uuid,
    meeting_handoff_id uuid,
    next_action_at     timestamptz,
    last_activity_at   timestamptz,
    reason             text NOT NULL,
    reason_note        text NOT NULL,
    wake_at            timestamptz,
    outcome            text NOT NULL,
    outcome_reason     text NOT NULL,
    opportunity_id     uuid,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL
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
    work_item_id    uuid NOT NULL REFERENCES work_items (id),
    seq             bigint NOT NULL, -- the version of the thing after it
    from_state      text NOT NULL,
    to_state        text NOT NULL,
    at              timestamptz NOT NULL,
    actor_kind      text NOT NULL,
    actor_id        text NOT NULL,
    actor_name      text NOT NULL,
    reason          text NOT NULL,
    note            text NOT NULL,
    time_in_from_us bigint NOT NULL, -- microseconds spent in from_state
    PRIMARY KEY (work_item_id, seq)
);

CREATE TABLE activities (
    id           uuid PRIMARY KEY,
    work_item_id uuid NOT NULL REFERENCES work_items (id),
    journey_id   uuid NOT NULL,
    person_id    uuid NOT NULL,
    kind         text NOT NULL,
    direction    text NOT NULL,
    result       text NOT NULL,
    note         text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    actor_kind   text NOT NULL,
    actor_id     text NOT NULL,
    actor_name   text NOT NULL,
    created_at   timestamptz NOT NULL
);
CREATE INDEX activities_work_item_idx ON activities (work_item_id, created_at DESC, id DESC);

-- +goose Down
DROP TABLE activities;
DROP TABLE work_item_transitions;
DROP TABLE work_items;
