-- Deliveries that noise control held back. They are told with their events, and go when the journal forgets those.

CREATE TABLE held (
    seq       INTEGER NOT NULL,
    rule_arn  TEXT NOT NULL,
    target_id TEXT NOT NULL,
    gate      TEXT NOT NULL,
    why       TEXT NOT NULL,
    PRIMARY KEY (seq, rule_arn, target_id)
) STRICT, WITHOUT ROWID;
