-- +goose Up
INSERT INTO handoff_reasons (kind, code, label_ja, label_en, action, wake_after_days, counts_against) VALUES
	('MQL', 'TOO_SMALL',         '規模が対象外',               'Company too small',                 'ARCHIVE', 0,   TRUE),
	('MQL', 'WRONG_INDUSTRY',    '業種が対象外',               'Industry out of scope',             'ARCHIVE', 0,   TRUE),
	('MQL', 'WRONG_ROLE',        '担当者の役割が対象外',       'Wrong role',                        'RECYCLE', 180, TRUE),
	('MQL', 'NO_RESPONSE',       '応答なし',                   'No response',                       'RECYCLE', 90,  FALSE),
	('MQL', 'BAD_TIMING',        '時期尚早',                   'Bad timing',                        'RECYCLE', 60,  FALSE),
	('MQL', 'NO_BUDGET',         '予算なし',                   'No budget',                         'RECYCLE', 90,  FALSE),
	('MQL', 'COMPETITOR_LOCKED', '競合と契約中',               'Under contract with a competitor',  'RECYCLE', 180, FALSE),
	('MQL', 'NOT_A_PROJECT',     '具体的な検討なし',           'No project',                        'RECYCLE', 180, TRUE),
	('MQL', 'DUPLICATE',         '重複',                       'Duplicate',                         'ARCHIVE', 0,   TRUE),
	('MQL', 'COMPETITOR',        '競合他社',                   'Competitor',                        'ARCHIVE', 0,   TRUE),
	('MQL', 'GROUP_COMPANY',     'グループ会社',               'Group company',                     'ARCHIVE', 0,   TRUE),
	('MQL', 'INVALID_CONTACT',   '連絡先が無効',               'Invalid contact',                   'ARCHIVE', 0,   TRUE),
	('MEETING', 'NO_SHOW',             '当日欠席',             'No-show',                           'RETURN',  0,   FALSE),
	('MEETING', 'WRONG_PERSON',        '対象者が不適切',       'Wrong person',                      'RETURN',  0,   TRUE),
	('MEETING', 'NO_NEED',             'ニーズなし',           'No need',                           'RECYCLE', 180, TRUE),
	('MEETING', 'NOT_DECISION_STAGE',  '検討段階に至らず',     'Not at a decision stage',           'RECYCLE', 90,  TRUE),
	('MEETING', 'OUT_OF_SEGMENT',      '対象セグメント外',     'Out of segment',                    'ARCHIVE', 0,   TRUE),
	('MEETING', 'DUPLICATE_OPEN_DEAL', '進行中の商談と重複',   'Duplicate of an open deal',         'ARCHIVE', 0,   TRUE),
	('CSQL', 'NO_BUDGET',      '予算なし',                     'No budget',                         'RECYCLE', 90,  FALSE),
	('CSQL', 'TIMING',         '時期が合わない',               'Bad timing',                        'RECYCLE', 60,  FALSE),
	('CSQL', 'NOT_INTERESTED', '関心なし',                     'Not interested',                    'RECYCLE', 180, TRUE),
	('CSQL', 'RISK_OPEN',      '未解決のリスクあり',           'Open risk at the customer',         'RECYCLE', 30,  FALSE),
	('CSQL', 'DUPLICATE',      '重複',                         'Duplicate',                         'ARCHIVE', 0,   TRUE),
	('CSQL', 'NOT_QUALIFIED',  '要件を満たさない',             'Not qualified',                     'RETURN',  0,   TRUE);

-- +goose Down
DELETE FROM handoff_reasons;
