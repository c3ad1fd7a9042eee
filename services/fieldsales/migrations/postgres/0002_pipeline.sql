-- +goose Up
CREATE TABLE stages (
    code                text COLLATE "C" PRIMARY KEY,
    position            bigint NOT NULL,
    probability_percent bigint NOT NULL,
    forecast_category   text NOT NULL,
    label_ja            text NOT NULL,
    label_en            text NOT NULL,
    needs_amount        boolean NOT NULL,
    needs_close_date    boolean NOT NULL,
    can_win             boolean NOT NULL
);
CREATE UNIQUE INDEX stages_position_key ON stages (position);

INSERT INTO stages (code, position, probability_percent, forecast_category, label_ja, label_en, needs_amount, needs_close_date, can_win) VALUES
    ('QUALIFYING', 1, 10, 'OMITTED', '見込み確認', 'Qualifying', FALSE, FALSE, FALSE),
    ('DISCOVERY', 2, 20, 'PIPELINE', 'ヒアリング', 'Discovery', FALSE, FALSE, FALSE),
    ('PROPOSAL', 3, 40, 'BEST_CASE', '提案', 'Proposal', TRUE, TRUE, FALSE),
    ('NEGOTIATION', 4, 60, 'BEST_CASE', '条件交渉', 'Negotiation', TRUE, TRUE, FALSE),
    ('VERBAL', 5, 90, 'COMMIT', '口頭内諾', 'Verbal agreement', TRUE, TRUE, TRUE);

CREATE TABLE close_reasons (
    code            text COLLATE "C" PRIMARY KEY,
    label_ja        text NOT NULL,
    label_en        text NOT NULL,
    action          text NOT NULL, -- RECYCLE, ARCHIVE or NONE
    wake_after_days bigint NOT NULL
);

INSERT INTO close_reasons (code, label_ja, label_en, action, wake_after_days) VALUES
    ('PRICE', '価格が合わない', 'Too expensive', 'RECYCLE', 90),
    ('NO_BUDGET', '予算がない', 'No budget', 'RECYCLE', 90),
    ('TIMING', '時期が合わない', 'Not the right time', 'RECYCLE', 60),
    ('COMPETITOR_CHOSEN', '競合製品を選定', 'Chose a competitor', 'RECYCLE', 180),
    ('NO_DECISION', '決裁に至らず', 'No decision was made', 'RECYCLE', 90),
    ('NO_NEED', 'ニーズがない', 'No need', 'ARCHIVE', 0),
    ('OUT_OF_BUSINESS', '廃業・倒産', 'Out of business', 'ARCHIVE', 0),
    ('DUPLICATE', '重複商談', 'Duplicate of another deal', 'NONE', 0);

-- +goose Down
DROP TABLE close_reasons;
DROP TABLE stages;
