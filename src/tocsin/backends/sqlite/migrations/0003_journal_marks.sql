-- The journal says of each entry how many bytes all entries up to it came to, so that its size is two looks instead of
-- a count, and whether a person put it there. The body comes last: what is asked without it reads no long rows.

CREATE TABLE journal_marked (
    seq           INTEGER PRIMARY KEY,
    account       TEXT NOT NULL,
    region        TEXT NOT NULL,
    bus           TEXT NOT NULL,
    id            TEXT NOT NULL,
    at_ms         INTEGER NOT NULL,
    mark          INTEGER NOT NULL,
    by_hand       INTEGER NOT NULL DEFAULT 0,
    through_bytes INTEGER NOT NULL,
    body          BLOB NOT NULL
) STRICT;

INSERT INTO journal_marked (seq, account, region, bus, id, at_ms, mark, through_bytes, body)
SELECT seq, account, region, bus, id, at_ms, mark, sum(octet_length(body)) OVER (ORDER BY seq), body FROM journal;

DROP TABLE journal;
ALTER TABLE journal_marked RENAME TO journal;
CREATE INDEX journal_mark ON journal (mark);
