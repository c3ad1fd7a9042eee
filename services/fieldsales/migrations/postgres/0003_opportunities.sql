-- +goose Up
CREATE TABLE opportunities (
    id                uuid PRIMARY KEY,
    version           bigint NOT NULL,
    account_id        uuid NOT NULL REFERENCES accounts (id),
    journey_id        uuid NOT NULL,
    person_id         uuid,
    name              text NOT NULL,
    type              text NOT NULL,
    state             text NOT NULL,
    stage             text COLLATE "C" NOT NULL REFERENCES stages (code),
    entered_at        timestamptz NOT NULL, -- since when it is in this state and stage
    stage_entered_at  timestamptz NOT NULL, -- since when it is in this stage, whatever the state
    owner             text NOT NULL,
    amount_minor      bigint NOT NULL, -- minor units; nothing without a currency
    amount_currency   text NOT NULL,
    expected_close    text NOT NULL, -- YYYY-MM-DD; empty when not known
    contact           jsonb NOT NULL,
    competitor        text NOT NULL,
    expansion_room    text NOT NULL,
    proposal_room     text NOT NULL,
    next_action       text NOT NULL,
    next_action_due   timestamptz,
    brief             jsonb NOT NULL, -- what came with the handoff it was made from
    source_handoff_id uuid,
    source_fulfilled  boolean NOT NULL,
    mql_handoff_id    uuid,
    hold_until        timestamptz,
    loss_reason       text NOT NULL,
    loss_action       text NOT NULL,
    loss_note         text NOT NULL,
    lost_to           text NOT NULL,
    wake_at           timestamptz,
    handover_id       uuid,
    handover_state    text NOT NULL,
    handover_missing  jsonb NOT NULL,
    closed_at         timestamptz,
    cycle_days        bigint NOT NULL,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
);
CREATE UNIQUE INDEX opportunities_source_handoff_id_key ON opportunities (source_handoff_id);
CREATE UNIQUE INDEX opportunities_handover_id_key ON opportunities (handover_id);
CREATE INDEX opportunities_newest_idx ON opportunities (created_at DESC, id DESC);
CREATE INDEX opportunities_state_idx ON opportunities (state, created_at DESC, id DESC);
CREATE INDEX opportunities_stage_idx ON opportunities (stage, created_at DESC, id DESC);
CREATE INDEX opportunities_owner_idx ON opportunities (owner, created_at DESC, id DESC);
CREATE INDEX opportunities_account_idx ON opportunities (account_id, created_at DESC, id DESC);
CREATE INDEX opportunities_journey_idx ON opportunities (journey_id, created_at DESC, id DESC);

CREATE TABLE opportunity_transitions (
    opportunity_id  uuid NOT NULL REFERENCES opportunities (id),
    seq             bigint NOT NULL, -- the version of the thing after it
    from_state      text NOT NULL,
    from_stage      text NOT NULL,
    to_state        text NOT NULL,
    to_stage        text NOT NULL,
    at              timestamptz NOT NULL,
    actor_kind      text NOT NULL,
    actor_id        text NOT NULL,
    actor_name      text NOT NULL,
    reason          text NOT NULL,
    note            text NOT NULL,
    time_in_from_us bigint NOT NULL, -- microseconds spent in from_state and from_stage
    PRIMARY KEY (opportunity_id, seq)
);

CREATE TABLE contracts (
    id             uuid PRIMARY KEY,
    opportunity_id uuid NOT NULL REFERENCES opportunities (id),
    account_id     uuid NOT NULL REFERENCES accounts (id),
    currency       text NOT NULL,
    mrr_minor      bigint NOT NULL, -- monthly recurring revenue, minor units
    term_months    bigint NOT NULL,
    start_date     text NOT NULL, -- dates are YYYY-MM-DD; empty when not known
    renewal_date   text NOT NULL,
    notice_days    bigint NOT NULL,
    special_terms  text NOT NULL,
    signed_date    text NOT NULL,
    created_at     timestamptz NOT NULL
);
CREATE UNIQUE INDEX contracts_opportunity_id_key ON contracts (opportunity_id);
CREATE INDEX contracts_account_idx ON contracts (account_id);

CREATE TABLE contract_lines (
    contract_id      uuid NOT NULL REFERENCES contracts (id),
    position         bigint NOT NULL, -- from 1
    product          text NOT NULL,
    quantity         bigint NOT NULL,
    unit_price_minor bigint NOT NULL, -- minor units of the contract's currency, for one interval
    discount_minor   bigint NOT NULL, -- on the line, for one interval
    interval_months  bigint NOT NULL, -- 0: one-off
    PRIMARY KEY (contract_id, position)
);

-- +goose Down
DROP TABLE contract_lines;
DROP TABLE contracts;
DROP TABLE opportunity_transitions;
DROP TABLE opportunities;
