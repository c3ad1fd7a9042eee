-- +goose Up
CREATE TABLE opportunities (
    id                TEXT NOT NULL PRIMARY KEY,
    version           BIGINT NOT NULL,
    account_id        TEXT NOT NULL REFERENCES accounts (id),
    journey_id        TEXT NOT NULL,
    person_id         TEXT,
    name              TEXT NOT NULL,
    type              TEXT NOT NULL,
    state             TEXT NOT NULL,
    stage             TEXT NOT NULL REFERENCES stages (code),
    entered_at        TIMESTAMP NOT NULL, -- since when it is in this state and stage
    stage_entered_at  TIMESTAMP NOT NULL, -- since when it is in this stage, whatever the state
    owner             TEXT NOT NULL,
    amount_minor      BIGINT NOT NULL, -- minor units; nothing without a currency
    amount_currency   TEXT NOT NULL,
    expected_close    TEXT NOT NULL, -- YYYY-MM-DD; empty when not known
    contact           TEXT NOT NULL,
    competitor        TEXT NOT NULL,
    expansion_room    TEXT NOT NULL,
    proposal_room     TEXT NOT NULL,
    next_action       TEXT NOT NULL,
    next_action_due   TIMESTAMP,
    brief             TEXT NOT NULL, -- what came with the handoff it was made from
    source_handoff_id TEXT,
    source_fulfilled  BOOLEAN NOT NULL,
    mql_handoff_id    TEXT,
    hold_until        TIMESTAMP,
    loss_reason       TEXT NOT NULL,
    loss_action       TEXT NOT NULL,
    loss_note         TEXT NOT NULL,
    lost_to           TEXT NOT NULL,
    wake_at           TIMESTAMP,
    handover_id       TEXT,
    handover_state    TEXT NOT NULL,
    handover_missing  TEXT NOT NULL,
    closed_at         TIMESTAMP,
    cycle_days        BIGINT NOT NULL,
    created_at        TIMESTAMP NOT NULL,
    updated_at        TIMESTAMP NOT NULL
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
    opportunity_id  TEXT NOT NULL REFERENCES opportunities (id),
    seq             BIGINT NOT NULL, -- the version of the thing after it
    from_state      TEXT NOT NULL,
    from_stage      TEXT NOT NULL,
    to_state        TEXT NOT NULL,
    to_stage        TEXT NOT NULL,
    at              TIMESTAMP NOT NULL,
    actor_kind      TEXT NOT NULL,
    actor_id        TEXT NOT NULL,
    actor_name      TEXT NOT NULL,
    reason          TEXT NOT NULL,
    note            TEXT NOT NULL,
    time_in_from_us BIGINT NOT NULL, -- microseconds spent in from_state and from_stage
    PRIMARY KEY (opportunity_id, seq)
);

CREATE TABLE contracts (
    id             TEXT NOT NULL PRIMARY KEY,
    opportunity_id TEXT NOT NULL REFERENCES opportunities (id),
    account_id     TEXT NOT NULL REFERENCES accounts (id),
    currency       TEXT NOT NULL,
    mrr_minor      BIGINT NOT NULL, -- monthly recurring revenue, minor units
    term_months    BIGINT NOT NULL,
    start_date     TEXT NOT NULL, -- dates are YYYY-MM-DD; empty when not known
    renewal_date   TEXT NOT NULL,
    notice_days    BIGINT NOT NULL,
    special_terms  TEXT NOT NULL,
    signed_date    TEXT NOT NULL,
    created_at     TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX contracts_opportunity_id_key ON contracts (opportunity_id);
CREATE INDEX contracts_account_idx ON contracts (account_id);

CREATE TABLE contract_lines (
    contract_id      TEXT NOT NULL REFERENCES contracts (id),
    position         BIGINT NOT NULL, -- from 1
    product          TEXT NOT NULL,
    quantity         BIGINT NOT NULL,
    unit_price_minor BIGINT NOT NULL, -- minor units of the contract's currency, for one interval
    discount_minor   BIGINT NOT NULL, -- on the line, for one interval
    interval_months  BIGINT NOT NULL, -- 0: one-off
    PRIMARY KEY (contract_id, position)
);

-- +goose Down
DROP TABLE contract_lines;
DROP TABLE contracts;
DROP TABLE opportunity_transitions;
DROP TABLE opportunities;
